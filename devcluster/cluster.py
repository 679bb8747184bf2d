"""One cluster: its layout, its state, its parts and its sites."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from devcluster.errors import DevclusterError
from devcluster.layout import ClusterLayout, MachineLayout, SiteLayout, default_root
from devcluster.parts import Parts
from devcluster.state import State, load_state
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the cluster's folder, so that two commands that change it follow one another."""
    root.mkdir(parents=True, exist_ok=True)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


class Cluster:
    """One cluster: its layout, its state, and its parts."""

    def __init__(self, root: Path, state: State) -> None:
        self.layout = ClusterLayout(root=root, network=state.network)
        self.state = state
        self.parts = Parts(self.layout, state)

    @classmethod
    def load(cls) -> Cluster | None:
        """Return the cluster of this folder; None where there is none."""
        state = load_state(default_root() / "state.json")
        return None if state is None else cls(default_root(), state)

    @classmethod
    def require(cls) -> Cluster:
        """Return the cluster of this folder.

        Raises:
            DevclusterError: There is none.
        """
        cluster = cls.load()
        if cluster is None:
            raise DevclusterError("there is no cluster: run python -m devcluster up")
        return cluster

    @property
    def sites(self) -> list[SiteLayout]:
        """All sites, in the order they were added."""
        names = enumerate(self.state.sites, start=1)
        return [self.layout.site(SiteName(name), index=index) for index, name in names]

    @property
    def machines(self) -> list[MachineLayout]:
        """All machines with a containerd: the sites', and the kubelet's where there is one."""
        return [*self.sites, *([self.layout.cloud_node] if self.state.kubelet else [])]

    def site(self, name: str) -> SiteLayout:
        """Return one site.

        Raises:
            DevclusterError: The cluster has no such site.
        """
        for site in self.sites:
            if site.name == name:
                return site
        there = ", ".join(self.state.sites)
        raise DevclusterError(f"there is no site {name!r}; there is {there}")
