"""Words of mountOptions."""

from __future__ import annotations

import pytest

from edge_runtime.volumes.mount_options import parse_bind_options
from edge_runtime.volumes.mount_syscalls import MountFlag
from edge_runtime.volumes.plugin import VolumeError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), MountFlag.NONE),
        (("ro",), MountFlag.READ_ONLY),
        (("ro,noexec", "nodev"), MountFlag.READ_ONLY | MountFlag.NO_EXEC | MountFlag.NO_DEV),
        (("ro", "rw"), MountFlag.NONE),
        (("rw", "ro"), MountFlag.READ_ONLY),
        (("bind", "defaults", ""), MountFlag.NONE),
        (("noatime", "nodiratime"), MountFlag.NO_ACCESS_TIMES | MountFlag.NO_FOLDER_ACCESS_TIMES),
    ],
)
def test_known_words(options: tuple[str, ...], expected: MountFlag) -> None:
    """The last one wins."""
    assert parse_bind_options(options) == expected


@pytest.mark.parametrize("word", ["vers=4", "RO", "ro ", "remount"])
def test_unknown_words(word: str) -> None:
    """They are named, and refused for good."""
    with pytest.raises(VolumeError, match=f'mount option "{word}" is not supported') as caught:
        parse_bind_options([word])
    assert caught.value.is_lasting
