"""Typed view over one container of a pod's API JSON: init, regular or ephemeral.

Views are cheap: they hold a reference and compute on access. Nobody may change the JSON below.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping

ContainerID = NewType("ContainerID", str)

Json = dict[str, Any]

DEFAULT_TERMINATION_MESSAGE_PATH = "/dev/termination-log"


class ContainerKind(enum.Enum):
    """Which list of the spec a container stands in; the values are the lists' names."""

    INIT = "initContainers"
    REGULAR = "containers"
    EPHEMERAL = "ephemeralContainers"


class ProbeKind(enum.Enum):
    """Which question a probe answers; the values are the fields' names."""

    STARTUP = "startupProbe"
    LIVENESS = "livenessProbe"
    READINESS = "readinessProbe"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """One environment variable of the spec, unexpanded."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Container:
    """One entry of ``initContainers``, ``containers`` or ``ephemeralContainers``."""

    raw: Json
    kind: ContainerKind = ContainerKind.REGULAR

    @property
    def name(self) -> str:
        """Name, unique in the pod."""
        return str(self.raw["name"])

    @property
    def image(self) -> str:
        """Image reference as the user wrote it."""
        return str(self.raw.get("image") or "")

    @property
    def image_pull_policy(self) -> str:
        """``Always``, ``IfNotPresent`` or ``Never``; the API server fills it in."""
        return str(self.raw.get("imagePullPolicy") or "IfNotPresent")

    @property
    def command(self) -> tuple[str, ...]:
        """Replaces the image's entry point when not empty; unexpanded."""
        return tuple(self.raw.get("command") or ())

    @property
    def args(self) -> tuple[str, ...]:
        """Replaces the image's command when not empty; unexpanded."""
        return tuple(self.raw.get("args") or ())

    @property
    def working_dir(self) -> str:
        """Working directory, empty for the image's."""
        return str(self.raw.get("workingDir") or "")

    @property
    def env(self) -> tuple[EnvVar, ...]:
        """Variables as the spec has them, in order; one that is taken from elsewhere is ""."""
        return tuple(
            EnvVar(name=str(entry["name"]), value=str(entry.get("value") or ""))
            for entry in self.raw.get("env") or ()
        )

    @property
    def stdin(self) -> bool:
        """Whether the container's standard input stays open for attach."""
        return bool(self.raw.get("stdin"))

    @property
    def stdin_once(self) -> bool:
        """Whether standard input closes after the first attach ended."""
        return bool(self.raw.get("stdinOnce"))

    @property
    def tty(self) -> bool:
        """Whether the container has a terminal."""
        return bool(self.raw.get("tty"))

    @property
    def requests(self) -> Mapping[str, str]:
        """Resource name to requested quantity."""
        return _quantities(self.raw, "requests")

    @property
    def limits(self) -> Mapping[str, str]:
        """Resource name to limit."""
        return _quantities(self.raw, "limits")

    @property
    def security_context(self) -> Json:
        """``securityContext``, empty when absent."""
        return dict(self.raw.get("securityContext") or {})

    @property
    def ports(self) -> tuple[Json, ...]:
        """``ports`` as written."""
        return tuple(self.raw.get("ports") or ())

    @property
    def termination_message_path(self) -> str:
        """Where the container may leave its last words."""
        return str(self.raw.get("terminationMessagePath") or DEFAULT_TERMINATION_MESSAGE_PATH)

    @property
    def termination_message_policy(self) -> str:
        """``File`` or ``FallbackToLogsOnError``."""
        return str(self.raw.get("terminationMessagePolicy") or "File")

    @property
    def restart_policy(self) -> str:
        """The container's own ``restartPolicy``, empty where the pod's holds."""
        return str(self.raw.get("restartPolicy") or "")

    @property
    def restart_rules(self) -> tuple[Json, ...]:
        """``restartPolicyRules`` as written: by exit code, before the policy."""
        return tuple(self.raw.get("restartPolicyRules") or ())

    @property
    def is_sidecar(self) -> bool:
        """Whether it is a restartable init container: it goes on while the pod runs.

        Source: kubernetes pkg/kubelet/types/pod_update.go ``IsRestartableInitContainer``.
        """
        return self.kind is ContainerKind.INIT and self.restart_policy == "Always"

    @property
    def field_path(self) -> str:
        """Where it stands in the pod, for events: ``spec.initContainers{name}``."""
        return f"spec.{self.kind.value}{{{self.name}}}"

    @property
    def lifecycle(self) -> Json:
        """``lifecycle``, empty when absent."""
        return dict(self.raw.get("lifecycle") or {})

    @property
    def post_start(self) -> Json | None:
        """The hook that runs right after the start, None without one."""
        return self.lifecycle.get("postStart")

    @property
    def pre_stop(self) -> Json | None:
        """The hook that runs before the stop signal, None without one."""
        return self.lifecycle.get("preStop")

    @property
    def target_container_name(self) -> str:
        """Whose process namespace an ephemeral container enters, empty for none."""
        return str(self.raw.get("targetContainerName") or "")

    def probe(self, kind: ProbeKind) -> Json | None:
        """Return a probe as written, None without one."""
        return self.raw.get(kind.value)


def _quantities(container: Json, kind: str) -> Mapping[str, str]:
    resources = container.get("resources") or {}
    return {str(name): str(value) for name, value in (resources.get(kind) or {}).items()}
