"""Views over volumes and mounts."""

from __future__ import annotations

from edge_runtime.objects.container import Container
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import (
    Volume,
    VolumeProblem,
    VolumesNotReady,
    pod_volumes,
    used_volumes,
    volume_mounts,
)


def test_a_volume_names_its_kind_and_source() -> None:
    """Whatever is set besides the name, even when it says nothing more."""
    volume = Volume({"name": "v", "configMap": {"name": "settings"}})
    assert (volume.name, volume.kind, volume.source) == ("v", "configMap", {"name": "settings"})
    memory = Volume({"emptyDir": {}, "name": "scratch"})
    assert (memory.kind, memory.source) == ("emptyDir", {})
    unset = Volume({"name": "v", "hostPath": None, "secret": {"secretName": "s"}})
    assert (unset.kind, unset.source) == ("secret", {"secretName": "s"})


def test_a_volume_without_a_source_is_scratch_space() -> None:
    """As the API server's defaults have it."""
    volume = Volume({"name": "v"})
    assert (volume.kind, volume.source) == ("emptyDir", {})


def test_a_mount_that_says_little_is_a_plain_one() -> None:
    """All of the volume, writable, private."""
    (mount,) = volume_mounts(Container({"volumeMounts": [{"name": "v", "mountPath": "/data"}]}))
    assert (mount.name, mount.mount_path) == ("v", "/data")
    assert (mount.sub_path, mount.sub_path_expr) == ("", "")
    assert not mount.read_only
    assert (mount.recursive_read_only, mount.mount_propagation) == ("Disabled", "None")


def test_a_mount_that_says_all() -> None:
    """Each field under its own name."""
    raw = {
        "name": "v",
        "mountPath": "data",
        "subPath": "a/b",
        "subPathExpr": "$(POD)",
        "readOnly": True,
        "recursiveReadOnly": "IfPossible",
        "mountPropagation": "HostToContainer",
    }
    (mount,) = volume_mounts(Container({"volumeMounts": [raw]}))
    assert mount.mount_path == "data"
    assert (mount.sub_path, mount.sub_path_expr) == ("a/b", "$(POD)")
    assert mount.read_only
    assert (mount.recursive_read_only, mount.mount_propagation) == (
        "IfPossible",
        "HostToContainer",
    )


def test_volumes_and_mounts_keep_their_order() -> None:
    """Later mounts may lie below earlier ones."""
    pod = Pod({"spec": {"volumes": [{"name": "b"}, {"name": "a"}]}})
    assert [each.name for each in pod_volumes(pod)] == ["b", "a"]
    assert pod_volumes(Pod({"spec": {"volumes": None}})) == ()
    raw = {"volumeMounts": [{"name": "b", "mountPath": "/b"}, {"name": "a", "mountPath": "/b/a"}]}
    assert [each.mount_path for each in volume_mounts(Container(raw))] == ["/b", "/b/a"]
    assert volume_mounts(Container({"volumeMounts": None})) == ()


def test_volumes_that_nobody_mounts_are_left_out() -> None:
    """Whatever kind of container mounts the others."""
    lists = ("initContainers", "containers", "ephemeralContainers")
    spec = {
        name: [{"name": name, "volumeMounts": [{"name": f"of-{name}", "mountPath": "/v"}]}]
        for name in lists
    }
    volumes = [{"name": "nobodys"}, *({"name": f"of-{name}"} for name in lists)]
    pod = Pod({"spec": {**spec, "volumes": volumes}})
    assert [each.name for each in used_volumes(pod)] == [f"of-{name}" for name in lists]
    assert used_volumes(Pod({"spec": {"volumes": volumes}})) == ()


def test_what_is_not_ready_says_which_volume_and_why() -> None:
    """All of them, in order, for the log."""
    problems = (
        VolumeProblem(volume_name="a", message='configmap "x" not found'),
        VolumeProblem(volume_name="b", message="no such kind", is_lasting=True),
    )
    error = VolumesNotReady(problems)
    assert str(error) == 'a: configmap "x" not found; b: no such kind'
    assert error.problems == problems
