"""The key of sealed values: made once, read by its owner alone, opened by this machine's TPM."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_runtime.sealing_config import SealingKeyConfig
from edge_runtime.store import sealing_key
from edge_runtime.store.database import Database
from edge_runtime.store.object_store import ObjectStore
from edge_runtime.store.sealing_key import FileKey, SealingKeyError, TpmKey, key_sources
from tunnel.sync import ObjectPut

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISSING = [name for name in ("swtpm", "systemd-creds") if shutil.which(name) is None] + [
    name for name in ("tss2-esys", "tss2-rc", "tss2-tcti-swtpm") if find_library(name) is None
]
needs_software_tpm = pytest.mark.skipif(
    bool(_MISSING), reason=f"a software TPM needs {' and '.join(_MISSING)}"
)


def test_key_is_made_once_and_read_again(tmp_path: Path) -> None:
    """Its file is its owner's alone."""
    source = FileKey(tmp_path / "sealing.key")
    assert source.read() is None
    key = source.make()
    assert len(key) == 32
    assert FileKey(tmp_path / "sealing.key").read() == key
    assert (tmp_path / "sealing.key").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["sealing.key"]


def test_key_that_others_could_read_is_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a backup was unpacked; it is said once, without the key."""
    file = tmp_path / "sealing.key"
    key = FileKey(file).make()
    file.chmod(0o644)
    assert FileKey(file).read() == key
    assert file.stat().st_mode & 0o777 == 0o600
    assert caplog.messages == ["others could read the sealing key"]
    assert base64.b64encode(key).decode() not in caplog.text


@pytest.mark.parametrize("content", [b"", b"short", b"AAAA\n", b"\xff" * 44, b"A" * 70_000])
def test_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """It is not replaced: what it sealed may still be wanted."""
    file = tmp_path / "sealing.key"
    file.write_bytes(content)
    with pytest.raises(SealingKeyError, match="holds no sealing key: put the right one back"):
        FileKey(file).read()
    assert file.read_bytes() == content


def test_link_to_a_key_is_refused(tmp_path: Path) -> None:
    """Whoever made it chose what is read."""
    FileKey(tmp_path / "real").make()
    (tmp_path / "sealing.key").symlink_to(tmp_path / "real")
    with pytest.raises(SealingKeyError, match="cannot read the sealing key"):
        FileKey(tmp_path / "sealing.key").read()


def test_key_that_a_power_cut_left_half_written_is_no_key(tmp_path: Path) -> None:
    """It never had its name, and the next start makes another."""
    (tmp_path / "sealing.key.new").write_bytes(b"half")
    source = FileKey(tmp_path / "sealing.key")
    assert source.read() is None
    assert source.make() == source.read()
    assert [each.name for each in tmp_path.iterdir()] == ["sealing.key"]


def test_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """One sentence."""
    with pytest.raises(SealingKeyError, match=r"cannot keep the sealing key .*/none/k: No such"):
        FileKey(tmp_path / "none" / "k").make()


def test_places_of_the_key(tmp_path: Path) -> None:
    """The configured one first, then where it may be yet."""

    def paths(**fields: str) -> list[str]:
        config = SealingKeyConfig(**fields)  # type: ignore[arg-type]
        return [
            f"{type(each).__name__} {each.path.relative_to('/')}".replace(str(tmp_path)[1:], "R")
            for each in key_sources(config, root=tmp_path)
        ]

    assert paths() == ["FileKey R/sealing.key", "TpmKey R/sealing-key.cred"]
    assert paths(source="tpm2") == ["TpmKey R/sealing-key.cred", "FileKey R/sealing.key"]
    assert paths(file="/etc/k")[0] == "FileKey etc/k"
    assert len(paths(file="/etc/k")) == 3
    awaited = [
        key_sources(SealingKeyConfig(file=file), root=tmp_path)[0].is_awaited
        for file in ("", "/etc/k")
    ]
    assert awaited == [False, True]


def test_machine_without_systemd_creds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is kept that nobody could open."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SealingKeyError, match="there is no systemd-creds on this machine"):
        TpmKey(tmp_path / "cred").make()
    assert not (tmp_path / "cred").exists()


def _stand_in(folder: Path, script: str) -> str:
    """Put a systemd-creds into a folder; return a PATH by which it is found first."""
    command = folder / "systemd-creds"
    command.write_text("#!/bin/sh\n" + script)
    command.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_key_is_in_no_argument_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes through pipes; what comes back is what is kept."""
    script = f'echo "$@" >>{tmp_path}/seen\ntr "\\000-\\377" "\\200-\\377\\000-\\177"\n'
    monkeypatch.setenv("PATH", _stand_in(tmp_path, script))
    source = TpmKey(tmp_path / "cred", device="/dev/tpmrm0", pcrs=(0, 7))
    key = source.make()
    assert source.read() == key
    assert key not in (tmp_path / "cred").read_bytes()
    options = "--name=edgelet-sealing-key --tpm2-device=/dev/tpmrm0"
    assert (tmp_path / "seen").read_text().splitlines() == [
        f"encrypt {options} --with-key=tpm2 --tpm2-pcrs=0+7 - -",
        f"decrypt {options} - -",
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'no TPM2 device' >&2; exit 1", "does not open the sealing key .*: no TPM2 device;"),
        ("printf 'a\\033[31mb' >&2; exit 1", r"sealing key .*: a \[31mb;"),
        ("exit 3", "sealing key .*: no reason;"),
        ("echo short", "cred holds no sealing key"),
        ("exec sleep 60", "timed out after 0.2 seconds"),
    ],
)
def test_tpm_that_does_not_open_the_key_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    """In one printable sentence that says what to do."""
    monkeypatch.setenv("PATH", _stand_in(tmp_path, script))
    monkeypatch.setattr(sealing_key, "_TPM_TIMEOUT_S", 0.2)
    (tmp_path / "cred").write_bytes(b"sealed")
    with pytest.raises(SealingKeyError, match=message):
        TpmKey(tmp_path / "cred").read()


class _SoftwareTpm:
    """A TPM 2.0 with a state of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.device = f"swtpm:path={folder}/tpm"
        self._process = subprocess.Popen(
            [
                "swtpm",
                "socket",
                "--tpm2",
                f"--tpmstate=dir={folder}",
                f"--ctrl=type=unixio,path={folder}/tpm.ctrl",
                f"--server=type=unixio,path={folder}/tpm",
                "--flags=not-need-init,startup-clear",
                f"--log=file={folder}/log",
                f"--pid=file={folder}/pid",
                "--daemon",
            ]
        )
        assert self._process.wait(timeout=10) == 0
        self._pid = int((folder / "pid").read_text())

    def stop(self) -> None:
        """End it; its state goes with its folder."""
        os.kill(self._pid, 15)


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    # The path of a socket has at most 107 characters.
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@needs_software_tpm
def test_tpm_opens_its_own_key_and_no_other_does(folder: Path) -> None:
    """A disk in another machine is worth nothing, nor is one without any TPM."""
    own, other = _SoftwareTpm(folder / "own"), _SoftwareTpm(folder / "other")
    try:
        key = TpmKey(folder / "cred", device=own.device).make()
        assert TpmKey(folder / "cred", device=own.device).read() == key
        assert (folder / "cred").stat().st_mode & 0o777 == 0o600
        with pytest.raises(SealingKeyError, match="another machine's"):
            TpmKey(folder / "cred", device=other.device).read()
    finally:
        own.stop()
        other.stop()
    with pytest.raises(SealingKeyError, match="does not open the sealing key"):
        TpmKey(folder / "cred", device=own.device).read()


@needs_software_tpm
async def test_database_moves_from_a_file_to_the_tpm_and_back(folder: Path) -> None:
    """Nothing is lost, and the key that was left is gone."""
    tpm = _SoftwareTpm(folder / "tpm")
    secret = {"kind": "Secret", "data": {"k": "dmFsdWU="}}
    put = ObjectPut(kind="Secret", namespace="ns", name="a", revision="r", object=secret)
    by_file = SealingKeyConfig(tpm2_device=tpm.device)
    by_tpm = SealingKeyConfig(source="tpm2", tpm2_device=tpm.device)
    try:
        first = Database(folder / "edgelet.db", keys=key_sources(by_file, root=folder))
        await ObjectStore(first).put(put)
        first.close()
        for config, left in ((by_tpm, "sealing.key"), (by_file, "sealing-key.cred")):
            database = Database(folder / "edgelet.db", keys=key_sources(config, root=folder))
            store = ObjectStore(database)
            await store.load()
            found = store.get(kind="Secret", namespace="ns", name="a")
            database.close()
            assert found is not None
            assert found.json == secret
            assert not (folder / left).exists()
    finally:
        tpm.stop()
