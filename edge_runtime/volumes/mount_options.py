"""Words of ``mountOptions`` as flags of a bind mount.

Source: mount(8), "Filesystem-independent mount options"; mount_setattr(2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.mount_syscalls import MountFlag
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SET = {
    "ro": MountFlag.READ_ONLY,
    "nosuid": MountFlag.NO_SUID,
    "nodev": MountFlag.NO_DEV,
    "noexec": MountFlag.NO_EXEC,
    "noatime": MountFlag.NO_ACCESS_TIMES,
    "nodiratime": MountFlag.NO_FOLDER_ACCESS_TIMES,
    "relatime": MountFlag.RELATIVE_ACCESS_TIMES,
}
_UNSET = {
    "rw": MountFlag.READ_ONLY,
    "suid": MountFlag.NO_SUID,
    "dev": MountFlag.NO_DEV,
    "exec": MountFlag.NO_EXEC,
    "diratime": MountFlag.NO_FOLDER_ACCESS_TIMES,
}
# What is done anyway, or says nothing.
_IDLE = frozenset({"", "bind", "defaults"})


def parse_bind_options(options: Iterable[str]) -> MountFlag:
    """Return the flags; a later word wins over an earlier one.

    Raises:
        VolumeError: A bind mount has no such option.
    """
    flags = MountFlag.NONE
    for option in options:
        for word in option.split(","):
            if word in _SET:
                flags |= _SET[word]
            elif word in _UNSET:
                flags &= ~_UNSET[word]
            elif word not in _IDLE:
                raise VolumeError(
                    f'mount option "{word}" is not supported for this volume type', is_lasting=True
                )
    return flags
