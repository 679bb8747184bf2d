"""What the container runtime is: version, state, images; and what a command in a container left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeVersion:
    """Answer to CRI's Version.

    Attributes:
        name: ``containerd``.
        version: As the runtime writes it: ``1.6.20~ds1``, ``v2.1.4``.
        api_version: ``v1``.
    """

    name: str
    version: str
    api_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeCondition:
    """RuntimeReady or NetworkReady."""

    type: str
    status: bool
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeHandler:
    """One runtime class handler and what it can do; "" is the default one."""

    name: str
    recursive_read_only_mounts: bool = False
    user_namespaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeStatus:
    """Answer to CRI's Status.

    Attributes:
        supplemental_groups_policy: None when the runtime says nothing of features.
    """

    conditions: tuple[RuntimeCondition, ...] = ()
    handlers: tuple[RuntimeHandler, ...] = ()
    supplemental_groups_policy: bool | None = None

    def condition(self, condition_type: str) -> RuntimeCondition | None:
        """The condition of that type, None when the runtime did not report it."""
        return next((c for c in self.conditions if c.type == condition_type), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecResult:
    """What a command left behind; the two streams are cut by the runtime at 16 MiB."""

    stdout: bytes
    stderr: bytes
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeImage:
    """One image that the runtime has.

    Attributes:
        uid: Numeric user of the image, None when it names one or has none.
        username: User name of the image, "" when it is numeric or absent.
        pinned: Never to be removed (the pause image).
    """

    id: str
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    size_bytes: int = 0
    uid: int | None = None
    username: str = ""
    pinned: bool = False
