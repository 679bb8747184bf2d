"""The parts of the edge's configuration with which a machine's owner guards it; pure.

policy:
  forbid: [exec, attach, portForward, privileged, capabilities, hostPID]
  allowedHostPaths: [/var/data]
  deniedNamespaces: [kube-system]
auditLog:
  file: /var/log/edgelet-audit.log
"""

from __future__ import annotations

import enum

import msgspec

# Smaller files would turn over with every call.
MIN_AUDIT_BYTES = 64 << 10
MAX_AUDIT_FILES = 100


class Forbiddable(enum.StrEnum):
    """What ``policy.forbid`` may name.

    EXEC holds for /run as well, which is exec by another name.
    """

    EXEC = "exec"
    ATTACH = "attach"
    PORT_FORWARD = "portForward"
    RUN = "run"
    PRIVILEGED = "privileged"
    CAPABILITIES = "capabilities"
    HOST_NETWORK = "hostNetwork"
    HOST_PID = "hostPID"
    HOST_IPC = "hostIPC"
    HOST_PORTS = "hostPorts"


class PolicyConfig(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What this machine refuses, whatever the cloud asks for; nothing by default.

    Attributes:
        forbid: Calls and properties of pods that are refused.
        allowed_host_paths: The folders below which pods may use the machine's files; an empty list
            allows none, no list allows all.
        allowed_namespaces: The namespaces whose pods may run here; no list allows all.
        denied_namespaces: Namespaces whose pods may not run here, allowed or not.
    """

    forbid: tuple[Forbiddable, ...] = ()
    allowed_host_paths: tuple[str, ...] | None = None
    allowed_namespaces: tuple[str, ...] | None = None
    denied_namespaces: tuple[str, ...] = ()


class AuditLogConfig(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Where it is written down who called into pods.

    Attributes:
        enabled: Whether it is.
        file: Absolute path; ``audit.log`` below rootDirectory where it is empty.
        max_bytes: A file of this size is put aside, and another one begun.
        max_files: How many of those that were put aside are kept, beside the current one.
    """

    enabled: bool = True
    file: str = ""
    max_bytes: int = 10 << 20
    max_files: int = 4


def policy_problem(config: PolicyConfig) -> str | None:
    """Say in a few words, after its field's name, what of the policy makes no sense."""
    for path in config.allowed_host_paths or ():
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            return f"policy.allowedHostPaths: {path!r} is no absolute path without '..'"
    return None


def audit_log_problem(config: AuditLogConfig) -> str | None:
    """Say in a few words, after its field's name, what of the audit log makes no sense."""
    if config.file and not config.file.startswith("/"):
        return f"auditLog.file: {config.file!r} is no absolute path"
    if config.max_bytes < MIN_AUDIT_BYTES:
        return f"auditLog.maxBytes: must be at least {MIN_AUDIT_BYTES}"
    if not 0 <= config.max_files <= MAX_AUDIT_FILES:
        return f"auditLog.maxFiles: must be 0 to {MAX_AUDIT_FILES}"
    return None
