"""What a devcluster could leave behind on the machine."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.cluster import ROOT


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


def read_traces() -> Traces:
    """Read the machine's namespaces, links, mounts, firewall, routes, cgroups and processes."""
    return Traces(
        namespaces=frozenset(p.name for p in Path("/run/netns").glob("*")),
        links=frozenset(link["ifname"] for link in json.loads(_output("ip", "-j", "link"))),
        mounts=frozenset(_mount_points()),
        firewall=frozenset(_firewall_rules()),
        routes=frozenset(_output("ip", "route").splitlines()),
        cgroups=frozenset(_cgroups()),
        processes=frozenset(_our_processes()),
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def _mount_points() -> set[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines}


def _firewall_rules() -> set[str]:
    """Return the rules; a built-in chain's policy line is there only once a table was read."""
    rules: set[str] = set()
    for table in ("filter", "nat", "mangle", "raw"):
        lines = _output("iptables", "--wait", "5", "-t", table, "-S").splitlines()
        rules |= {f"{table} {line}" for line in lines if not line.startswith("-P")}
    return rules


def _cgroups() -> set[str]:
    """Return all cgroup folders but those of systemd, which come and go by themselves."""
    found: set[str] = set()
    for root in Path("/sys/fs/cgroup").iterdir():
        if root.is_dir():
            found |= {str(p) for p in root.rglob("*") if p.is_dir()}
    return {path for path in found if ".slice" not in path and ".scope" not in path}


def _our_processes() -> set[str]:
    """Return the processes that name this checkout's state or one of its programs."""
    marks = (str(ROOT / ".devcluster"), "/run/edgelet-", "edgelet-e2e")
    found: set[str] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if any(mark in command for mark in marks):
            found.add(f"{folder.name} {command[:160]}")
    return found
