"""Figures of a site beside those of a real kubelet: the same fields, values within 5 %.

What differs and may is in ``EXCEPTIONS``, each with its reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

TOLERANCE = 0.05
# Fields that a kubelet has and a site may lack. Paths are dotted, ``*`` stands for a list's items.
EXCEPTIONS = {
    r"(.*\.)?psi(\..*)?": "only version 2 of control groups counts pressure; on version 1 a "
    "kubelet writes zeros",
    r"(.*\.)?io(\..*)?": "as psi: all that is in it",
    r"pods\.\*\.containers\.\*\.memory\.availableBytes": "without a limit a kubelet over CRI "
    "writes 0, which would mean that nothing is left",
    r"node\.systemContainers\.\*\.memory\.availableBytes": "a kubelet limits the group of all "
    "pods to what is allocatable, a site leaves that to its pods' own groups",
}
# Values that are compared, and how far apart they may be, in units, besides the tolerance.
COMPARED = {
    r"node\.cpu\.usageCoreNanoSeconds": 30e9,
    r"node\.memory\.(usage|workingSet|rss|available)Bytes": 300e6,
    r"node\.network\.(rx|tx)Bytes": 5e6,
    r"node\.(fs|runtime\.imageFs)\.(available|capacity)Bytes": 300e6,
    r"node\.fs\.(used|inodes|inodesFree|inodesUsed)(Bytes)?": 300e6,
    r"node\.rlimit\.maxpid": 0,
    r"pods\.\*\.containers\.\*\.memory\.(workingSet|rss)Bytes": 0.6e6,
    # Who is the first to read a program is charged with its pages.
    r"pods\.\*\.containers\.\*\.memory\.usageBytes": 1.5e6,
    r"pods\.\*\.containers\.\*\.rootfs\.(used|capacity|available)Bytes": 300e3,
    r"pods\.\*\.containers\.\*\.logs\.(used|capacity|inodes)(Bytes|Used)?": 0,
    r"pods\.\*\.memory\.(workingSet|rss)Bytes": 1.2e6,
    r"pods\.\*\.ephemeral-storage\.usedBytes": 64e3,
    # Not what could lie there: a kubelet lets a token have all of the machine's memory.
    r"pods\.\*\.volume\.\*\.usedBytes": 64e3,
    r"pods\.\*\.volume\.\*\.inodesUsed": 0,
}
# Each pod's token volume has a name of its own.
_TOKEN_VOLUME = re.compile(r"(?<=^kube-api-access)-[a-z0-9]{5}$")


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One difference, by the path of what differs."""

    path: str
    text: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.path}: {self.text}"


def summary_differences(kubelet: Json, site: Json) -> list[Difference]:
    """Return what of two Summaries differs and may not; both hold the same pods, by name."""
    theirs, ours = dict(_leaves(kubelet)), dict(_leaves(site))
    found = [
        Difference(path, f"a kubelet has it: {value!r}")
        for path, value in theirs.items()
        if path not in ours and not _is_excepted(_pattern(path))
    ]
    for path, value in theirs.items():
        slack = _slack(_pattern(path))
        if slack is not None and path in ours and not is_near(value, ours[path], slack=slack):
            found.append(Difference(path, f"kubelet {value}, site {ours[path]}"))
    return sorted(found)


def resource_differences(kubelet: str, site: str) -> list[Difference]:
    """Return which series of ``/metrics/resource`` only a kubelet has; values are Summaries' own.

    Both pages hold the same pods, by name (``of_namespace``).
    """
    ours, theirs = _series(site), _series(kubelet)
    # Where CRI tells nothing of swap a kubelet tells a limit of 0.
    lacks = {each for each in theirs - ours if not each.startswith("container_swap_limit_bytes")}
    return sorted(Difference(each, "only the kubelet has it") for each in lacks)


def of_namespace(page: str, namespace: str) -> str:
    """Return a page without other namespaces' pods, and without the namespace's name."""
    label = f'namespace="{namespace}"'
    kept = (line for line in page.splitlines() if label in line or "namespace=" not in line)
    return "\n".join(line.replace(label, "") for line in kept)


def cpu_use(before: str, after: str, *, container: str) -> tuple[float, float]:
    """Return how many cores a container used between two pages of ``/metrics/resource``.

    Returns:
        Cores, and the seconds between the two readings; both 0 while it is still the same one.
    """
    (first_s, first_at_s), (last_s, last_at_s) = (_cpu(each, container) for each in (before, after))
    seconds = last_at_s - first_at_s
    return ((last_s - first_s) / seconds if seconds else 0.0), seconds


def _cpu(page: str, container: str) -> tuple[float, float]:
    start = f'container_cpu_usage_seconds_total{{container="{container}"'
    (line,) = (each for each in page.splitlines() if each.startswith(start))
    value, at_ms = line.rpartition("}")[2].split()
    return float(value), float(at_ms) / 1000


def is_near(first: float, second: float, *, slack: float = 0) -> bool:
    """Tell whether two values are within the tolerance of the larger one, or the slack."""
    return abs(first - second) <= max(slack, TOLERANCE * max(abs(first), abs(second)))


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all that is no list or object, by its path; items of lists by name."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _leaves(inner, f"{path}.{name}" if path else name)
        case list():
            for item in value:
                name = _TOKEN_VOLUME.sub("", item.get("name") or item["podRef"]["name"])
                yield from _leaves(item, f"{path}[{name}]")
        case _:
            yield path, value


def _pattern(path: str) -> str:
    return re.sub(r"\[[^]]*\]", ".*", path)


def _is_excepted(pattern: str) -> bool:
    return any(re.fullmatch(each, pattern) for each in EXCEPTIONS)


def _slack(pattern: str) -> float | None:
    return next((slack for each, slack in COMPARED.items() if re.fullmatch(each, pattern)), None)


def _series(page: str) -> set[str]:
    """Return series without value and time."""
    lines = (line for line in page.splitlines() if line and not line.startswith("#"))
    return {
        line.rpartition("}")[0] + "}" if "}" in line else line.partition(" ")[0] for line in lines
    }
