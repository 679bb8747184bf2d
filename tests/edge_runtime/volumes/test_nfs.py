"""NFS: what the machine's mount program is told, and what becomes of its failures."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import Volume
from edge_runtime.volumes.mount_syscalls import mount_tmpfs
from edge_runtime.volumes.nfs import NfsPlugin, mount_arguments
from edge_runtime.volumes.persistent_source import PersistentSource
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

POD = Pod({"metadata": {"uid": "u", "name": "p"}, "spec": {}})


def volume_of(**source: Any) -> Volume:  # noqa: ANN401  # a source's own fields
    """A volume of this source."""
    return Volume({"name": "data", "nfs": {"server": "nas", "path": "/srv", **source}})


def program(folder: Path, script: str) -> str:
    """A stand-in for mount(8)."""
    path = folder / "mount"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            PersistentSource(volume_name="v", fields={"server": "nas.lan", "path": "/srv"}),
            ["-t", "nfs", "--", "nas.lan:/srv", "/v"],
        ),
        (
            PersistentSource(
                volume_name="v",
                fields={"server": "fd00::1", "path": "/a b"},
                is_read_only=True,
                mount_options=("vers=4.1", "soft"),
            ),
            ["-t", "nfs", "-o", "vers=4.1,soft,ro", "--", "[fd00::1]:/a b", "/v"],
        ),
        (
            PersistentSource(volume_name="v", fields={"server": "[fd00::1]", "path": "/"}),
            ["-t", "nfs", "--", "[fd00::1]:/", "/v"],
        ),
    ],
)
def test_what_the_program_is_told(
    source: PersistentSource, expected: list[str], tmp_path: Path
) -> None:
    """Options first, and nothing that could be taken for one after them."""
    assert mount_arguments(source, tmp_path / "v")[:-1] == expected[:-1]
    assert mount_arguments(source, tmp_path / "v")[-1] == str(tmp_path / "v")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"server": "-oremount", "path": "/"}, "is not a server's name or address"),
        ({"server": "", "path": "/"}, "is not a server's name or address"),
        ({"server": "a b", "path": "/"}, "is not a server's name or address"),
        ({"server": "a\n", "path": "/"}, "is not a server's name or address"),
        ({"server": "a", "path": "srv"}, "must be an absolute path"),
        ({"server": "a", "path": "/a/../b"}, "must not contain '..'"),
        ({"server": "a", "path": "/a\0b"}, "must be an absolute path"),
    ],
)
def test_what_is_no_server_or_folder(fields: dict[str, str], message: str, tmp_path: Path) -> None:
    """It never gets to the program."""
    with pytest.raises(VolumeError, match=message) as caught:
        mount_arguments(PersistentSource(volume_name="v", fields=fields), tmp_path)
    assert caught.value.is_lasting


async def test_it_is_mounted(mountable: Path, tmp_path: Path) -> None:
    """Once: what is mounted already is left alone."""
    told = tmp_path / "told"
    stand_in = program(
        tmp_path, f'echo "$@" >> {told}; for last; do :; done; /bin/mount -t tmpfs nas "$last"'
    )
    plugin = NfsPlugin(program=stand_in)
    for _ in range(2):
        found = await plugin.set_up(POD, volume_of(readOnly=True), mountable / "data")
    assert told.read_text() == f"-t nfs -o ro -- nas:/srv {mountable}/data\n"
    assert found.host_path == str(mountable / "data")
    assert found.read_only
    assert not found.relabels


async def test_a_mount_of_before_needs_no_program(mountable: Path) -> None:
    """After a restart of the edge the server need not even be there."""
    (mountable / "data").mkdir()
    mount_tmpfs(mountable / "data")
    plugin = NfsPlugin(program="/nonexistent")
    found = await plugin.set_up(POD, volume_of(), mountable / "data")
    assert found.host_path == str(mountable / "data")


async def test_a_failure_is_told_as_the_program_says_it(tmp_path: Path) -> None:
    """In a kubelet's words, bounded."""
    script = (
        'echo "mount.nfs: access denied by server"; head -c 100000 /dev/zero | tr "\\0" x; exit 32'
    )
    plugin = NfsPlugin(program=program(tmp_path, script))
    with pytest.raises(VolumeError) as caught:
        await plugin.set_up(POD, volume_of(), tmp_path / "data")
    assert str(caught.value).startswith(
        "mount failed: exit status 32\nMounting command: mount\n"
        f"Mounting arguments: -t nfs -- nas:/srv {tmp_path}/data\n"
        "Output: mount.nfs: access denied by server\n"
    )
    assert len(str(caught.value)) < 5000
    assert not caught.value.is_lasting


async def test_no_program(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(FileNotFoundError, match="nonexistent"):
        await NfsPlugin(program="/nonexistent").set_up(POD, volume_of(), tmp_path / "data")


async def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """The program is ended, and the pod's worker goes on."""
    plugin = NfsPlugin(program=program(tmp_path, "exec sleep 60"), timeout_s=0.2)
    began_s = time.monotonic()
    with pytest.raises(VolumeError, match=r"did not answer within 0\.2 s"):
        await plugin.set_up(POD, volume_of(), tmp_path / "data")
    assert time.monotonic() - began_s < 10


async def test_its_helper_ends_with_it(tmp_path: Path) -> None:
    """Else it would mount the folder once nobody waits any more."""
    held = tmp_path / "held"
    os.mkfifo(held)
    script = f"sleep 60 >{held} & wait"
    plugin = NfsPlugin(program=program(tmp_path, script), timeout_s=1.0)
    reading = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(VolumeError, match="did not answer"):
            await plugin.set_up(POD, volume_of(), tmp_path / "data")
        os.set_blocking(reading, True)
        # The end of the pipe comes once nobody holds it.
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(os.read, reading, 1) == b""
    finally:
        os.close(reading)


async def test_cancelling_ends_the_program(tmp_path: Path) -> None:
    """Nothing of it is left."""
    started = tmp_path / "started"
    os.mkfifo(started)
    plugin = NfsPlugin(program=program(tmp_path, f"echo $$ > {started}; exec sleep 60"))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(plugin.set_up(POD, volume_of(), tmp_path / "data"))
        # Reading waits for the program to write.
        pid = int(await asyncio.to_thread(started.read_text))
        task.cancel()
    assert task.cancelled()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
