"""Cards of results: what they say, without a style sheet, in colours that can be read."""

import pytest

import recordkit as rk
from recordkit.plots.cards import Listed, Tone, card
from recordkit.recovery.outcome import Partial
from tests.media import make_clip


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("tone", Tone)
def test_white_words_can_be_read_on_each_tone(tone):
    assert 1.05 / (luminance(tone.value) + 0.05) >= 4.5


def test_a_card_says_what_it_is_told_and_nothing_that_is_html():
    html = card("<talk>.ts", "valid & whole", Tone.GOOD, [("length", "0:10"), ("empty", "")], "<img>")
    assert "&lt;talk&gt;.ts" in html
    assert "valid &amp; whole" in html
    assert "0:10" in html
    assert "empty" not in html
    assert html.endswith("<img></div>")
    assert "<style" not in html


def test_verify_recover_and_partials_show_themselves(tmp_path):
    path = make_clip(tmp_path / "clip.ts", seconds=1)
    good = rk.verify(path)._repr_html_()
    assert "clip.ts" in good
    assert Tone.GOOD.value in good
    path.write_bytes(b"x" * 4000)
    assert Tone.BAD.value in rk.verify(path)._repr_html_()
    assert "none found" in rk.partials(tmp_path)._repr_html_()
    (tmp_path / "lost.recording.ts").write_bytes(make_clip(tmp_path / "other.ts", seconds=1).read_bytes())
    listed = rk.partials(tmp_path)
    assert isinstance(listed, Listed)
    assert "lost.recording.ts" in listed._repr_html_()
    found = rk.recover(tmp_path)
    assert "recovered" in found._repr_html_()
    assert Tone.GOOD.value in found[0]._repr_html_()


def test_a_partial_counts_what_recovery_takes_out_of_the_tail(tmp_path):
    path = tmp_path / "talk.recording.ts"
    partial = Partial(path, tmp_path / "talk.ts", 1.0, 134_000, 149_000, None, False, 164_300, None)
    assert "164 kB, of which 30.3 kB in the tail alone" in partial._repr_html_()


def test_names_and_messages_of_strangers_are_shown_as_text(tmp_path):
    name = "<img src=x onerror=alert(1)>\x1b[2J"
    path = make_clip(tmp_path / f"{name}.ts", seconds=1)
    (tmp_path / f"{name}.recording.ts").write_bytes(path.read_bytes()[:-188])
    path.rename(tmp_path / f"{name}-whole.ts")
    results = [
        rk.verify(tmp_path / f"{name}-whole.ts"),
        rk.partials(tmp_path),
        rk.recover(tmp_path),
        rk.export(tmp_path / f"{name}-whole.ts", tmp_path / f"{name}.mp4", start=0.2),
        rk.record(rk.Synthetic(width=64, height=48, realtime=False, seconds=0.2), tmp_path / f"{name}-new.ts"),
    ]
    for result in results:
        html = result._repr_html_()
        assert "&lt;img src=x onerror=alert(1)&gt;" in html
        assert "<img src=x" not in html
        assert "\x1b" not in html
    exported = results[3]._repr_html_()
    assert "exported" in exported
    assert "of the source on" in exported
