"""What the machine's owner forbids is refused with one sentence, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING, CallKind, EdgePolicy, policy_of
from edge_runtime.policy_config import Forbiddable, PolicyConfig
from tests.fakes.edge_pods import pod_json

HOSTILE: dict[str, Any] = {
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    "containers": [
        {
            "name": "c",
            "image": "i",
            "securityContext": {
                "privileged": True,
                "procMount": "Unmasked",
                "capabilities": {"add": ["SYS_ADMIN"]},
            },
            "ports": [{"containerPort": 80, "hostPort": 80}],
        }
    ],
}


def _forbids(*names: str) -> EdgePolicy:
    return EdgePolicy(forbidden=frozenset(map(Forbiddable, names)))


def _container(context: dict[str, Any]) -> dict[str, Any]:
    return {"name": "c", "image": "i", "securityContext": context}


def test_default_forbids_nothing() -> None:
    """An edge whose owner says nothing is an ordinary node."""
    assert policy_of(PolicyConfig()) == FORBIDS_NOTHING
    assert FORBIDS_NOTHING.pod_refusal(Pod(pod_json(**HOSTILE))) is None
    for kind in CallKind:
        assert FORBIDS_NOTHING.call_refusal(kind, namespace="ns") is None


@pytest.mark.parametrize(
    ("forbidden", "refused"),
    [
        ("exec", {CallKind.EXEC: "exec", CallKind.RUN: "run"}),
        ("run", {CallKind.RUN: "run"}),
        ("attach", {CallKind.ATTACH: "attach"}),
        ("portForward", {CallKind.PORT_FORWARD: "port-forward"}),
        ("privileged", {}),
    ],
)
def test_forbidden_call_is_refused_and_no_other(
    forbidden: str, refused: dict[CallKind, str]
) -> None:
    """A command is a command: without exec there is no run either."""
    policy = _forbids(forbidden)

    found = {kind: policy.call_refusal(kind, namespace="ns") for kind in CallKind}

    assert {kind: text for kind, text in found.items() if text is not None} == {
        kind: f"the policy of this edge forbids {name}" for kind, name in refused.items()
    }


@pytest.mark.parametrize(
    ("forbidden", "message"),
    [
        ("hostNetwork", "hostNetwork (spec.hostNetwork)"),
        ("hostPID", "hostPID (spec.hostPID)"),
        ("hostIPC", "hostIPC (spec.hostIPC)"),
        ("privileged", "privileged containers (spec.containers[c].securityContext.privileged)"),
        (
            "capabilities",
            "capability SYS_ADMIN (spec.containers[c].securityContext.capabilities)",
        ),
        ("hostPorts", "host port 80 (spec.containers[c].ports)"),
    ],
)
def test_forbidden_property_of_a_pod_is_named(forbidden: str, message: str) -> None:
    """With the field, so that its owner can take it away."""
    refusal = _forbids(forbidden).pod_refusal(Pod(pod_json(**HOSTILE)))

    assert refusal == f"the policy of this edge forbids {message}"


@pytest.mark.parametrize("field", ["initContainers", "containers", "ephemeralContainers"])
def test_every_kind_of_container_is_looked_at(field: str) -> None:
    """Also those that this edgelet does not run yet."""
    spec: dict[str, Any] = {field: [_container({"privileged": True})]}
    pod = Pod(pod_json(**spec))

    assert _forbids("privileged").pod_refusal(pod) is not None


@pytest.mark.parametrize(
    ("context", "is_refused"),
    [
        ({"procMount": "Unmasked"}, True),
        ({"procMount": "Default", "privileged": False}, False),
        ({"capabilities": {"add": ["NET_BIND_SERVICE", "chown"], "drop": ["ALL"]}}, False),
        ({"capabilities": {"add": ["sys_admin"]}}, True),
        ({"capabilities": {"add": ["ALL"]}}, True),
        ({"capabilities": {"add": ["CAP_SYS_ADMIN"]}}, True),
        ({"runAsUser": 0}, False),
    ],
)
def test_ways_to_be_privileged_without_saying_so(
    context: dict[str, Any], *, is_refused: bool
) -> None:
    """Capabilities in whatever spelling, and an unmasked /proc."""
    policy = _forbids("privileged", "capabilities")

    refusal = policy.pod_refusal(Pod(pod_json(containers=[_container(context)])))

    assert (refusal is not None) is is_refused


@pytest.mark.parametrize(
    ("allowed", "path", "is_refused"),
    [
        (None, "/etc", False),
        ((), "/var/data", True),
        (("/var/data",), "/var/data/a", False),
        (("/var/data",), "/var/data/../../etc", True),
        (("/var/data",), "/etc", True),
    ],
)
def test_host_paths_outside_the_allowed_folders(
    allowed: tuple[str, ...] | None, path: str, *, is_refused: bool
) -> None:
    """All of them, or those outside."""
    volumes = [{"name": "empty", "emptyDir": {}}, {"name": "v", "hostPath": {"path": path}}]

    refusal = EdgePolicy(allowed_host_paths=allowed).pod_refusal(Pod(pod_json(volumes=volumes)))

    assert (refusal is not None) is is_refused
    if refusal is not None:
        assert refusal == f"the policy of this edge forbids host path {path} (spec.volumes[v])"


@pytest.mark.parametrize(
    ("policy", "is_refused"),
    [
        (EdgePolicy(denied_namespaces=frozenset({"ns"})), True),
        (EdgePolicy(denied_namespaces=frozenset({"other"})), False),
        (EdgePolicy(allowed_namespaces=frozenset({"ns"})), False),
        (EdgePolicy(allowed_namespaces=frozenset({"other"})), True),
        (EdgePolicy(allowed_namespaces=frozenset()), True),
        (
            EdgePolicy(allowed_namespaces=frozenset({"ns"}), denied_namespaces=frozenset({"ns"})),
            True,
        ),
    ],
)
def test_namespaces_are_forbidden_for_pods_and_calls_alike(
    policy: EdgePolicy, *, is_refused: bool
) -> None:
    """What is denied stays denied, whatever is allowed."""
    expected = 'the policy of this edge forbids namespace "ns"' if is_refused else None

    assert policy.pod_refusal(Pod(pod_json())) == expected
    for kind in CallKind:
        assert policy.call_refusal(kind, namespace="ns") == expected


def test_refusal_repeats_no_escapes_and_no_novel() -> None:
    """It goes to terminals and logs."""
    policy = EdgePolicy(allowed_namespaces=frozenset(), allowed_host_paths=())

    refusal = policy.call_refusal(CallKind.EXEC, namespace="\x1b[2J\r\n" + "n" * 10_000)

    assert refusal is not None
    assert refusal.isprintable()
    assert len(refusal) < 300
