"""Environments of containers on the real control plane and containerd.

Fields, resources, ConfigMaps, Secrets and Services; what is missing, and how it heals.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.quantity import milli_value, whole_value
from tests.e2e.pods import container, pod, service
from tests.e2e.told import becomes, containers, ends, events
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
# A kubelet, and the edge, tries again after 10 s: what heals sooner was told of the change.
HEALS_WITHIN_S = 8.0


def config_map(name: str, **data: str) -> Json:
    """Return a ConfigMap; "__" in a key stands for a dot."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {key.replace("__", "."): value for key, value in data.items()},
    }


def secret(name: str, **data: bytes) -> Json:
    """Return a Secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def key_of(kind: str, name: str, key: str, **more: object) -> Json:
    """Return where a variable takes its value from."""
    return {f"{kind}KeyRef": {"name": name, "key": key, **more}}


def variable(name: str, source: Json) -> Json:
    """Return a variable that is taken from elsewhere."""
    return {"name": name, "valueFrom": source}


def environment(kubectl: Kubectl, name: str, *, of: str = "main") -> dict[str, bytes]:
    """Return what the first process of a running container was given."""
    outcome = kubectl.run("exec", name, "-c", of, "--", "cat", "/proc/1/environ")
    assert outcome.status == 0, outcome
    pairs = (each.split(b"=", 1) for each in outcome.stdout.split(b"\0") if each)
    return {key.decode(): value for key, value in pairs}


def is_running(told: Json) -> bool:
    """Whether every container of a pod runs."""
    found = containers(told).values()
    return bool(found) and all("running" in each["state"] for each in found)


def starts(kubectl: Kubectl, *objects: Json, name: str) -> Json:
    """Apply, wait until the pod runs, and return its status."""
    kubectl.apply(*objects)
    return becomes(kubectl, name, is_running)


def waits(kubectl: Kubectl, name: str) -> Json:
    """Wait until a pod's container cannot be configured; return why."""

    def reason() -> Json:
        told = kubectl.json("get", "pod", name).get("status", {})
        state: Json = containers(told)["main"]["state"]["waiting"] if containers(told) else {}
        assert state.get("reason") == "CreateContainerConfigError", told
        return state

    return eventually(reason, what="the container cannot be configured", timeout_s=40)


def test_every_field(cluster: Cluster, kubectl: Kubectl) -> None:
    """All that a variable can be told of its pod, the same as the API server shows."""
    paths = {
        "NAME": "metadata.name",
        "NAMESPACE": "metadata.namespace",
        "POD_UID": "metadata.uid",
        "LABEL": "metadata.labels['app']",
        "NOTE": "metadata.annotations['example.com/Note']",
        "NO_NOTE": "metadata.annotations['absent']",
        "NODE": "spec.nodeName",
        "ACCOUNT": "spec.serviceAccountName",
        "HOST_IP": "status.hostIP",
        "HOST_IPS": "status.hostIPs",
        "POD_IP": "status.podIP",
        "POD_IPS": "status.podIPs",
    }
    env = [variable(key, {"fieldRef": {"fieldPath": path}}) for key, path in paths.items()]
    made = pod("fields", container(env=env), site=cluster.site)
    made["metadata"]["annotations"] = {"example.com/Note": 'two\nlines "quoted"'}
    told = starts(kubectl, made, name="fields")
    uid = kubectl.json("get", "pod", "fields")["metadata"]["uid"]
    found = environment(kubectl, "fields")
    assert {key: found[key].decode() for key in paths} == {
        "NAME": "fields",
        "NAMESPACE": kubectl.namespace,
        "POD_UID": uid,
        "LABEL": "fields",
        "NOTE": 'two\nlines "quoted"',
        "NO_NOTE": "",
        "NODE": cluster.site,
        "ACCOUNT": "default",
        "HOST_IP": told["hostIP"],
        "HOST_IPS": ",".join(each["ip"] for each in told["hostIPs"]),
        "POD_IP": told["podIP"],
        "POD_IPS": ",".join(each["ip"] for each in told["podIPs"]),
    }


def test_a_pod_with_the_machines_network_is_told_the_machines_addresses(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """Both are the same then."""
    env = [
        variable("HOST_IP", {"fieldRef": {"fieldPath": "status.hostIP"}}),
        variable("POD_IP", {"fieldRef": {"fieldPath": "status.podIP"}}),
    ]
    made = pod("host-fields", container(env=env), site=cluster.site, hostNetwork=True)
    told = starts(kubectl, made, name="host-fields")
    found = environment(kubectl, "host-fields")
    assert found["POD_IP"].decode() == found["HOST_IP"].decode() == told["hostIP"]


def test_every_resource_with_its_divisor(cluster: Cluster, kubectl: Kubectl) -> None:
    """Own requests and limits, another container's, and the node's where there is no limit."""

    def of(resource: str, divisor: str = "0", **more: str) -> Json:
        return {"resourceFieldRef": {"resource": resource, "divisor": divisor, **more}}

    env = [
        variable("CPUS", of("limits.cpu")),
        variable("MILLICPUS", of("limits.cpu", "1m")),
        variable("REQUESTED", of("requests.cpu", "1m")),
        variable("BYTES", of("limits.memory")),
        variable("MEBIBYTES", of("requests.memory", "1Mi")),
        variable("MEGABYTES", of("requests.memory", "1M")),
        variable("STORAGE", of("requests.ephemeral-storage", "1Ki")),
        variable("OTHERS", of("limits.memory", "1Mi", containerName="other")),
        variable("OTHERS_CPUS", of("limits.cpu", "1m", containerName="other")),
        variable("ALL_STORAGE", of("limits.ephemeral-storage")),
    ]
    resources = {
        "requests": {"cpu": "20m", "memory": "24Mi", "ephemeral-storage": "1Mi"},
        "limits": {"cpu": "150m", "memory": "40Mi"},
    }
    main = container(env=env, resources=resources)
    other = container("other", resources={"limits": {"memory": "33Mi"}})
    starts(kubectl, pod("resources", main, other, site=cluster.site), name="resources")
    allocatable = kubectl.json("get", "node", cluster.site)["status"]["allocatable"]
    found = {key: value.decode() for key, value in environment(kubectl, "resources").items()}
    assert {each["name"]: found[each["name"]] for each in env} == {
        "CPUS": "1",
        "MILLICPUS": "150",
        "REQUESTED": "20",
        "BYTES": str(40 << 20),
        "MEBIBYTES": "24",
        "MEGABYTES": "26",
        "STORAGE": "1024",
        "OTHERS": "33",
        "OTHERS_CPUS": str(milli_value(allocatable["cpu"])),
        "ALL_STORAGE": str(whole_value(allocatable["ephemeral-storage"])),
    }


def test_whole_objects_with_prefixes_and_odd_names(cluster: Cluster, kubectl: Kubectl) -> None:
    """In order, env last; names that no shell can read are variables all the same.

    A kubelet before 1.32 left those out with the event InvalidEnvironmentVariableNames.
    """
    main = container(
        envFrom=[
            {"configMapRef": {"name": "first"}},
            {"configMapRef": {"name": "second"}},
            {"secretRef": {"name": "login"}, "prefix": "DB_"},
            {"configMapRef": {"name": "absent", "optional": True}},
            {"secretRef": {"name": "absent", "optional": True}},
        ],
        env=[{"name": "C", "value": "env"}],
    )
    starts(
        kubectl,
        config_map("first", A="first", B="first", C="first"),
        config_map("second", B="second", log__level="debug", **{"1-digit": "odd"}),
        secret("login", user=b"robot", raw=b"\xff\xfe=\n"),
        pod("sets", main, site=cluster.site),
        name="sets",
    )
    found = environment(kubectl, "sets")
    expected = {
        "A": b"first",
        "B": b"second",
        "C": b"env",
        "log.level": b"debug",
        "1-digit": b"odd",
        "DB_user": b"robot",
        # The runtime keeps its containers' configuration as JSON, which has no such bytes.
        "DB_raw": "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}=\n".encode(),
    }
    assert {key: found.get(key) for key in expected} == expected
    assert "InvalidEnvironmentVariableNames" not in events(kubectl, "sets")


def test_commands_and_values_see_variables(cluster: Cluster, kubectl: Kubectl) -> None:
    """What comes before, escapes, what is unknown; a ConfigMap's own text is not expanded."""
    script = 'for each in "$@"; do echo "$each"; done'
    main = container(
        command=["sh", "-c", script, "$(NAME)"],
        args=["$(GREETING)", "$$(NAME)", "$(UNKNOWN)", "$(RAW)"],
        env=[
            {"name": "GREETING", "value": "early $(NAME)"},
            variable("NAME", {"fieldRef": {"fieldPath": "metadata.name"}}),
            variable("RAW", key_of("configMap", "words", "raw")),
            {"name": "GREETING", "value": "hello $(NAME), $$(NAME), $(RAW)"},
        ],
    )
    kubectl.apply(
        config_map("words", raw="$(NAME)"),
        pod("words", main, site=cluster.site, restartPolicy="Never"),
    )
    ends(kubectl, "words")
    assert kubectl.ok("logs", "words").splitlines() == [
        "hello words, $(NAME), $(NAME)",
        "$(NAME)",
        "$(UNKNOWN)",
        "$(NAME)",
    ]


def test_services_of_the_namespace_and_of_the_api(cluster: Cluster, kubectl: Kubectl) -> None:
    """By default all links; a pod that refuses them still finds the API."""
    kubectl.apply(service("front-end", app="nobody", port=8080))
    kubectl.apply(
        pod("links", site=cluster.site, enableServiceLinks=True),
        pod("no-links", site=cluster.site, enableServiceLinks=False),
    )
    for name in ("links", "no-links"):
        becomes(kubectl, name, is_running)
    ip = kubectl.json("get", "service", "front-end")["spec"]["clusterIP"]
    api = kubectl.within("default").json("get", "service", "kubernetes")["spec"]
    linked, plain = environment(kubectl, "links"), environment(kubectl, "no-links")
    expected = {
        "FRONT_END_SERVICE_HOST": ip,
        "FRONT_END_SERVICE_PORT": "8080",
        "FRONT_END_PORT": f"tcp://{ip}:8080",
        "FRONT_END_PORT_8080_TCP": f"tcp://{ip}:8080",
        "FRONT_END_PORT_8080_TCP_PROTO": "tcp",
        "FRONT_END_PORT_8080_TCP_PORT": "8080",
        "FRONT_END_PORT_8080_TCP_ADDR": ip,
    }
    assert {key: linked[key].decode() for key in expected} == expected
    assert not [key for key in plain if key.startswith("FRONT_END")]
    for each in (linked, plain):
        assert each["KUBERNETES_SERVICE_HOST"].decode() == api["clusterIP"]
        assert each["KUBERNETES_SERVICE_PORT_HTTPS"].decode() == str(api["ports"][0]["port"])


@pytest.mark.parametrize(
    ("name", "source", "before", "message", "after"),
    [
        (
            "no-map",
            key_of("configMap", "late-map", "key"),
            None,
            'configmap "late-map" not found',
            config_map("late-map", key="there"),
        ),
        (
            "no-secret",
            key_of("secret", "late-secret", "key"),
            None,
            'secret "late-secret" not found',
            secret("late-secret", key=b"there"),
        ),
        (
            "no-key",
            key_of("configMap", "thin-map", "key"),
            config_map("thin-map", other="x"),
            "couldn't find key key in ConfigMap {namespace}/thin-map",
            config_map("thin-map", key="there"),
        ),
        (
            "no-secret-key",
            key_of("secret", "thin-secret", "key"),
            secret("thin-secret", other=b"x"),
            "couldn't find key key in Secret {namespace}/thin-secret",
            secret("thin-secret", key=b"there"),
        ),
    ],
)
def test_what_is_missing_is_told_and_heals_at_once(
    cluster: Cluster,
    kubectl: Kubectl,
    name: str,
    source: Json,
    before: Json | None,
    message: str,
    after: Json,
) -> None:
    """CreateContainerConfigError in a kubelet's words; it runs once the object is complete."""
    if before is not None:
        kubectl.apply(before)
    made = pod(name, container(env=[variable("VALUE", source)]), site=cluster.site)
    kubectl.apply(made)
    expected = message.format(namespace=kubectl.namespace)
    assert waits(kubectl, name)["message"] == expected
    assert kubectl.json("get", "pod", name)["status"]["phase"] == "Pending"
    eventually(
        lambda: f"Error: {expected}" in events(kubectl, name).get("Failed", []),
        what="the event",
        timeout_s=20,
    )
    refused = kubectl.run("logs", name)
    assert refused.status == 1
    assert f'container "main" in pod "{name}" is waiting to start' in refused.error
    assert "CreateContainerConfigError" in refused.error
    kubectl.apply(after)
    becomes(kubectl, name, is_running, timeout_s=HEALS_WITHIN_S)
    assert environment(kubectl, name)["VALUE"] == b"there"
    (status,) = kubectl.json("get", "pod", name)["status"]["containerStatuses"]
    assert status["restartCount"] == 0


def test_what_is_optional_may_be_missing(cluster: Cluster, kubectl: Kubectl) -> None:
    """No variable at all, and nothing waits."""
    env = [
        {"name": "KEPT", "value": "before"},
        variable("KEPT", key_of("configMap", "absent", "k", optional=True)),
        variable("NONE", key_of("secret", "absent", "k", optional=True)),
        variable("NO_KEY", key_of("configMap", "sparse", "k", optional=True)),
    ]
    starts(
        kubectl,
        config_map("sparse", other="x"),
        pod("optional", container(env=env), site=cluster.site),
        name="optional",
    )
    found = environment(kubectl, "optional")
    assert found["KEPT"] == b"before"
    assert not {"NONE", "NO_KEY"} & set(found)


def test_a_running_container_keeps_its_variables_and_a_restarted_one_sees_the_new(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """As with a kubelet: an environment is settled at the start of its process."""
    main = container(env=[variable("MOOD", key_of("configMap", "mood", "mood"))])
    # It starts once the change has come to the edge.
    later = container(env=[variable("MOOD", key_of("configMap", "mood", "changed"))])
    kubectl.apply(
        config_map("mood", mood="calm"),
        pod("mood", main, site=cluster.site),
        pod("changed", later, site=cluster.site),
    )
    becomes(kubectl, "mood", is_running)
    waits(kubectl, "changed")
    kubectl.apply(config_map("mood", mood="brisk", changed="yes"))
    becomes(kubectl, "changed", is_running)
    assert environment(kubectl, "mood")["MOOD"] == b"calm"
    kubectl.ok("exec", "mood", "--", "kill", "1")

    def restarted(told: Json) -> bool:
        return is_running(told) and told["containerStatuses"][0]["restartCount"] == 1

    becomes(kubectl, "mood", restarted)
    assert environment(kubectl, "mood")["MOOD"] == b"brisk"


def test_a_pod_that_waits_for_its_configuration_can_be_deleted(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """Nobody has to make up what it asked for."""
    source = key_of("secret", "never", "k")
    kubectl.apply(pod("hopeless", container(env=[variable("X", source)]), site=cluster.site))
    waits(kubectl, "hopeless")
    kubectl.ok("delete", "pod", "hopeless", "--timeout=20s", timeout_s=40)


def test_init_containers_have_environments_too(cluster: Cluster, kubectl: Kubectl) -> None:
    """They start with the pod's address already known; the pod waits for what they miss."""
    env = [
        variable("POD_IP", {"fieldRef": {"fieldPath": "status.podIP"}}),
        variable("COLOR", key_of("configMap", "init-late", "color")),
    ]
    init = container("init", script='echo "$POD_IP $COLOR"', env=env)
    kubectl.apply(pod("init", container(), site=cluster.site, initContainers=[init]))

    def init_waits(told: Json) -> bool:
        waiting = containers(told).get("init", {}).get("state", {}).get("waiting", {})
        return bool(waiting.get("message") == 'configmap "init-late" not found')

    becomes(kubectl, "init", init_waits)
    kubectl.apply(config_map("init-late", color="green"))
    told = becomes(kubectl, "init", lambda told: told.get("phase") == "Running")
    assert kubectl.ok("logs", "init", "-c", "init").split() == [told["podIP"], "green"]


def test_a_value_that_no_process_can_have_is_refused_without_showing_it(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """A NUL byte in a variable, binary bytes in an argument: a clear reason without the secret."""
    kubectl.apply(secret("broken", nul=b"hunter2\0", binary=b"\xffhunter2"))
    nul = container(env=[variable("X", key_of("secret", "broken", "nul"))])
    binary = container(
        env=[variable("X", key_of("secret", "broken", "binary"))], args=["ignored", "$(X)"]
    )
    kubectl.apply(pod("nul", nul, site=cluster.site), pod("binary", binary, site=cluster.site))
    assert waits(kubectl, "nul")["message"] == (
        "the value of environment variable X has a NUL byte"
    )
    assert waits(kubectl, "binary")["message"] == (
        "command or arguments refer to a variable whose value is not UTF-8"
    )
    shown = json.dumps([kubectl.json("get", "pods"), kubectl.json("get", "events")])
    assert "hunter2" not in shown
