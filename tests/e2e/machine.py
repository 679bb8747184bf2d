"""What a devcluster could leave behind on the machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devcluster.layout import ClusterLayout

# Every name that a devcluster gives carries the six digits that tell it from others.
_NAMES = re.compile(r"\bedgelet-?([0-9a-f]{6})\b")
_POD_VOLUME = re.compile(r"/sites/[^/]+/(edgelet|kubelet)/pods/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """The state of the machine that `make down` has to restore."""

    namespaces: frozenset[str]
    links: frozenset[str]
    mounts: frozenset[str]
    firewall: frozenset[str]
    routes: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]

    def added_since(self, before: Traces) -> dict[str, set[str]]:
        """Return what is here now and was not before, by kind; empty when nothing is."""
        added = {
            name: set(getattr(self, name)) - set(getattr(before, name)) for name in self.__slots__
        }
        return {name: values for name, values in added.items() if values}

    def missing_since(self, before: Traces) -> dict[str, set[str]]:
        """Return what was before and is not here now: `down` must not take away either."""
        kinds = set(self.__slots__) - {"processes"}
        lost = {name: set(getattr(before, name)) - set(getattr(self, name)) for name in kinds}
        return {name: values for name, values in lost.items() if values}


def read_traces(cluster: ClusterLayout) -> Traces:
    """Read all that a devcluster could leave; what names another devcluster is not looked at."""

    def relevant(values: Iterable[str]) -> frozenset[str]:
        return frozenset(v for v in values if set(_NAMES.findall(v)) <= {cluster.identity})

    return Traces(
        namespaces=relevant(p.name for p in Path("/run/netns").glob("*")),
        links=relevant(link["ifname"] for link in json.loads(_output("ip", "-j", "link"))),
        mounts=relevant(_mount_points(cluster)),
        firewall=relevant(_firewall_rules()),
        routes=relevant(_output("ip", "route").splitlines()),
        cgroups=relevant(_cgroups()),
        processes=relevant(_processes_of(cluster)),
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def _mount_points(cluster: ClusterLayout) -> set[str]:
    """Return where something is mounted, but for the volumes of another devcluster's pods."""
    lines = Path("/proc/self/mountinfo").read_text().split("\n")
    found = {line.split(" ")[4] for line in lines if line}
    own = f"{cluster.root}/"
    return {path for path in found if path.startswith(own) or not _POD_VOLUME.search(path)}


def _firewall_rules() -> set[str]:
    """Return the rules; a built-in chain's policy line is there only once a table was read."""
    rules: set[str] = set()
    for table in ("filter", "nat", "mangle", "raw"):
        lines = _output("iptables", "--wait", "5", "-t", table, "-S").splitlines()
        rules |= {f"{table} {line}" for line in lines if not line.startswith("-P")}
    return rules


def _cgroups() -> set[str]:
    """Return all cgroup folders but those of systemd, which come and go by themselves."""
    # Groups of other clusters come and go meanwhile: os.walk passes over what has just gone.
    found = {folder for folder, _, _ in os.walk("/sys/fs/cgroup")}
    return {path for path in found if ".slice" not in path and ".scope" not in path}


def _processes_of(cluster: ClusterLayout) -> set[str]:
    """Return the processes that name the cluster's folder or anything that is called after it."""
    found: set[str] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if f"{cluster.root}/" in command or cluster.prefix in command:
            found.add(f"{folder.name} {command[:160]}")
    return found
