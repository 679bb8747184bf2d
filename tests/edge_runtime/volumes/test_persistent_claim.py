"""Claims: what they are bound to is mounted, and why it cannot be is told in a kubelet's words."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.node import Node
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import MountedVolume, Volume, claim_name
from edge_runtime.volumes.persistent_claim import PersistentClaimPlugin, source_of
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.referenced_objects import ReferencedObjects

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from edge_runtime.volumes.persistent_source import PersistentSource

Json = dict[str, Any]

CLAIM: Json = {
    "metadata": {"name": "c", "uid": "claim-uid"},
    "spec": {"volumeName": "pv"},
    "status": {"phase": "Bound"},
}
VOLUME: Json = {
    "metadata": {"name": "pv"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "claimRef": {"uid": "claim-uid"},
        "local": {"path": "/disks/a"},
        "volumeMode": "Filesystem",
    },
}
POD = Pod(
    {
        "metadata": {"uid": "pod-uid", "name": "p", "namespace": "ns"},
        "spec": {
            "containers": [{"name": "x", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]
        },
    }
)
FOUND = MountedVolume(name="data", host_path="/found")


class Stored:
    """An object as the edge has it."""

    def __init__(self, found: Json) -> None:
        self.json = found

    @property
    def is_missing(self) -> bool:
        """Whether the API does not have it."""
        return not self.json


class Store:
    """Some objects, by kind and name; an empty one is missing."""

    def __init__(self, objects: dict[str, Json]) -> None:
        self._objects = objects

    def get(self, *, kind: str, namespace: str, name: str) -> Stored | None:
        """Return one."""
        found = self._objects.get(f"{kind}/{namespace}/{name}")
        return None if found is None else Stored(found)

    async def wait_known(self, keys: Collection[str], *, timeout_s: float) -> bool:
        """Tell at once."""
        del timeout_s
        return all(key in self._objects for key in keys)


class Mounter:
    """Remembers what it was asked to mount."""

    def __init__(self, *, takes_mount_options: bool = True) -> None:
        self.takes_mount_options = takes_mount_options
        self.asked: list[PersistentSource] = []

    async def mount_source(self, pod: Pod, source: PersistentSource, folder: Path) -> MountedVolume:
        """Remember."""
        del pod, folder
        self.asked.append(source)
        return FOUND


def changed(base: Json, path: str, value: object) -> Json:
    """A copy with one field set, or without it for None."""
    result: Json = copy.deepcopy(base)
    *way, last = path.split(".")
    where = result
    for each in way:
        where = where.setdefault(each, {})
    if value is None:
        where.pop(last, None)
    else:
        where[last] = value
    return result


def plugin_over(
    claim: Json | None = CLAIM,
    volume: Json | None = VOLUME,
    *,
    mounter: Mounter | None = None,
    node: Node | None = None,
    claim_key: str = "c",
) -> PersistentClaimPlugin:
    """A plugin over one claim and one volume; None is what the provider has not told yet."""
    objects: dict[str, Json] = {}
    if claim is not None:
        objects[f"PersistentVolumeClaim/ns/{claim_key}"] = claim
    if volume is not None:
        objects["PersistentVolume//pv"] = volume
    return PersistentClaimPlugin(
        ReferencedObjects(Store(objects)),
        mounters={"local": mounter or Mounter()},
        node=lambda: node,
    )


def claim_volume(**source: Any) -> Volume:  # noqa: ANN401  # a source's own fields
    """A volume that is a claim."""
    return Volume({"name": "data", "persistentVolumeClaim": {"claimName": "c", **source}})


async def test_what_it_is_bound_to_is_mounted(tmp_path: Path) -> None:
    """With what volume and claim say around it."""
    mounter = Mounter()
    volume = changed(VOLUME, "spec.mountOptions", ["noatime", "nodev"])
    plugin = plugin_over(volume=volume, mounter=mounter)
    assert await plugin.set_up(POD, claim_volume(readOnly=True), tmp_path) == FOUND
    [asked] = mounter.asked
    assert asked.volume_name == "data"
    assert asked.fields == {"path": "/disks/a"}
    assert asked.is_read_only
    assert asked.mount_options == ("noatime", "nodev")


IN_CLAIM = "error processing PVC ns/c: "


@pytest.mark.parametrize(
    ("claim", "volume", "message"),
    [
        (
            {},
            VOLUME,
            f'{IN_CLAIM}failed to fetch PVC from API server: persistentvolumeclaims "c" not found',
        ),
        (
            None,
            VOLUME,
            f"{IN_CLAIM}failed to fetch PVC from API server: failed to sync"
            " persistentvolumeclaim cache: timed out waiting for the condition",
        ),
        (changed(CLAIM, "status.phase", "Pending"), None, f"{IN_CLAIM}PVC is not bound"),
        (changed(CLAIM, "status", None), None, f"{IN_CLAIM}PVC is not bound"),
        (
            changed(CLAIM, "spec.volumeName", None),
            None,
            f"{IN_CLAIM}PVC has empty pvc.Spec.VolumeName",
        ),
        (
            changed(CLAIM, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z"),
            VOLUME,
            f"{IN_CLAIM}PVC is being deleted",
        ),
        (
            CLAIM,
            {},
            f'{IN_CLAIM}failed to fetch PV pv from API server: persistentvolumes "pv" not found',
        ),
        (
            CLAIM,
            changed(VOLUME, "spec.claimRef", None),
            f"{IN_CLAIM}found PV object pv but it has a nil pv.Spec.ClaimRef indicating it is not"
            " yet bound to the claim",
        ),
        (
            CLAIM,
            changed(VOLUME, "spec.claimRef.uid", "other"),
            f"{IN_CLAIM}found PV object pv but its pv.Spec.ClaimRef.UID other does not point to"
            " claim.UID claim-uid",
        ),
        (
            CLAIM,
            changed(VOLUME, "spec.volumeMode", "Block"),
            f"{IN_CLAIM}volume data has volumeMode Block, but is specified in volumeMounts",
        ),
        (
            CLAIM,
            changed(
                changed(VOLUME, "spec.local", None), "spec.csi", {"driver": "disks.example.com"}
            ),
            "this edgelet does not support volumes of kind csi (driver disks.example.com)",
        ),
    ],
)
async def test_why_it_is_not_mounted(
    claim: Json | None, volume: Json | None, message: str, tmp_path: Path
) -> None:
    """Every step that may fail."""
    mounter = Mounter()
    plugin = plugin_over(claim, volume, mounter=mounter)
    with pytest.raises(VolumeError) as caught:
        await plugin.set_up(POD, claim_volume(), tmp_path)
    assert str(caught.value) == message
    assert mounter.asked == []
    assert caught.value.is_lasting is ("csi" in message)


async def test_a_claim_that_is_deleted_lasts_as_long_as_its_pods(tmp_path: Path) -> None:
    """Its protection holds it, so the pod may start again, as after a reboot."""
    claim = changed(CLAIM, "metadata.deletionTimestamp", "2026-01-01T00:00:00Z")
    claim = changed(claim, "metadata.finalizers", ["kubernetes.io/pvc-protection"])
    assert await plugin_over(claim).set_up(POD, claim_volume(), tmp_path) == FOUND


def affine(value: str) -> Json:
    """A volume of one machine."""
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [value]}
    terms = [{"matchExpressions": [expression]}]
    return changed(VOLUME, "spec.nodeAffinity", {"required": {"nodeSelectorTerms": terms}})


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Node(name="a", labels={"kubernetes.io/hostname": "here"}), None),
        (
            Node(name="b", labels={"kubernetes.io/hostname": "there"}),
            "no matching NodeSelectorTerms",
        ),
        (None, "the cloud has not told of this Node yet"),
    ],
)
async def test_node_affinity(node: Node | None, message: str | None, tmp_path: Path) -> None:
    """A disk of another machine is not looked for on this one."""
    plugin = plugin_over(volume=affine("here"), node=node)
    if message is None:
        assert await plugin.set_up(POD, claim_volume(), tmp_path) == FOUND
        return
    with pytest.raises(VolumeError) as caught:
        await plugin.set_up(POD, claim_volume(), tmp_path)
    assert str(caught.value) == message


async def test_mount_options_where_they_mean_nothing(tmp_path: Path) -> None:
    """They are refused, not dropped."""
    mounter = Mounter(takes_mount_options=False)
    volume = changed(VOLUME, "spec.mountOptions", ["noatime"])
    plugin = plugin_over(volume=volume, mounter=mounter)
    with pytest.raises(VolumeError, match="Mount options are not supported for this volume type"):
        await plugin.set_up(POD, claim_volume(), tmp_path)
    assert mounter.asked == []


@pytest.mark.parametrize(
    ("owners", "is_owned"),
    [
        ([{"uid": "pod-uid", "controller": True}], True),
        ([{"uid": "pod-uid"}], False),
        ([{"uid": "other", "controller": True}], False),
        ([], False),
    ],
)
async def test_ephemeral_volumes(owners: list[Json], is_owned: bool, tmp_path: Path) -> None:
    """The claim must be the one that was made for this very pod."""
    volume = Volume({"name": "data", "ephemeral": {"volumeClaimTemplate": {}}})
    assert claim_name(POD, volume) == "p-data"
    plugin = plugin_over(changed(CLAIM, "metadata.ownerReferences", owners), claim_key="p-data")
    if is_owned:
        assert await plugin.set_up(POD, volume, tmp_path) == FOUND
        return
    with pytest.raises(VolumeError) as caught:
        await plugin.set_up(POD, volume, tmp_path)
    assert str(caught.value) == (
        "error processing PVC ns/p-data: PVC ns/p-data was not created for pod ns/p"
        " (pod is not owner)"
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (VOLUME["spec"], ("local", {"path": "/disks/a"})),
        ({"nfs": {"server": "a"}, "claimRef": {}}, ("nfs", {"server": "a"})),
        ({"claimRef": {}, "nodeAffinity": {}, "capacity": {}}, ("", {})),
    ],
)
def test_the_source_among_all_else(spec: Json, expected: tuple[str, Json]) -> None:
    """Whatever it is called: kinds that nobody knows are refused by name."""
    assert source_of({"spec": spec}) == expected
