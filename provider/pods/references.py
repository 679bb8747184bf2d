"""Which objects a pod refers to, so that they are brought to its site. Pure.

Source: kubernetes pkg/api/v1/pod/util.go ``VisitPodSecretNames``, ``VisitPodConfigmapNames``;
plugin/pkg/auth/authorizer/node/graph.go ``AddPod``, which lets a node read exactly these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = dict[str, Any]

# Source: RFC 1123, as apimachinery pkg/util/validation ``IsDNS1123Subdomain`` has it.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_MAX_NAME_CHARACTERS = 253
_ENDED_PHASES = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How objects of one kind are asked for.

    Attributes:
        resource: Plural name in paths.
        group: API group, "" for the core.
        is_watchable: Whether a node may watch one by name; else it may only get it.
    """

    resource: str
    group: str = ""
    version: str = "v1"
    is_watchable: bool = True

    @property
    def api_version(self) -> str:
        """As objects name it."""
        return f"{self.group}/{self.version}" if self.group else self.version


KINDS: Final[Mapping[str, Kind]] = {
    "RuntimeClass": Kind(resource="runtimeclasses", group="node.k8s.io"),
    "Secret": Kind(resource="secrets"),
}


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class ObjectRef:
    """One object; the namespace is "" for kinds that have none.

    Attributes:
        kind: A key of KINDS.
    """

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """Name of the object on the sync stream."""
        return object_key(kind=self.kind, namespace=self.namespace, name=self.name)

    @property
    def can_exist(self) -> bool:
        """Whether the name is one that the API server lets any object have.

        It does not check the names that pods give, and such a one must not reach a path.
        """
        return len(self.name) <= _MAX_NAME_CHARACTERS and _NAME.fullmatch(self.name) is not None


def pod_references(pod: Json) -> frozenset[ObjectRef]:
    """Return all objects that the edge needs to run a pod; none for one that has ended."""
    if (pod.get("status") or {}).get("phase") in _ENDED_PHASES:
        return frozenset()
    namespace = str(pod["metadata"].get("namespace") or "default")
    spec = pod.get("spec") or {}
    return frozenset(ref for source in _SOURCES for ref in source(spec, namespace))


def _pull_secrets(spec: Json, namespace: str) -> Iterator[ObjectRef]:
    for secret in spec.get("imagePullSecrets") or ():
        if name := secret.get("name"):
            yield ObjectRef(kind="Secret", namespace=namespace, name=str(name))


def _runtime_class(spec: Json, _namespace: str) -> Iterator[ObjectRef]:
    if name := spec.get("runtimeClassName"):
        yield ObjectRef(kind="RuntimeClass", namespace="", name=str(name))


_SOURCES: Final[tuple[Callable[[Json, str], Iterator[ObjectRef]], ...]] = (
    _pull_secrets,
    _runtime_class,
)
