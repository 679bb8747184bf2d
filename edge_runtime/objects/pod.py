"""Typed views over a pod's API JSON.

A pod stays the JSON that the API server wrote, so that no field is lost on its way to the store
and back; `Pod` and `Container` only name what the edge reads. Views are cheap: they hold a
reference and compute on access. Nobody may change the JSON below a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NewType

if TYPE_CHECKING:
    from collections.abc import Mapping

PodUID = NewType("PodUID", str)
ContainerID = NewType("ContainerID", str)
SandboxID = NewType("SandboxID", str)

Json = dict[str, Any]

DEFAULT_TERMINATION_GRACE_PERIOD_S = 30
DEFAULT_TERMINATION_MESSAGE_PATH = "/dev/termination-log"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """One literal environment variable, unexpanded."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Container:
    """One entry of ``spec.containers``."""

    raw: Json

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
        """Literal variables in order; admission has refused ``valueFrom`` before this is read."""
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


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the API describes it."""

    raw: Json

    @property
    def metadata(self) -> Json:
        """``metadata`` as written."""
        return dict(self.raw.get("metadata") or {})

    @property
    def spec(self) -> Json:
        """``spec`` as written."""
        return dict(self.raw.get("spec") or {})

    @property
    def status(self) -> Json:
        """``status`` as it came down: the API's stored one, foreign conditions only, or empty."""
        return dict(self.raw.get("status") or {})

    @property
    def uid(self) -> PodUID:
        """UID; the pod's identity everywhere on the edge."""
        return PodUID(str(self.metadata["uid"]))

    @property
    def name(self) -> str:
        """Name, unique in its namespace at one time."""
        return str(self.metadata["name"])

    @property
    def namespace(self) -> str:
        """Namespace."""
        return str(self.metadata.get("namespace") or "default")

    @property
    def full_name(self) -> str:
        """``name_namespace``, as the kubelet writes pods into messages."""
        return f"{self.name}_{self.namespace}"

    @property
    def generation(self) -> int:
        """``metadata.generation``; 0 when the API server sets none (before 1.33)."""
        return int(self.metadata.get("generation") or 0)

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels."""
        return dict(self.metadata.get("labels") or {})

    @property
    def annotations(self) -> Mapping[str, str]:
        """Annotations."""
        return dict(self.metadata.get("annotations") or {})

    @property
    def is_deleted(self) -> bool:
        """Whether the API wants the pod to end (``deletionTimestamp`` is set)."""
        return bool(self.metadata.get("deletionTimestamp"))

    @property
    def deletion_timestamp(self) -> datetime | None:
        """When the grace period ends or ended, UTC."""
        text = self.metadata.get("deletionTimestamp")
        return parse_time(str(text)) if text else None

    @property
    def deletion_grace_period_s(self) -> int | None:
        """Grace period of the deletion; None when not given."""
        value = self.metadata.get("deletionGracePeriodSeconds")
        return None if value is None else int(value)

    @property
    def termination_grace_period_s(self) -> int:
        """Grace period of the spec, 30 when not given."""
        value = self.spec.get("terminationGracePeriodSeconds")
        return DEFAULT_TERMINATION_GRACE_PERIOD_S if value is None else int(value)

    @property
    def containers(self) -> tuple[Container, ...]:
        """Regular containers in spec order."""
        return tuple(Container(raw) for raw in self.spec.get("containers") or ())

    @property
    def init_containers(self) -> tuple[Container, ...]:
        """Init containers in spec order, sidecars among them."""
        return tuple(Container(raw) for raw in self.spec.get("initContainers") or ())

    @property
    def restart_policy(self) -> str:
        """``Always``, ``OnFailure`` or ``Never``."""
        return str(self.spec.get("restartPolicy") or "Always")

    @property
    def node_name(self) -> str:
        """Node that the pod is bound to."""
        return str(self.spec.get("nodeName") or "")

    @property
    def host_network(self) -> bool:
        """Whether the pod shares the machine's network namespace."""
        return bool(self.spec.get("hostNetwork"))

    @property
    def host_pid(self) -> bool:
        """Whether the pod shares the machine's process ids."""
        return bool(self.spec.get("hostPID"))

    @property
    def host_ipc(self) -> bool:
        """Whether the pod shares the machine's System V IPC."""
        return bool(self.spec.get("hostIPC"))

    @property
    def share_process_namespace(self) -> bool:
        """Whether the pod's containers share one process id namespace."""
        return bool(self.spec.get("shareProcessNamespace"))

    @property
    def hostname(self) -> str:
        """Hostname inside the pod: ``spec.hostname`` or the name, at most 63 characters.

        Source: kubernetes pkg/kubelet/util ``TruncatePodHostnameIfNeeded``.
        """
        return str(self.spec.get("hostname") or self.name)[:63].rstrip("-.")

    @property
    def dns_policy(self) -> str:
        """``ClusterFirst``, ``ClusterFirstWithHostNet``, ``Default`` or ``None``."""
        return str(self.spec.get("dnsPolicy") or "ClusterFirst")

    @property
    def dns_config(self) -> Json:
        """``spec.dnsConfig``, empty when absent."""
        return dict(self.spec.get("dnsConfig") or {})

    @property
    def security_context(self) -> Json:
        """``spec.securityContext``, empty when absent."""
        return dict(self.spec.get("securityContext") or {})

    @property
    def runtime_class_name(self) -> str:
        """RuntimeClass name, empty for the default handler."""
        return str(self.spec.get("runtimeClassName") or "")

    @property
    def priority(self) -> int | None:
        """Resolved priority, None when admission set none."""
        value = self.spec.get("priority")
        return None if value is None else int(value)

    @property
    def log_folder_name(self) -> str:
        """Name of the pod's folder below the pod logs folder: ``<namespace>_<name>_<uid>``."""
        return f"{self.namespace}_{self.name}_{self.uid}"

    def container(self, name: str) -> Container | None:
        """Return the regular container of this name, None when the spec has none."""
        return next((each for each in self.containers if each.name == name), None)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time of the API (``2026-01-02T15:04:05Z``, with or without fractions).

    Raises:
        ValueError: The text is no such time.
    """
    return datetime.fromisoformat(text)


def _quantities(container: Json, kind: str) -> Mapping[str, str]:
    resources = container.get("resources") or {}
    return {str(name): str(value) for name, value in (resources.get(kind) or {}).items()}
