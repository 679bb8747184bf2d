"""Typed views over a pod's API JSON.

A pod stays the JSON that the API server wrote, so that no field is lost on its way to the store
and back; `Pod` and `Container` (container.py) only name what the edge reads. Views are cheap: they
hold a reference and compute on access. Nobody may change the JSON below a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NewType

from edge_runtime.objects.container import Container, ContainerKind, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

PodUID = NewType("PodUID", str)
SandboxID = NewType("SandboxID", str)

DEFAULT_TERMINATION_GRACE_PERIOD_S = 30


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
        return self._containers_of(ContainerKind.REGULAR)

    @property
    def init_containers(self) -> tuple[Container, ...]:
        """Init containers in spec order, sidecars among them."""
        return self._containers_of(ContainerKind.INIT)

    @property
    def ephemeral_containers(self) -> tuple[Container, ...]:
        """Containers that were added to the running pod, in the order they came."""
        return self._containers_of(ContainerKind.EPHEMERAL)

    @property
    def sidecars(self) -> tuple[Container, ...]:
        """The restartable ones of the init containers."""
        return tuple(each for each in self.init_containers if each.is_sidecar)

    @property
    def all_containers(self) -> tuple[Container, ...]:
        """Init, regular and ephemeral containers; no name occurs twice."""
        return (*self.init_containers, *self.containers, *self.ephemeral_containers)

    @property
    def restart_policy(self) -> str:
        """``Always``, ``OnFailure`` or ``Never``."""
        return str(self.spec.get("restartPolicy") or "Always")

    @property
    def node_name(self) -> str:
        """Node that the pod is bound to."""
        return str(self.spec.get("nodeName") or "")

    @property
    def active_deadline_s(self) -> int | None:
        """``activeDeadlineSeconds``, counted from ``status.startTime``; None for no deadline."""
        value = self.spec.get("activeDeadlineSeconds")
        return None if value is None else int(value)

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
        """Hostname inside the pod, at most 63 characters, without its domain.

        It is ``spec.hostnameOverride``, else ``spec.hostname``, else the name.

        Source: kubernetes pkg/kubelet/kubelet_pods.go ``GeneratePodHostNameAndDomain``,
        ``truncatePodHostnameIfNeeded``.
        """
        spec = self.spec
        wanted = str(spec.get("hostnameOverride") or spec.get("hostname") or self.name)
        return wanted if len(wanted) <= 63 else wanted[:63].rstrip("-.")

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
        """Return the container of this name, of whatever kind, None when the spec has none."""
        return next((each for each in self.all_containers if each.name == name), None)

    def _containers_of(self, kind: ContainerKind) -> tuple[Container, ...]:
        return tuple(Container(raw, kind) for raw in self.spec.get(kind.value) or ())


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time of the API (``2026-01-02T15:04:05Z``, with or without fractions).

    Raises:
        ValueError: The text is no such time.
    """
    return datetime.fromisoformat(text)
