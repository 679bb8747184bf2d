"""The edge's configuration file as a value; pure: whoever calls has read the file.

Names follow KubeletConfiguration where it has one (camelCase, durations as ``10s`` or ``1m30s``).
A field that is not known is an error, since a misspelt one would silently leave its default in
force.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

import msgspec

from edge_runtime.housekeeping_config import housekeeping_problem
from edge_runtime.objects.duration import parse_duration_s
from edge_runtime.policy_config import (
    AuditLogConfig,
    PolicyConfig,
    audit_log_problem,
    policy_problem,
)
from edge_runtime.reserve_config import ReserveConfig, reserve_problem
from edge_runtime.sealing_config import SealingKeyConfig, sealing_key_problem

# The distribution's (pyproject.toml); also what Hello tells the provider.
EDGELET_VERSION = "0.1.0"

_PATH_FIELDS = (
    "rootDirectory",
    "podLogsDir",
    "containerLogsDir",
    "resolvConf",
    "systemLogsDir",
)


class ConfigError(Exception):
    """The configuration cannot be used; one sentence that names the field or file."""


class LoggingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the process logs, always to standard error.

    Attributes:
        level: Least severe level that is written.
        format: ``text`` is one line of ``key=value`` pairs, ``json`` one JSON object a line.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class EdgeConfig(
    ReserveConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """What one edge process is told, besides what it keeps free and how.

    Attributes:
        server: The provider's edge port, ``HOST:PORT``; "" for the one that was joined.
        root_directory: State that outlives the process; locked by the one edgelet that runs there.
        container_runtime_endpoint: ``unix:///path`` of the CRI socket.
        cgroup_root: Below which pods get their cgroups.
        cgroup_driver: Used where the runtime does not tell its own.
        cluster_dns: Name servers of pods with dnsPolicy ClusterFirst.
        resolv_conf: The machine's own name servers, for pods that use them.
        max_pods: Published as the Node's capacity.
        pod_pids_limit: Processes and threads of one pod; -1 for no limit.
        oom_score_adj: Of edgelet itself; where the machine forbids it, it is left as it is.
        relist_period: How often the runtime is asked what it has, a duration.
        node_status_update_frequency: How often machine and runtime are looked at, a duration.
        session_resume_timeout: How long the calls of a tunnel whose connection is cut wait for the
            next one, a duration; then they end with an error.
        drain_timeout: What running streams get on a planned stop, a duration.
        enable_system_log_handler: Show the machine's own log files below ``/logs/``. A kubelet does
            unless told not to.
        enable_system_log_query: Answer queries for the machine's journal there, too.
        system_logs_dir: Where the machine's own logs are.
        policy: What this machine refuses, whatever the cloud asks for.
        audit_log: Where it is written down who called into pods.
        sealing_key: Where the key is with which Secrets and tokens are sealed on the disk.
    """

    server: str = ""
    root_directory: str = "/var/lib/edgelet"
    pod_logs_dir: str = "/var/log/pods"
    container_logs_dir: str = "/var/log/containers"
    container_runtime_endpoint: str = "unix:///run/containerd/containerd.sock"
    cgroup_root: str = "/"
    cgroup_driver: Literal["cgroupfs", "systemd"] = "cgroupfs"
    cluster_dns: tuple[str, ...] = msgspec.field(name="clusterDNS", default=())
    cluster_domain: str = "cluster.local"
    resolv_conf: str = "/etc/resolv.conf"
    max_pods: int = 110
    pod_pids_limit: int = -1
    oom_score_adj: int = -999
    relist_period: str = "1s"
    node_status_update_frequency: str = "10s"
    session_resume_timeout: str = "2m"
    drain_timeout: str = "10s"
    enable_system_log_handler: bool = False
    enable_system_log_query: bool = False
    system_logs_dir: str = "/var/log"
    logging: LoggingConfig = LoggingConfig()
    policy: PolicyConfig = PolicyConfig()
    audit_log: AuditLogConfig = AuditLogConfig()
    sealing_key: SealingKeyConfig = SealingKeyConfig()

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host (without brackets) and port of the provider; None for the one that was joined."""
        return parse_server(self.server) if self.server else None

    @property
    def relist_period_s(self) -> float:
        """``relist_period`` in seconds."""
        return parse_duration_s(self.relist_period)

    @property
    def node_status_update_frequency_s(self) -> float:
        """``node_status_update_frequency`` in seconds."""
        return parse_duration_s(self.node_status_update_frequency)

    @property
    def session_resume_timeout_s(self) -> float:
        """``session_resume_timeout`` in seconds."""
        return parse_duration_s(self.session_resume_timeout)

    @property
    def drain_timeout_s(self) -> float:
        """``drain_timeout`` in seconds."""
        return parse_duration_s(self.drain_timeout)


def decode_config(document: object) -> EdgeConfig:
    """Turn the decoded document into a checked configuration.

    Raises:
        ConfigError: A field is unknown, missing, of another type, or its value makes no sense.
    """
    if not isinstance(document, dict):
        raise ConfigError("the document is not a mapping of fields")
    try:
        config = msgspec.convert(document, EdgeConfig)
    except msgspec.ValidationError as exc:
        raise ConfigError(_describe(str(exc))) from exc
    _check(config)
    return config


def parse_server(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``; an IPv6 host stands in brackets, which are taken off.

    Raises:
        ValueError: There is no host, or the port is not 1 to 65535.
    """
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    is_port = port.isdecimal() and port.isascii() and 0 < int(port) < 1 << 16
    if not (separator and host and is_port) or (":" in host and not bracketed):
        raise ValueError(f"{text!r} is not HOST:PORT")
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", host):
        raise ValueError(f"{text!r} has no host name or address")
    return host, int(port)


def _describe(message: str) -> str:
    # msgspec: "Expected `int`, got `str` - at `$.maxPods`"; people look for the field first.
    text, separator, path = message.rpartition(" - at `$")
    field = path.removesuffix("`").removeprefix(".")
    if separator and field:
        return f"field {field}: {text[:1].lower()}{text[1:]}"
    return f"{message[:1].lower()}{message[1:]}"


def _check(config: EdgeConfig) -> None:
    names = {field.name: field.encode_name for field in msgspec.structs.fields(config)}
    for name in (
        "server_address",
        "relist_period_s",
        "node_status_update_frequency_s",
        "session_resume_timeout_s",
        "drain_timeout_s",
    ):
        try:
            getattr(config, name)
        except ValueError as exc:
            field = names[name.removesuffix("_s").removesuffix("_address")]
            raise ConfigError(f"field {field}: {exc}") from exc
    by_encoded_name = {
        field.encode_name: getattr(config, field.name) for field in msgspec.structs.fields(config)
    }
    for path_field in _PATH_FIELDS:
        if not by_encoded_name[path_field].startswith("/"):
            raise ConfigError(
                f"field {path_field}: {by_encoded_name[path_field]!r} is no absolute path"
            )
    _check_values(config)


def _check_values(config: EdgeConfig) -> None:
    problem = (
        policy_problem(config.policy)
        or audit_log_problem(config.audit_log)
        or sealing_key_problem(config.sealing_key)
        or housekeeping_problem(config)
        or reserve_problem(config)
    )
    if problem is not None:
        raise ConfigError(f"field {problem}")
    if not config.container_runtime_endpoint.startswith("unix:///"):
        raise ConfigError("field containerRuntimeEndpoint: only unix:///absolute/path is supported")
    if not config.cgroup_root.startswith("/"):
        raise ConfigError(f"field cgroupRoot: {config.cgroup_root!r} does not start with '/'")
    if config.enable_system_log_query and not config.enable_system_log_handler:
        raise ConfigError("field enableSystemLogQuery: needs enableSystemLogHandler")
    if config.max_pods < 1:
        raise ConfigError("field maxPods: must be at least 1")
    if config.pod_pids_limit < 1 and config.pod_pids_limit != -1:
        raise ConfigError("field podPidsLimit: must be at least 1, or -1 for no limit")
    if not -1000 <= config.oom_score_adj <= 1000:
        raise ConfigError("field oomScoreAdj: must be -1000 to 1000")
    for server in config.cluster_dns:
        try:
            ipaddress.ip_address(server)
        except ValueError as exc:
            raise ConfigError(f"field clusterDNS: {server!r} is no IP address") from exc
