"""Which objects a pod refers to, so that they are brought to its site. Pure.

Names of Secrets that belong to volumes of kinds that no edge mounts (CSI, cloud disks, …) are left
out: a site holds no secret that nothing there reads.

Source: kubernetes pkg/api/v1/pod/util.go ``VisitPodSecretNames``, ``VisitPodConfigmapNames``;
plugin/pkg/auth/authorizer/node/graph.go ``AddPod``, which lets a node read exactly these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]

# Source: RFC 1123, as apimachinery pkg/util/validation ``IsDNS1123Subdomain`` has it.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_MAX_NAME_CHARACTERS = 253
_ENDED_PHASES = frozenset({"Succeeded", "Failed"})


CONFIG_MAP: Final = "ConfigMap"
CLAIM: Final = "PersistentVolumeClaim"
VOLUME: Final = "PersistentVolume"
RUNTIME_CLASS: Final = "RuntimeClass"
SECRET: Final = "Secret"  # noqa: S105  # a kind
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


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
    CONFIG_MAP: Kind(resource="configmaps"),
    CLAIM: Kind(resource="persistentvolumeclaims", is_watchable=False),
    VOLUME: Kind(resource="persistentvolumes", is_watchable=False),
    RUNTIME_CLASS: Kind(resource="runtimeclasses", group="node.k8s.io"),
    SECRET: Kind(resource="secrets"),
}

_CLUSTER_WIDE = frozenset({RUNTIME_CLASS, VOLUME})


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
    """Return all objects that the edge needs to run a pod; none for one that has ended.

    The volume behind a claim is not among them: only the claim itself tells it (``claim_volume``).
    """
    if (pod.get("status") or {}).get("phase") in _ENDED_PHASES:
        return frozenset()
    namespace = str(pod["metadata"].get("namespace") or "default")
    names = _names(pod)
    refs = (
        ObjectRef(
            kind=kind,
            namespace="" if kind in _CLUSTER_WIDE else namespace,
            name=str(name),
        )
        for kind, name in names
        if name
    )
    return frozenset(refs)


def claim_volume(claim: Json) -> ObjectRef | None:
    """Return the volume that a claim is bound to, None while it is bound to none."""
    name = (claim.get("spec") or {}).get("volumeName")
    # A claim may name the volume that it wishes for; only once it is bound may its node read it.
    is_bound = (claim.get("status") or {}).get("phase") == "Bound"
    return ObjectRef(kind=VOLUME, namespace="", name=str(name)) if name and is_bound else None


def _names(pod: Json) -> Iterator[tuple[str, object]]:
    """Yield kind and name of whatever a pod names, also names that are empty."""
    spec = pod.get("spec") or {}
    for each in spec.get("imagePullSecrets") or ():
        yield SECRET, each.get("name")
    yield RUNTIME_CLASS, spec.get("runtimeClassName")
    for containers in _CONTAINER_LISTS:
        for container in spec.get(containers) or ():
            yield from _environment_names(container)
    for volume in spec.get("volumes") or ():
        yield from _volume_names(volume)
        # Source: k8s.io/component-helpers storage/ephemeral ``VolumeClaimName``.
        if volume.get("ephemeral"):
            yield CLAIM, f"{pod['metadata'].get('name')}-{volume.get('name')}"


def _environment_names(container: Json) -> Iterator[tuple[str, object]]:
    for source in container.get("envFrom") or ():
        yield CONFIG_MAP, (source.get("configMapRef") or {}).get("name")
        yield SECRET, (source.get("secretRef") or {}).get("name")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield CONFIG_MAP, (source.get("configMapKeyRef") or {}).get("name")
        yield SECRET, (source.get("secretKeyRef") or {}).get("name")


def _volume_names(volume: Json) -> Iterator[tuple[str, object]]:
    yield CONFIG_MAP, (volume.get("configMap") or {}).get("name")
    yield SECRET, (volume.get("secret") or {}).get("secretName")
    yield CLAIM, (volume.get("persistentVolumeClaim") or {}).get("claimName")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield CONFIG_MAP, (source.get("configMap") or {}).get("name")
        yield SECRET, (source.get("secret") or {}).get("name")
