"""What runs, on disk: sites in the order they were added, and the process of each part.

Written whole and atomically after each change, so that a command that dies leaves a file that
`down` can follow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from devcluster.errors import DevclusterError

if TYPE_CHECKING:
    from pathlib import Path


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process that can be told from a later one with the same pid.

    Attributes:
        pid: Process id.
        start_ticks: Clock ticks from boot to its start (proc(5), stat field 22).
        boot_id: The boot it belongs to.
    """

    pid: int
    start_ticks: int
    boot_id: str


class State(msgspec.Struct, kw_only=True):
    """All that `down` must know and cannot derive.

    Attributes:
        network: First three parts of the cloud's /24, chosen at the first `up`.
        sites: Names, in the order they were added; the position gives a site its addresses.
        parts: Part name (``etcd``, ``provider/site-a``) to its process.
        edgelet: Provider and edge are meant to run.
        kubelet: A kubelet in the cloud is meant to run.
        metrics_server: metrics-server is meant to run.
        created_folders: Folders of the machine that were missing before the first `up`.
    """

    network: str
    sites: list[str] = []
    parts: dict[str, Process] = {}
    edgelet: bool = True
    kubelet: bool = False
    metrics_server: bool = False
    created_folders: list[str] = []


def load_state(path: Path) -> State | None:
    """Read the state; None where there is no cluster.

    Raises:
        DevclusterError: The file is not ours or was damaged.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(text, type=State)
    except msgspec.DecodeError as exc:
        raise DevclusterError(f"{path} cannot be read: {exc}") from exc


def save_state(path: Path, state: State) -> None:
    """Replace the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    os.replace(new, path)
