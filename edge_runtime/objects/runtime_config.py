"""What the container runtime is asked for: sandboxes and containers as plain values.

``runtime/cri_config.py`` computes them from a pod, ``CriClient`` turns them into CRI's messages.
Their fields are CRI's (cri-api runtime/v1 api.proto), with units in the names.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerResources, NamespaceMode

if TYPE_CHECKING:
    from collections.abc import Mapping


class ProfileType(enum.Enum):
    """Kind of a seccomp or AppArmor profile; the values are CRI's."""

    RUNTIME_DEFAULT = 0
    UNCONFINED = 1
    LOCALHOST = 2


class MountPropagation(enum.Enum):
    """How mounts travel between machine and container; the values are CRI's."""

    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityProfile:
    """A seccomp or AppArmor profile; ``localhost_ref`` names the file or profile of LOCALHOST."""

    type: ProfileType
    localhost_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IDRange:
    """The machine's user and group ids that a pod sees as 0 and up."""

    host_id: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceOptions:
    """Whose namespaces are used.

    Attributes:
        target_id: The container of mode TARGET.
        users: The pod's own users and groups, None for the machine's.
    """

    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.CONTAINER
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""
    users: IDRange | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SELinuxOptions:
    """SELinux label."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """Contents of the sandbox's resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortMapping:
    """A port of the machine that leads into the pod; ``protocol`` is TCP, UDP or SCTP."""

    protocol: str
    container_port: int
    host_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedImage:
    """An image that the runtime mounts.

    Attributes:
        ref: The image as the runtime resolved it.
        user_specified_image: The image as the pod's spec has it.
        runtime_handler: "" for the runtime's default.
        sub_path: Folder of the image, "" for all of it.
    """

    ref: str
    user_specified_image: str
    runtime_handler: str = ""
    sub_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount into a container.

    Attributes:
        container_path: Absolute.
        host_path: What is bound, absolute; "" for an image.
        image: What is mounted instead of a path of the machine.
    """

    container_path: str
    host_path: str
    readonly: bool = False
    recursive_read_only: bool = False
    selinux_relabel: bool = False
    propagation: MountPropagation = MountPropagation.PRIVATE
    image: MountedImage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSecurity:
    """Security context of the sandbox's own process."""

    namespaces: NamespaceOptions
    seccomp: SecurityProfile
    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_strict: bool = False
    selinux: SELinuxOptions | None = None
    privileged: bool = False
    readonly_rootfs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """A pod sandbox to run.

    Attributes:
        hostname: "" with the host's network.
        log_directory: Absolute; the containers' ``log_path`` is relative to it.
        cgroup_parent: Path (cgroupfs) or slice (systemd) of the pod's cgroup.
        resources: Sum over the pod's containers, for runtimes that size the sandbox (VMs).
        runtime_handler: "" for the runtime's default.
    """

    name: str
    namespace: str
    uid: str
    attempt: int
    hostname: str
    log_directory: str
    cgroup_parent: str
    security: SandboxSecurity
    dns: DnsConfig | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    resources: ContainerResources | None = None
    overhead: ContainerResources | None = None
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSecurity:
    """Security context of a container."""

    namespaces: NamespaceOptions
    seccomp: SecurityProfile
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    privileged: bool = False
    selinux: SELinuxOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    readonly_rootfs: bool = False
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_strict: bool = False
    no_new_privs: bool = False
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    apparmor: SecurityProfile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """A container to create in a sandbox.

    Attributes:
        attempt: The restart count, part of the name by which the runtime tells attempts apart.
        image_ref: The image as the runtime resolved it.
        user_specified_image: The image as the pod's spec has it.
        log_path: Relative to the sandbox's log directory.
        command: Expanded, so it may hold secrets, as `args` and `env` do: none of them is shown.
        stop_signal: ``SIGUSR1`` and the like; "" for the image's.
    """

    name: str
    attempt: int
    image_ref: str
    user_specified_image: str
    log_path: str
    resources: ContainerResources
    security: ContainerSecurity
    command: tuple[str, ...] = field(default=(), repr=False)
    args: tuple[str, ...] = field(default=(), repr=False)
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    stop_signal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImage:
    """An image as the runtime has it.

    Attributes:
        ref: What CreateContainer takes and ``containerStatuses[].imageID`` shows.
        uid: Numeric user of the image, None when it names one or has none.
        username: User name of the image, "" when it is numeric or absent.
    """

    ref: str
    uid: int | None = None
    username: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAuth:
    """Credentials for one pull; never shown in a repr."""

    username: str = ""
    password: str = field(default="", repr=False)
    auth: str = field(default="", repr=False)
    server_address: str = ""
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
