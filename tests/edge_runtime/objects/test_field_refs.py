"""The downward API: every field and resource, as a kubelet writes them."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.field_refs import (
    FieldContext,
    FieldRefError,
    default_limits,
    field_value,
    resource_value,
)
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.quantity import QuantityError

NODE = {
    "cpu": Fraction(4),
    "memory": Fraction(8 << 30),
    "ephemeral-storage": Fraction(10 << 30),
    "hugepages-2Mi": Fraction(64 << 20),
    "pods": Fraction(110),
}
POD = Pod(
    {
        "metadata": {
            "name": "web-0",
            "namespace": "shop",
            "uid": "u-1",
            "labels": {"app": "web", "example.com/tier": "front"},
            "annotations": {"b": 'say "hi"\n', "a": "é", "Example.com/Build": "7"},
        },
        "spec": {
            "nodeName": "site-a",
            "serviceAccountName": "robot",
            "containers": [
                {
                    "name": "main",
                    "resources": {
                        "limits": {"cpu": "1500m", "memory": "100Mi", "hugepages-2Mi": "4Mi"},
                        "requests": {
                            "cpu": "250m",
                            "memory": "64M",
                            "ephemeral-storage": "1Gi",
                            "hugepages-2Mi": "4Mi",
                        },
                    },
                },
                {"name": "bare"},
            ],
            "initContainers": [{"name": "first", "resources": {"requests": {"cpu": "1"}}}],
            "ephemeralContainers": [{"name": "debug"}],
        },
    }
)
CONTEXT = FieldContext(host_ips=("192.0.2.1", "2001:db8::1"), pod_ips=("10.0.0.7", "fd00::7"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['example.com/tier']", "front"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['b']", 'say "hi"\n'),
        ("metadata.annotations['Example.com/Build']", "7"),
        ("metadata.annotations['absent']", ""),
        ("spec.nodeName", "site-a"),
        ("spec.host", "site-a"),
        ("spec.serviceAccountName", "robot"),
        ("status.hostIP", "192.0.2.1"),
        ("status.hostIPs", "192.0.2.1,2001:db8::1"),
        ("status.podIP", "10.0.0.7"),
        ("status.podIPs", "10.0.0.7,fd00::7"),
    ],
)
def test_every_field(path: str, value: str) -> None:
    """As `kubectl explain pod.spec.containers.env.valueFrom.fieldRef` lists them."""
    assert field_value(POD, path, context=CONTEXT) == value


def test_labels_and_annotations_as_a_whole_are_sorted_quoted_lines() -> None:
    """What volumes show; no line end after the last one."""
    assert field_value(POD, "metadata.labels") == 'app="web"\nexample.com/tier="front"'
    assert field_value(POD, "metadata.annotations") == (
        'Example.com/Build="7"\na="é"\nb="say \\"hi\\"\\n"'
    )
    assert field_value(Pod({"metadata": {"name": "p", "uid": "u"}}), "metadata.labels") == ""


def test_without_addresses_they_are_empty() -> None:
    """A pod that has none yet, a machine whose link is down."""
    assert field_value(POD, "status.podIP") == ""
    assert field_value(POD, "status.hostIPs") == ""


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("metadata.generation", "field label not supported: metadata.generation"),
        ("", "field label not supported: "),
        ("status.phase", "unsupported fieldPath: status.phase"),
        ("spec.restartPolicy", "unsupported fieldPath: spec.restartPolicy"),
        (
            "metadata.name['x']",
            "field label does not support subscript: metadata.name['x']",
        ),
        ("['x']", "field label not supported: ['x']"),
        ("metadata.labels['']", "invalid key subscript in metadata.labels['']"),
        ("metadata.labels['a b']", "invalid key subscript in metadata.labels['a b']"),
        ("metadata.labels['A.com/x']", "invalid key subscript in metadata.labels['A.com/x']"),
        ("metadata.labels['a/b/c']", "invalid key subscript in metadata.labels['a/b/c']"),
        ("metadata.labels['/b']", "invalid key subscript in metadata.labels['/b']"),
    ],
)
def test_what_is_no_field_is_refused(path: str, message: str) -> None:
    """In a kubelet's words, never as an empty text."""
    with pytest.raises(FieldRefError) as error:
        field_value(POD, path, context=CONTEXT)
    assert str(error.value) == message


def test_keys_are_bounded() -> None:
    """63 characters of a name, 253 of its domain."""
    name, domain = "n" * 63, ".".join(["d" * 62] * 4)
    assert field_value(POD, f"metadata.labels['{domain}/{name}']") == ""
    for key in (name + "n", f"{domain}.dd/x"):
        with pytest.raises(FieldRefError):
            field_value(POD, f"metadata.labels['{key}']")


def test_another_api_version_is_refused() -> None:
    """There is one alone."""
    with pytest.raises(FieldRefError, match=r"^unsupported pod version: v2$"):
        field_value(POD, "metadata.name", api_version="v2")


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_any_annotation_takes_one_line(annotations: dict[str, str], path: str) -> None:
    """Whatever a value holds; and no path at all does worse than a refusal."""
    pod = Pod({"metadata": {"name": "p", "uid": "u", "annotations": annotations}})
    text = field_value(pod, "metadata.annotations")
    keys = [key for key in annotations if "\n" not in key]
    if len(keys) == len(annotations):
        assert len(text.split("\n")) == max(len(annotations), 1)
    for each in (path, f"metadata.annotations['{path}']", f"{path}['x']"):
        with contextlib.suppress(FieldRefError):
            assert isinstance(field_value(pod, each), str)


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "", "2"),
        ("limits.cpu", "0", "2"),
        ("limits.cpu", "1", "2"),
        ("limits.cpu", "1m", "1500"),
        ("requests.cpu", "1", "1"),
        ("requests.cpu", "1m", "250"),
        ("limits.memory", "1", str(100 << 20)),
        ("limits.memory", "1Mi", "100"),
        ("limits.memory", "1Gi", "1"),
        ("limits.memory", "1M", "105"),
        ("requests.memory", "1Mi", "62"),
        ("requests.memory", "1M", "64"),
        ("limits.ephemeral-storage", "1Gi", "10"),
        ("requests.ephemeral-storage", "1Mi", "1024"),
        ("limits.hugepages-2Mi", "1Mi", "4"),
        ("requests.hugepages-2Mi", "1", str(4 << 20)),
        ("requests.hugepages-1Gi", "1", "0"),
    ],
)
def test_every_resource(resource: str, divisor: str, value: str) -> None:
    """In units of the divisor, rounded up."""
    assert resource_value(POD, "main", resource, divisor, allocatable=NODE) == value


@pytest.mark.parametrize(
    ("resource", "value"),
    [
        ("limits.cpu", "4"),
        ("limits.memory", str(8 << 30)),
        ("limits.ephemeral-storage", str(10 << 30)),
        ("limits.hugepages-2Mi", "0"),
        ("requests.cpu", "0"),
        ("requests.memory", "0"),
    ],
)
def test_limits_that_are_not_set_are_the_nodes(resource: str, value: str) -> None:
    """But no huge pages, which are never overcommitted, and no requests."""
    assert resource_value(POD, "bare", resource, "1", allocatable=NODE) == value
    assert resource_value(POD, "bare", resource, "1", allocatable={}) == "0"


def test_init_containers_have_resources_too() -> None:
    """A volume may tell of any but an ephemeral one."""
    assert resource_value(POD, "first", "requests.cpu", "1m", allocatable=NODE) == "1000"
    for name in ("debug", "nobody"):
        with pytest.raises(FieldRefError, match=rf"^container {name} not found$"):
            resource_value(POD, name, "requests.cpu", "1m", allocatable=NODE)


@pytest.mark.parametrize("resource", ["cpu", "limits", "limits.gpu", "usage.cpu", "limits.pods"])
def test_what_is_no_resource_is_refused(resource: str) -> None:
    """In a kubelet's words."""
    with pytest.raises(FieldRefError) as error:
        resource_value(POD, "main", resource, "1", allocatable=NODE)
    assert str(error.value) == f"unsupported container resource : {resource}"


def test_what_is_no_divisor_is_refused() -> None:
    """The API server lets none through; nothing is divided by a guess."""
    with pytest.raises(QuantityError):
        resource_value(POD, "main", "limits.cpu", "many", allocatable=NODE)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, {"cpu": 4, "memory": 8 << 30}),
        ({"cpu": "2"}, {"cpu": 2, "memory": 8 << 30}),
        ({"memory": "1Gi", "cpu": "0"}, {"cpu": 4, "memory": 1 << 30}),
        ({"ephemeral-storage": "1Gi"}, {"cpu": 4, "ephemeral-storage": 10 << 30}),
    ],
)
def test_a_pods_own_limits_come_before_the_nodes(
    limits: dict[str, Any], expected: dict[str, int]
) -> None:
    """A container without a limit has the pod's, as far as a pod can have one."""
    pod = Pod({"metadata": {}, "spec": {"resources": {"limits": limits}}})
    found = default_limits(pod, NODE)
    assert {name: found[name] for name in expected} == expected


@given(
    milli=st.integers(0, 10**7),
    divisor=st.sampled_from(["1", "1m"]),
    byte_count=st.integers(0, 1 << 45),
    by=st.sampled_from([("1", 1), ("1k", 1000), ("1Ki", 1 << 10), ("1Mi", 1 << 20)]),
)
def test_nothing_is_lost_below_one_unit(
    milli: int, divisor: str, byte_count: int, by: tuple[str, int]
) -> None:
    """The smallest count of units that holds all of it."""
    resources = {"limits": {"cpu": f"{milli}m", "memory": str(byte_count)}}
    pod = Pod({"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
    cpus = int(resource_value(pod, "c", "limits.cpu", divisor, allocatable={}))
    unit = 1 if divisor == "1m" else 1000
    assert cpus * unit >= milli > (cpus - 1) * unit or milli == cpus == 0
    units = int(resource_value(pod, "c", "limits.memory", by[0], allocatable={}))
    assert units * by[1] >= byte_count > (units - 1) * by[1] or byte_count == units == 0
