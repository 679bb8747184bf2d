"""Pods of every kind of resource and security setting, the same ones each time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

SEED = 6
COUNT = 120
PROFILES: tuple[Json, ...] = (
    {"type": "RuntimeDefault"},
    {"type": "Unconfined"},
    {"type": "Localhost", "localhostProfile": "a/b.json"},
    {"type": "Localhost"},
)
CONTAINER_SECURITY: Json = {
    "runAsUser": (0, 1000, 65534),
    "runAsGroup": (0, 2000),
    "runAsNonRoot": (True, False),
    "seLinuxOptions": ({"level": "s0:c1"}, {"user": "u", "role": "r", "type": "t", "level": "l"}),
    "seccompProfile": PROFILES,
    "appArmorProfile": PROFILES,
    "privileged": (True, False),
    "readOnlyRootFilesystem": (True, False),
    "allowPrivilegeEscalation": (True, False),
    "procMount": ("Default", "Unmasked"),
    "capabilities": (
        {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        {"drop": ["CHOWN"]},
        {"add": ["ALL"]},
    ),
}
POD_SECURITY: Json = {
    **{name: CONTAINER_SECURITY[name] for name in ("runAsUser", "runAsGroup", "runAsNonRoot")},
    **{name: CONTAINER_SECURITY[name] for name in ("seLinuxOptions", "seccompProfile")},
    "appArmorProfile": PROFILES,
    "fsGroup": (0, 3000),
    "supplementalGroups": ([4000], [4000, 5000]),
    "supplementalGroupsPolicy": ("Merge", "Strict"),
    "sysctls": ([{"name": "net.ipv4.tcp_syncookies", "value": "1"}],),
}
POD_FIELDS: Json = {
    "hostNetwork": (True,),
    "hostPID": (True,),
    "hostIPC": (True,),
    "shareProcessNamespace": (True, False),
    "overhead": ({"cpu": "250m", "memory": "64Mi"},),
    "terminationGracePeriodSeconds": (0, 7),
    "priority": (2_000_001_000,),
    "priorityClassName": ("system-node-critical", "system-cluster-critical"),
    "hostUsers": (True,),
}
CPU = ("1m", "100m", "0.25", "1", "3", "1500m", "0")
MEMORY = ("1Mi", "64Mi", "1Gi", "1500M", "2e8", "5Gi", "0")
PORTS: tuple[Json, ...] = (
    {"containerPort": 80, "protocol": "TCP"},
    {"containerPort": 80, "hostPort": 8080, "protocol": "TCP", "name": "http"},
    {"containerPort": 81, "hostPort": 8081, "protocol": "TCP", "name": "http"},
    {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"},
    {"containerPort": 53, "hostPort": 53, "protocol": "UDP", "hostIP": "fd00::1"},
    {"containerPort": 7, "protocol": "SCTP"},
)
LIFECYCLES: tuple[Json, ...] = (
    {"stopSignal": "SIGUSR1"},
    {"stopSignal": "SIGRTMIN+3"},
    {"stopSignal": "SIGRTMAX-2"},
    {"preStop": {"exec": {"command": ["sh", "-c", "a"]}}},
)
LEGACY_APPARMOR = ("runtime/default", "unconfined", "localhost/p", "nonsense")


def kubelet_inputs() -> Iterator[Json]:
    """Yield pods, each with the user of all its images."""
    rng = random.Random(SEED)  # noqa: S311  # no secret
    for number in range(COUNT):
        uid, username = rng.choice([(None, ""), (None, "app"), (0, ""), (1001, "")])
        yield {"pod": _pod(rng, number), "imageUid": uid, "imageUsername": username}


def _pod(rng: random.Random, number: int) -> Json:
    spec: Json = {
        **_some(rng, POD_FIELDS, 0.12),
        "securityContext": _some(rng, POD_SECURITY, 0.3),
        "containers": [_container(rng, f"c{i}") for i in range(rng.choice((1, 1, 2, 3)))],
        "initContainers": [
            _container(rng, f"i{i}") | ({"restartPolicy": "Always"} if rng.random() < 0.5 else {})
            for i in range(rng.choice((0, 0, 1, 2, 3)))
        ],
    }
    if rng.random() < 0.2:
        # No less than the containers together, as the API server demands.
        values = {"cpu": ("20", "30"), "memory": ("20Gi", "20.5Gi"), "hugepages-2Mi": ("1Gi",)}
        limits = _some(rng, values, 0.6)
        requests = limits | _some(rng, values, 0.3)
        spec["resources"] = rng.choice(
            ({}, {"limits": limits}, {"requests": requests, "limits": limits})
        )
    if rng.random() < 0.3:
        spec["ephemeralContainers"] = [
            {
                "name": "e0",
                "image": "debug",
                "targetContainerName": rng.choice(("", "c0")),
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ]
    metadata: Json = {
        "name": f"p{number}",
        "namespace": "ns",
        "uid": f"u-{number}",
        "labels": {"app": "a"},
        "annotations": {"note": "b"},
    }
    if rng.random() < 0.2:
        key = f"container.apparmor.security.beta.kubernetes.io/{rng.choice(('c0', 'i0'))}"
        metadata["annotations"][key] = rng.choice(LEGACY_APPARMOR)
    if rng.random() < 0.2:
        metadata["deletionGracePeriodSeconds"] = 5
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _container(rng: random.Random, name: str) -> Json:
    container: Json = {
        "name": name,
        "image": f"registry/{name}:1",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": rng.choice(("File", "FallbackToLogsOnError")),
        "resources": _resources(rng) if rng.random() < 0.8 else {},
        "securityContext": _some(rng, CONTAINER_SECURITY, 0.25),
        "ports": rng.sample(PORTS, k=rng.choice((0, 0, 2, 4))),
    }
    if rng.random() < 0.3:
        container["lifecycle"] = rng.choice(LIFECYCLES)
    container |= _some(
        rng, {"stdin": (True,), "stdinOnce": (True,), "tty": (True,), "workingDir": ("/w",)}, 0.2
    )
    container |= _some(rng, {"command": (["a", "$$(B)"],), "args": (["c"],)}, 0.3)
    return container


def _resources(rng: random.Random) -> Json:
    values = {"cpu": CPU, "memory": MEMORY}
    kind = rng.random()
    limits = _some(rng, values, 0.7)
    if kind < 0.35:
        return {"requests": dict(limits), "limits": limits} if limits else {}
    if kind < 0.6:
        # As the API server leaves it: limits are requests where there are none.
        return {"requests": limits | _some(rng, values, 0.5), "limits": limits}
    found: Json = {"requests": _some(rng, values, 0.6), "limits": limits if kind < 0.8 else {}}
    if rng.random() < 0.3:
        pages = {"hugepages-2Mi": rng.choice(("2Mi", "64Mi"))}
        found = {"requests": found["requests"] | pages, "limits": found["limits"] | pages}
    return found


def _some(rng: random.Random, fields: Json, chance: float) -> Json:
    return {name: rng.choice(values) for name, values in fields.items() if rng.random() < chance}
