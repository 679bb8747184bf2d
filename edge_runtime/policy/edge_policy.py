"""Which calls are refused and which pods are never run; pure.

A refusal is one sentence that names the edge's policy and what it forbids, since a person in the
cloud reads it: as kubectl's error, or in the pod's status.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.policy.host_paths import is_below
from edge_runtime.policy_config import Forbiddable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.policy_config import PolicyConfig

# What a container may add without leaving its cell: the Baseline of the Pod Security Standards.
# Source: k8s.io/pod-security-admission policy/check_capabilities_baseline.go.
HARMLESS_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
# What a message repeats of a pod's own texts.
_MAX_SHOWN_CHARACTERS = 200
_CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")


class CallKind(enum.StrEnum):
    """Calls into a pod, as messages and the audit log name them."""

    EXEC = "exec"
    ATTACH = "attach"
    PORT_FORWARD = "portForward"
    RUN = "run"
    LOGS = "containerLogs"


_FORBIDDEN_BY = {
    CallKind.EXEC: (Forbiddable.EXEC,),
    CallKind.ATTACH: (Forbiddable.ATTACH,),
    CallKind.PORT_FORWARD: (Forbiddable.PORT_FORWARD,),
    CallKind.RUN: (Forbiddable.RUN, Forbiddable.EXEC),
    CallKind.LOGS: (),
}
_CALL_NAMES = {CallKind.PORT_FORWARD: "port-forward", CallKind.LOGS: "logs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePolicy:
    """What the machine's owner forbids; the default forbids nothing.

    Attributes:
        forbidden: Calls and properties of pods.
        allowed_host_paths: Host paths outside these folders are forbidden, all where it is empty;
            None allows all.
        allowed_namespaces: Others are forbidden; None allows all.
        denied_namespaces: Forbidden, even where they are among the allowed ones.
    """

    forbidden: frozenset[Forbiddable] = frozenset()
    allowed_host_paths: tuple[str, ...] | None = None
    allowed_namespaces: frozenset[str] | None = None
    denied_namespaces: frozenset[str] = frozenset()

    def call_refusal(self, kind: CallKind, *, namespace: str) -> str | None:
        """Say why a call into a pod of that namespace is refused, None when it is not."""
        if not self.forbidden.isdisjoint(_FORBIDDEN_BY[kind]):
            return f"the policy of this edge forbids {_CALL_NAMES.get(kind, kind)}"
        return self._namespace_refusal(namespace)

    def pod_refusal(self, pod: Pod) -> str | None:
        """Say why a pod is never run here, None when it may run."""
        refusal = self._namespace_refusal(pod.namespace)
        if refusal is not None:
            return refusal
        forbidden = next(self._forbidden_fields(pod), None)
        return None if forbidden is None else f"the policy of this edge forbids {forbidden}"

    def allows_host_path(self, path: str) -> bool:
        """Return whether a path of the machine may be mounted; ask for the resolved one, too."""
        return self.allowed_host_paths is None or is_below(path, self.allowed_host_paths)

    def _namespace_refusal(self, namespace: str) -> str | None:
        is_allowed = self.allowed_namespaces is None or namespace in self.allowed_namespaces
        if is_allowed and namespace not in self.denied_namespaces:
            return None
        return f'the policy of this edge forbids namespace "{_shown(namespace)}"'

    def _forbidden_fields(self, pod: Pod) -> Iterator[str]:
        for what in (Forbiddable.HOST_NETWORK, Forbiddable.HOST_PID, Forbiddable.HOST_IPC):
            if what in self.forbidden and pod.spec.get(what.value):
                yield f"{what} (spec.{what})"
        for field in _CONTAINER_FIELDS:
            for container in pod.spec.get(field) or ():
                path = f"spec.{field}[{container.get('name')}]"
                yield from self._forbidden_in_container(container, path)
        for volume in pod.spec.get("volumes") or ():
            source = volume.get("hostPath")
            if source is not None and not self.allows_host_path(str(source.get("path") or "")):
                yield f"host path {_shown(source.get('path'))} (spec.volumes[{volume.get('name')}])"

    def _forbidden_in_container(self, container: Json, path: str) -> Iterator[str]:
        context = container.get("securityContext") or {}
        if Forbiddable.PRIVILEGED in self.forbidden:
            if context.get("privileged"):
                yield f"privileged containers ({path}.securityContext.privileged)"
            if context.get("procMount") not in (None, "", "Default"):
                yield f"an unmasked /proc ({path}.securityContext.procMount)"
        if Forbiddable.CAPABILITIES in self.forbidden:
            for name in (context.get("capabilities") or {}).get("add") or ():
                if str(name).upper() not in HARMLESS_CAPABILITIES:
                    yield f"capability {_shown(name)} ({path}.securityContext.capabilities)"
        if Forbiddable.HOST_PORTS in self.forbidden:
            for port in container.get("ports") or ():
                if port.get("hostPort"):
                    yield f"host port {port['hostPort']} ({path}.ports)"


FORBIDS_NOTHING = EdgePolicy()


def policy_of(config: PolicyConfig) -> EdgePolicy:
    """Return the policy that is configured."""
    namespaces = config.allowed_namespaces
    return EdgePolicy(
        forbidden=frozenset(config.forbid),
        allowed_host_paths=config.allowed_host_paths,
        allowed_namespaces=None if namespaces is None else frozenset(namespaces),
        denied_namespaces=frozenset(config.denied_namespaces),
    )


def _shown(value: object) -> str:
    text = str(value)[:_MAX_SHOWN_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in text)
