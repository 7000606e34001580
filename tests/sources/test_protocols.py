"""What a URL may lead to: by its own name, by a redirect, by a playlist. All files and sockets are our own."""

import http.server
import threading
from contextlib import contextmanager

import pytest

import recordkit as rk
from recordkit.errors import SettingsError, SourceError
from recordkit.sources.protocols import bounds, protocol_of
from tests.media import make_clip

WEB = ("http", "hls")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A short film, and lists that name it."""
    made = tmp_path_factory.mktemp("protocols")
    make_clip(made / "clip.ts", seconds=0.5, audio=())
    list_of = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    (made / "near.m3u8").write_text(list_of.format("clip.ts"))
    (made / "far.m3u8").write_text(list_of.format(f"file://{made / 'clip.ts'}"))
    (made / "list.ffconcat").write_text("ffconcat version 1.0\nfile clip.ts\n")
    return made


@contextmanager
def served(folder):
    """``folder`` over HTTP; /to/ redirects to what follows it."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_GET(self):
            if not self.path.startswith("/to/"):
                return super().do_GET()
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return None

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def opens(url, protocols):
    with rk.MediaFile(url, protocols=protocols).open() as given:
        return given.has_video


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("talk.ts", "file"),
        ("/a/talk.ts", "file"),
        ("file:talk.ts", "file"),
        ("https://host/talk", "https"),
        ("concat:a|b", "concat"),
        ("subfile,,start,1,end,2,,:talk.ts", "subfile"),
        ("crypto+file:talk.ts", "crypto+file"),
        ("a/b:c", "file"),
    ],
)
def test_the_protocol_of_a_url_is_what_libavformat_takes_it_for(url, protocol):
    assert protocol_of(url) == protocol


@pytest.mark.parametrize(
    "url", ["talk.ts", "file:talk.ts", "concat:talk.ts", "subfile,,start,1,,:talk.ts", "tcp://h:1"]
)
def test_what_is_not_allowed_is_refused_before_anything_is_opened(url):
    with pytest.raises(SettingsError, match="is not allowed: only http, hls"):
        rk.MediaFile(url, protocols=WEB)


@pytest.mark.parametrize("protocols", ["http", (), ("http://",), (1,), 5])
def test_protocols_are_a_list_of_names(protocols):
    with pytest.raises(SettingsError, match="protocols"):
        rk.MediaFile("http://h/", protocols=protocols)


def test_what_is_allowed_goes_on_as_it_was(folder):
    assert bounds(None) == {}
    assert opens(folder / "clip.ts", ("file",))
    assert opens(folder / "near.m3u8", ("file", "hls"))
    with served(folder) as web:
        assert opens(f"{web}clip.ts", ("http",))
        assert opens(f"{web}near.m3u8", WEB)
        assert opens(f"{web}to/{web}clip.ts", ("http",))


@pytest.mark.parametrize("name", ["near.m3u8", "list.ffconcat"])
def test_a_file_alone_names_no_other(folder, name):
    assert opens(folder / name, None)
    with pytest.raises(SourceError, match="may lead to what is not allowed"):
        opens(folder / name, ("file",))


@pytest.mark.parametrize("path", ["far.m3u8", "to/file:clip.ts", "to/concat:clip.ts", "near.m3u8"])
def test_neither_a_playlist_nor_a_redirect_leads_out_of_it(folder, path):
    protocols = ("http",) if path == "near.m3u8" else WEB
    path = path.replace("clip.ts", str(folder / "clip.ts"))
    with served(folder) as web, pytest.raises(SourceError):
        opens(web + path, protocols)


def test_options_do_not_widen_it(folder):
    source = rk.MediaFile(folder / "near.m3u8", protocols=("file",), options={"protocol_whitelist": "ALL"})
    with pytest.raises(SourceError), source.open():
        pass
