"""Which kernel parameters a pod may set; pure.

Source: kubernetes pkg/kubelet/sysctl/allowlist.go, safe_sysctls.go, staging/src/k8s.io/
component-helpers/node/util/sysctl/namespace.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.pod import Pod

# Name to the first kernel that keeps it per namespace, None for all kernels.
_SAFE: tuple[tuple[str, tuple[int, int] | None], ...] = (
    ("kernel.shm_rmid_forced", None),
    ("net.ipv4.ip_local_port_range", None),
    ("net.ipv4.tcp_syncookies", None),
    ("net.ipv4.ping_group_range", None),
    ("net.ipv4.ip_unprivileged_port_start", None),
    ("net.ipv4.ip_local_reserved_ports", (3, 16)),
    ("net.ipv4.tcp_keepalive_time", (4, 5)),
    ("net.ipv4.tcp_fin_timeout", (4, 6)),
    ("net.ipv4.tcp_keepalive_intvl", (4, 5)),
    ("net.ipv4.tcp_keepalive_probes", (4, 5)),
    ("net.ipv4.tcp_rmem", (4, 15)),
    ("net.ipv4.tcp_wmem", (4, 15)),
)
_IPC, _NET = "IPC", "Net"
_IPC_NAMES = frozenset(
    {
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.shm",
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.msg",
    }
)
_KERNEL_VERSION = re.compile(r"(\d+)\.(\d+)")
_SEGMENT = r"[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_SEGMENT}(?:[./]{_SEGMENT})*", re.ASCII)
MAX_SYSCTL_CHARACTERS = 253


class SysctlError(ValueError):
    """A configured sysctl that cannot be allowed; one sentence."""


@dataclass(frozen=True, slots=True)
class SysctlAllowlist:
    """Names and patterns (ending in ``*``) that pods may set, with dots."""

    patterns: tuple[str, ...]

    def refusal(self, pod: Pod) -> str | None:
        """Say why a pod may not set what it wants to, None when it may."""
        for each in pod.security_context.get("sysctls") or ():
            problem = self._problem(_dotted(str(each["name"])), pod)
            if problem is not None:
                return f"forbidden sysctl: {problem}"
        return None

    def _problem(self, name: str, pod: Pod) -> str | None:
        for pattern in self.patterns:
            prefix = pattern.partition("*")[0]
            if name == pattern or ("*" in pattern and name.startswith(prefix)):
                return _host_problem(name, _namespace(prefix), pod)
        return f'"{name}" not allowlisted'


def sysctl_allowlist(*, kernel_version: str, unsafe: Iterable[str]) -> SysctlAllowlist:
    """Return what is safe on a kernel, and what the configuration allows besides.

    Raises:
        SysctlError: A configured name is none, or not known to be namespaced.
    """
    found = _KERNEL_VERSION.match(kernel_version)
    version = (int(found[1]), int(found[2])) if found is not None else None
    safe = [
        name for name, since in _SAFE if since is None or (version is not None and version >= since)
    ]
    return SysctlAllowlist((*safe, *(_checked(each) for each in unsafe)))


def _checked(pattern: str) -> str:
    name = pattern.removesuffix("*").rstrip("./")
    if len(pattern) > MAX_SYSCTL_CHARACTERS or not _NAME.fullmatch(name):
        raise SysctlError(f"{pattern!r} is no sysctl")
    dotted = _dotted(pattern)
    if _namespace(dotted.partition("*")[0]) is None:
        raise SysctlError(f"{pattern!r} is not known to be namespaced")
    return dotted


def _host_problem(name: str, namespace: str | None, pod: Pod) -> str | None:
    if (namespace == _IPC and pod.host_ipc) or (namespace == _NET and pod.host_network):
        return f'"{name}" not allowed with host {namespace} enabled'
    return None


def _namespace(name: str) -> str | None:
    if name in _IPC_NAMES or name.startswith("fs.mqueue."):
        return _IPC
    return _NET if name.startswith("net.") else None


def _dotted(name: str) -> str:
    """Write a name with dots as separators: the first separator says which one is used.

    Source: kubernetes staging/src/k8s.io/component-helpers/node/util/sysctl ``NormalizeName``.
    """
    first = next((character for character in name if character in "./"), ".")
    if first == ".":
        return name
    return name.translate(str.maketrans("/.", "./"))
