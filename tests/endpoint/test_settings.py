"""What an endpoint may be told, and that it never tells its token."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from recordkit.endpoint.settings import TOKEN_VARIABLE, WhipSettings
from recordkit.errors import SettingsError

OWN = "own-s3cret"  # - of these tests alone


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", -1),
        ("port", 65536),
        ("port", "http"),
        ("max_publishers", 0),
        ("max_publishers", True),
        ("max_sdp_bytes", 10),
        ("min_free_bytes", -1),
        ("start_bit_rate", 1),
        ("max_seconds", 0),
        ("max_bytes", -5),
        ("max_silence", 0),
        ("max_silence", "for ever"),
        ("connect_timeout", None),
        ("connect_timeout", float("nan")),
        ("connect_timeout", float("inf")),
        ("ice_servers", "stun:x:1"),
        ("allowed_origins", "*"),
        ("name_template", "x.ts"),
        ("certificate", "cert.pem"),
        ("token", "täst"),
        ("token", " "),
        ("token", "a\nb"),
    ],
)
def test_values_that_cannot_be_used_are_named(name: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        WhipSettings(**{name: value})  # type: ignore[arg-type]
    assert caught.value.name == name
    assert name != "token" or caught.value.value == "…"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert WhipSettings(host=host).required_token() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "records.example", ""])  # noqa: S104
def test_all_other_addresses_need_one(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=TOKEN_VARIABLE):
        WhipSettings(host=host).required_token()
    assert WhipSettings(host=host, token=OWN).required_token() == OWN
    monkeypatch.setenv(TOKEN_VARIABLE, "theirs")
    assert WhipSettings(host=host).required_token() == "theirs"
    assert WhipSettings(host=host, token=OWN).required_token() == OWN
    monkeypatch.setenv(TOKEN_VARIABLE, " ")
    with pytest.raises(SettingsError):
        WhipSettings(host=host).required_token()


def test_it_goes_through_json_and_shows_no_secret() -> None:
    settings = WhipSettings(
        token=OWN, ice_servers=[{"urls": "turn:t.example:1", "credential": OWN}], allowed_origins=["*"]
    )
    assert OWN not in repr(settings)
    back = WhipSettings(**json.loads(json.dumps(dataclasses.asdict(settings))))
    assert back == settings


def test_a_certificate_that_cannot_be_used_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    for certificate in (tmp_path / "x.pem", tmp_path / "missing.pem"):
        with pytest.raises(SettingsError, match="cannot be used"):
            WhipSettings(certificate=str(certificate), key=str(certificate)).tls()
