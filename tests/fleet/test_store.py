"""Many files in an object store that speaks S3: a server of it here, asked by real clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import s3fs
from moto.server import ThreadedMotoServer

import recordkit as rk
from recordkit.fleet import many
from tests.fleet.driving import Here, lay_archive

_ADDRESS = "AWS_ENDPOINT_URL"
_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An archive here, and the same as s3://archive/2026."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv(_ADDRESS, "http://{}:{}".format(*server.get_host_and_port()))
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            patch.delenv(name, raising=False)
        archive = lay_archive(tmp_path_factory.mktemp("store") / "archive")
        (archive / "gone.ts").unlink()
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.mkdir("archive")
        for path in archive.rglob("*.ts"):
            files.pipe_file(f"archive/2026/{path.relative_to(archive)}", path.read_bytes())
        files.pipe_file("archive/2026/notes.txt", b"words")
        yield archive
    server.stop()


@pytest.mark.parametrize("url", ["s3://archive/2026", "s3://archive/2026/**", "s3://archive/**/*.ts"])
def test_a_bucket_has_the_rows_of_the_files_here(store: Path, url: str) -> None:
    here, there = rk.verify_all(store, progress=False), rk.verify_all(url, progress=False, jobs=1)
    names = ("day/broken.ts", "day/words.ts", "good.ts")
    assert list(there["path"]) == [f"s3://archive/2026/{name}" for name in names]
    assert there.drop(columns=["path", "elapsed_s"]).equals(here.drop(columns=["path", "elapsed_s"]))


def test_the_frames_in_a_bucket_are_those_here(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    assert list(rk.frames_all("s3://archive/2026/good.ts")["frames"]) == [25]
    with rk.open(store / "good.ts") as here, rk.open("s3://archive/2026/good.ts") as there:
        assert there.frames.equals(here.frames)
        assert (there[-1].image == here[-1].image).all()


def test_what_is_not_in_a_store_is_a_row(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "Pool", lambda jobs: Here())
    (row,) = rk.verify_all("s3://archive/2026/missing.ts").to_dict("records")
    assert (row["problem"], row["ok"]) == ("cannot be read", False)
    (row,) = rk.verify_all("s3://nowhere").to_dict("records")
    assert (row["problem"], row["ok"]) == ("cannot be read", False)
    (row,) = rk.verify_all("s3://nowhere/**").to_dict("records")
    assert (row["problem"], row["ok"]) == ("cannot be listed", False)


def test_a_bucket_without_rights_is_a_row(store: Path) -> None:
    def rights(requests: int) -> None:
        """The store asks who somebody is from so many requests on."""
        url, words = f"{os.environ[_ADDRESS]}/moto-api/reset-auth", {"Content-Type": "text/plain"}
        urlopen(Request(url, str(requests).encode(), words)).close()  # noqa: S310 - it is that of the store here

    rights(0)
    try:
        rows = rk.verify_all(["s3://archive/2026/good.ts", "s3://archive/2026"], jobs=1, progress=False)
    finally:
        rights(1 << 30)
    for row in rows.to_dict("records"):
        assert row["problem"] in ("cannot be read", "cannot be listed")
        assert "Forbidden" in row["detail"]
