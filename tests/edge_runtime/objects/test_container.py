"""The view over one container."""

from __future__ import annotations

import pytest

from edge_runtime.objects.container import Container, ContainerKind, ProbeKind
from edge_runtime.objects.pod import Pod


@pytest.mark.parametrize(
    ("kind", "policy", "is_sidecar"),
    [
        (ContainerKind.INIT, "Always", True),
        (ContainerKind.INIT, "", False),
        (ContainerKind.INIT, "Never", False),
        (ContainerKind.REGULAR, "Always", False),
    ],
)
def test_a_sidecar_is_a_restartable_init_container(
    kind: ContainerKind, policy: str, *, is_sidecar: bool
) -> None:
    """A regular container's own policy makes no sidecar of it."""
    raw = {"name": "c"} | ({"restartPolicy": policy} if policy else {})
    assert Container(raw, kind).is_sidecar is is_sidecar


def test_a_pod_has_containers_of_three_kinds() -> None:
    """Each is found by its name, and says where it stands."""
    pod = Pod(
        {
            "metadata": {"uid": "u", "name": "p"},
            "spec": {
                "initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}],
                "containers": [{"name": "c"}],
                "ephemeralContainers": [{"name": "e", "targetContainerName": "c"}],
            },
        }
    )
    assert [each.name for each in pod.all_containers] == ["i", "s", "c", "e"]
    assert [each.name for each in pod.sidecars] == ["s"]
    debugger = pod.container("e")
    assert debugger is not None
    assert debugger.target_container_name == "c"
    assert debugger.field_path == "spec.ephemeralContainers{e}"


def test_hooks_and_probes_are_read() -> None:
    """What is not there is None."""
    hook, probe = {"exec": {"command": ["true"]}}, {"tcpSocket": {"port": 1}}
    container = Container({"name": "c", "lifecycle": {"preStop": hook}, "livenessProbe": probe})
    assert (container.pre_stop, container.post_start) == (hook, None)
    assert container.probe(ProbeKind.LIVENESS) == probe
    assert container.probe(ProbeKind.STARTUP) is None
