"""What is not honoured is named, what is honoured passes."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.admission.supported_fields import unsupported_fields, unsupported_message
from edge_runtime.objects.pod import Pod
from tests.fakes.edge_pods import pod_json


def _fields(**spec: Any) -> tuple[str, ...]:  # noqa: ANN401  # API JSON
    return unsupported_fields(Pod(pod_json(**spec)))


def _container_fields(**fields: Any) -> tuple[str, ...]:  # noqa: ANN401  # API JSON
    return _fields(containers=[{"name": "c", "image": "i", **fields}])


# What the API server makes of a plain Deployment's pod: every default filled in.
DEFAULTED = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "nodeName": "site-a",
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "serviceAccount": "default",
    "serviceAccountName": "default",
    "terminationGracePeriodSeconds": 30,
    "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}],
    "volumes": [
        {
            "name": "kube-api-access-x",
            "projected": {
                "defaultMode": 420,
                "sources": [
                    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                    {
                        "configMap": {
                            "name": "kube-root-ca.crt",
                            "items": [{"key": "ca.crt", "path": "ca.crt"}],
                        }
                    },
                    {
                        "downwardAPI": {
                            "items": [
                                {
                                    "path": "namespace",
                                    "fieldRef": {
                                        "apiVersion": "v1",
                                        "fieldPath": "metadata.namespace",
                                    },
                                }
                            ]
                        }
                    },
                ],
            },
        }
    ],
    "containers": [
        {
            "name": "c",
            "image": "busybox",
            "command": ["sh"],
            "args": ["-c", "true"],
            "env": [{"name": "A", "value": "b"}],
            "ports": [{"containerPort": 80, "protocol": "TCP", "name": "http"}],
            "imagePullPolicy": "IfNotPresent",
            "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"]}},
            "stdin": True,
            "tty": True,
            "volumeMounts": [
                {
                    "name": "kube-api-access-x",
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                    "readOnly": True,
                }
            ],
        }
    ],
}


def test_plain_pod_with_all_defaults_passes() -> None:
    """Nothing that every pod carries may stand in its way."""
    assert _fields(**DEFAULTED) == ()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (
            {"volumes": [{"name": "v", "configMap": {"name": "x", "ofTomorrow": 1}}]},
            "spec.volumes[v].configMap.ofTomorrow",
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"podCertificate": {"a": 1}}]}}]},
            "spec.volumes[v].projected.sources[0].podCertificate",
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"ofTomorrow": 1}}]}}]},
            "spec.volumes[v].projected.sources[0].secret.ofTomorrow",
        ),
        ({"resourceClaims": [{"name": "gpu"}]}, "spec.resourceClaims"),
        ({"resources": {"limits": {"a/b": "1"}}}, "spec.resources.limits[a/b]"),
        ({"aFieldOfTomorrow": {"x": 1}}, "spec.aFieldOfTomorrow"),
        (
            {"securityContext": {"supplementalGroupsPolicy": "OfTomorrow"}},
            "spec.securityContext.supplementalGroupsPolicy",
        ),
    ],
)
def test_unsupported_field_of_a_pod_is_named(spec: dict[str, Any], field: str) -> None:
    """An unknown field is refused like a known one that is not honoured."""
    assert _fields(**spec) == (field,)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"livenessProbe": {"telepathy": {"to": "all"}}}, "livenessProbe.telepathy"),
        ({"lifecycle": {"onPause": {"exec": {}}}}, "lifecycle.onPause"),
        ({"lifecycle": {"preStop": {"telepathy": 1}}}, "lifecycle.preStop.telepathy"),
        ({"envFrom": [{"vaultRef": {"name": "x"}}]}, "envFrom[0].vaultRef"),
        (
            {"env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "k"}}}]},
            "env[A].valueFrom.fileKeyRef",
        ),
        ({"env": [{"name": "A", "ofTomorrow": 1}]}, "env[A].ofTomorrow"),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "ofTomorrow": 1}]},
            "volumeMounts[/v].ofTomorrow",
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": "Upwards"}]},
            "volumeMounts[/v].mountPropagation",
        ),
        ({"ports": [{"containerPort": 80, "ofTomorrow": 1}]}, "ports[80].ofTomorrow"),
        ({"terminationMessagePolicy": "OfTomorrow"}, "terminationMessagePolicy"),
        ({"resources": {"limits": {"nvidia.com/gpu": "1"}}}, "resources.limits[nvidia.com/gpu]"),
        ({"resources": {"claims": [{"name": "x"}]}}, "resources.claims"),
        ({"securityContext": {"windowsOptions": {"a": 1}}}, "securityContext.windowsOptions"),
    ],
)
def test_unsupported_field_of_a_container_is_named(fields: dict[str, Any], field: str) -> None:
    """With the container's name."""
    assert _container_fields(**fields) == (f"spec.containers[c].{field}",)


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
def test_unsupported_field_is_found_in_every_kind_of_container(kind: str) -> None:
    """In the list that it stands in."""
    fields = _fields(**{kind: [{"name": "x", "volumeDevices": [{"name": "v"}]}]})
    assert fields == (f"spec.{kind}[x].volumeDevices",)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ({"action": "Restart", "exitCodes": {"operator": "In", "values": [3]}}, ()),
        ({"action": "RestartAllContainers", "exitCodes": {"operator": "NotIn"}}, ()),
        ({"action": "OfTomorrow"}, ("action",)),
        ({"action": "Restart", "onTuesdays": True}, ("onTuesdays",)),
    ],
)
def test_restart_rule_of_tomorrow_is_named(rule: dict[str, Any], fields: tuple[str, ...]) -> None:
    """A rule that is not understood would end or restart the wrong container."""
    path = "spec.containers[c].restartPolicyRules[0]"
    found = _container_fields(restartPolicy="Never", restartPolicyRules=[rule])
    assert found == tuple(f"{path}.{each}" for each in fields)


@pytest.mark.parametrize(
    "spec",
    [
        {"activeDeadlineSeconds": 5},
        {"hostUsers": False},
        {"enableServiceLinks": True},
        {"enableServiceLinks": None},
        {
            "containers": [
                {"name": "c", "envFrom": [{"configMapRef": {"name": "x"}, "prefix": "P"}]}
            ]
        },
        {"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}]},
        {"runtimeClassName": "gvisor", "overhead": {"cpu": "1"}},
        {"resources": {"requests": {"cpu": "1"}, "limits": {"hugepages-2Mi": "2Mi"}}},
        {"containers": [{"name": "c", "ports": [{"containerPort": 8, "hostPort": 8}]}]},
        {"containers": [{"name": "c", "ports": [{"containerPort": 8, "hostIP": "10.0.0.1"}]}]},
        {"initContainers": [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]},
        {"ephemeralContainers": [{"name": "e", "targetContainerName": "c"}]},
        {"hostUsers": True},
        {"os": {"name": "linux"}},
        {"securityContext": {"sysctls": [{"name": "a", "value": "b"}]}},
        {"securityContext": {"supplementalGroupsPolicy": "Strict"}},
        {"setHostnameAsFQDN": False},
        {"volumes": []},
        # Refused by the volume manager, with the driver's name.
        {"volumes": [{"name": "v", "csi": {"driver": "x"}}]},
        {"volumes": [{"name": "v"}, {"name": "w", "emptyDir": {"medium": "Memory"}}]},
        {"volumes": None},
        {"hostAliases": []},
        {"schedulingGates": []},
        {"hostNetwork": True, "hostPID": True, "hostIPC": True},
        {"aFieldOfTomorrow": False},
    ],
)
def test_unset_or_honoured_field_passes(spec: dict[str, Any]) -> None:
    """Empty values ask for nothing."""
    assert _fields(**spec) == ()


def test_host_port_of_a_host_network_pod_passes() -> None:
    """The API server writes it into every port of such a pod; it means nothing there."""
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 80}]}
    assert _fields(hostNetwork=True, containers=[container]) == ()


def test_message_names_all_fields() -> None:
    """In one sentence."""
    fields = _fields(resourceClaims=[{"name": "v"}], runtimeClassNames=["x"])
    assert unsupported_message(fields) == (
        "this edgelet does not support spec.resourceClaims, spec.runtimeClassNames yet"
    )
