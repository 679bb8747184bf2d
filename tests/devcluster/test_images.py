"""OCI archives."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from typing import TYPE_CHECKING

import pytest

from devcluster.errors import Unprepared
from devcluster.images import File, archive, busybox_files, layer, make_images

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"bin": File(), "bin/sh": File(link="busybox"), "bin/busybox": File(content=b"program")}


def read(tar: bytes) -> dict[str, bytes]:
    """Return the files of a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        found = {m.name: opened.extractfile(m) for m in opened.getmembers() if m.isfile()}
        return {name: file.read() for name, file in found.items() if file is not None}


def test_every_descriptor_names_the_blob_it_describes() -> None:
    """Digests and sizes hold, from the index down to the layer."""
    tar = archive(["r/a:1", "r/a:2"], FILES, config={"Cmd": ["sh"]}, architecture="amd64")
    content = read(tar)
    assert json.loads(content["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(content["index.json"])
    names = [m["annotations"]["io.containerd.image.name"] for m in index["manifests"]]
    assert names == ["r/a:1", "r/a:2"]

    def blob(descriptor: dict[str, object]) -> bytes:
        digest = str(descriptor["digest"])
        data = content[f"blobs/sha256/{digest.removeprefix('sha256:')}"]
        assert len(data) == descriptor["size"]
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
        return data

    manifest = json.loads(blob(index["manifests"][0]))
    config = json.loads(blob(manifest["config"]))
    assert config["config"] == {"Cmd": ["sh"]}
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert blob(manifest["layers"][0]) == layer(FILES)


def test_same_inputs_give_the_same_bytes() -> None:
    """An image's digest does not change from one `up` to the next."""
    first = archive(["r/a:1"], FILES, config={}, architecture="amd64")
    assert archive(["r/a:1"], FILES, config={}, architecture="amd64") == first


def test_layer_keeps_modes_links_and_folders() -> None:
    """What a shell in a container finds is what was asked for."""
    files = busybox_files(b"program", ["busybox", "sh", "httpd"])
    with tarfile.open(fileobj=io.BytesIO(layer(files))) as tar:
        assert tar.getmember("tmp").mode == 0o1777
        assert tar.getmember("bin/httpd").linkname == "busybox"
        assert tar.getmember("bin/busybox").isfile()
        assert tar.getmember("bin/busybox").mode == 0o755
        assert {m.uid for m in tar.getmembers()} == {0}
        folders = [m.name for m in tar.getmembers() if m.isdir()]
    assert "var/www" in folders


def test_images_are_made_once(tmp_path: Path) -> None:
    """Archives that are there are kept; pause is a static program and runs."""
    made = make_images(tmp_path)
    assert [file.name for file in made] == ["pause.tar", "busybox.tar"]
    stamps = [file.stat().st_mtime_ns for file in made]
    assert [file.stat().st_mtime_ns for file in make_images(tmp_path)] == stamps


def test_unknown_architecture_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An image that claims a wrong architecture would be refused later, with less to go by."""
    monkeypatch.setattr(platform, "machine", lambda: "vax")
    with pytest.raises(Unprepared, match="vax"):
        make_images(tmp_path)
