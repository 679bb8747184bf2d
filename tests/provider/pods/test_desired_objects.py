"""What travels of objects and Services, and what makes a revision."""

from __future__ import annotations

from typing import Any

import pytest

from provider.pods.desired_objects import (
    MAX_SERVICES_BYTES,
    MISSING_REVISION,
    compute_object_put,
    compute_services_put,
)
from provider.pods.references import ObjectRef
from tunnel.sync import MAX_MESSAGE_BYTES, ObjectPut, encode_message

Json = dict[str, Any]

REF = ObjectRef(kind="Secret", namespace="ns", name="a")


def make_object(**fields: Any) -> Json:  # noqa: ANN401  # API JSON
    """Return an object with all that an API server and kubectl add."""
    return {
        "metadata": {
            "namespace": "ns",
            "name": "a",
            "uid": "u",
            "labels": {"app": "a"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": '{"data":{"k":"eA=="}}',
                "own": "x",
            },
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
            "resourceVersion": "7",
            "generation": 3,
        },
        **fields,
    }


def put_of(kind: str, found: Json) -> ObjectPut:
    """Return the message about an object."""
    put = compute_object_put(ObjectRef(kind=kind, namespace="ns", name="a"), found)
    assert put is not None
    return put


def test_a_secret_travels_as_its_contents_and_its_identity() -> None:
    """The UID tells a pull secret from its namesake of before."""
    put = put_of("Secret", make_object(type="Opaque", data={"k": "eA=="}))
    assert put.object == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "ns", "name": "a", "uid": "u"},
        "type": "Opaque",
        "data": {"k": "eA=="},
    }


def test_a_config_map_travels_with_both_kinds_of_data() -> None:
    """And says that it is immutable."""
    fields: Json = {"data": {"k": "v"}, "binaryData": {"b": "AA=="}, "immutable": True}
    put = put_of("ConfigMap", make_object(**fields))
    assert put.object is not None
    assert {key: put.object[key] for key in fields} == fields


@pytest.mark.parametrize(
    "change",
    [
        {"resourceVersion": "8"},
        {"labels": {}},
        {"annotations": {"own": "y"}},
        {"managedFields": []},
    ],
)
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_bookkeeping_makes_no_revision(kind: str, change: Json) -> None:
    """Somebody's annotation must not send a Secret down again."""
    found = make_object(data={"k": "eA=="})
    changed = {**found, "metadata": {**found["metadata"], **change}}
    assert put_of(kind, found) == put_of(kind, changed)


@pytest.mark.parametrize(
    "change", [{"data": {"k": "eQ=="}}, {"data": None}, {"immutable": True}, {"type": "other"}]
)
def test_contents_make_a_revision(change: Json) -> None:
    """Whatever the edge acts on."""
    found = make_object(data={"k": "eA=="}, type="Opaque")
    assert put_of("Secret", found).revision != put_of("Secret", {**found, **change}).revision


def test_an_object_made_anew_is_another_one() -> None:
    """Even with the same contents."""
    found = make_object(data={})
    other = {**found, "metadata": {**found["metadata"], "uid": "v"}}
    assert put_of("Secret", found).revision != put_of("Secret", other).revision


def test_other_kinds_keep_all_but_bookkeeping() -> None:
    """Nobody knows here which of a volume's annotations an edge reads."""
    found = make_object(spec={"local": {"path": "/x"}}, status={"phase": "Bound"})
    put = put_of("PersistentVolume", found)
    assert put.object == {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "namespace": "ns",
            "name": "a",
            "uid": "u",
            "labels": {"app": "a"},
            "annotations": {"own": "x"},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"local": {"path": "/x"}},
        "status": {"phase": "Bound"},
    }


def test_a_missing_object_is_told_as_such() -> None:
    """Its revision is none that a hash can have."""
    put = compute_object_put(REF, None)
    assert put is not None
    assert (put.object, put.revision) == (None, MISSING_REVISION)


def test_object_too_large_for_the_stream_is_no_message() -> None:
    """It must not end the sync stream of all others."""
    assert compute_object_put(REF, make_object(data={"k": "x" * MAX_MESSAGE_BYTES})) is None


def test_the_largest_secret_that_there_can_be_is_a_message() -> None:
    """1 MiB of data, as base64."""
    put = put_of("Secret", make_object(data={"k": "x" * (4 * (1 << 20) // 3)}))
    assert len(encode_message(put)) < MAX_MESSAGE_BYTES


def make_service(name: str = "web", ip: str | None = "10.0.0.7", **spec: Any) -> Json:  # noqa: ANN401
    """Return a Service."""
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30000}]
    fields = {"clusterIP": ip, "ports": ports, "selector": {"app": name}, **spec}
    metadata = {"namespace": "ns", "name": name, "resourceVersion": "7"}
    return {"metadata": metadata, "spec": fields, "status": {"loadBalancer": {}}}


def test_services_travel_as_what_an_environment_names() -> None:
    """In the order of their names, whatever the API server's is."""
    put = compute_services_put("ns", [make_service("web"), make_service("db", ports=None)])
    assert put.complete
    assert put.services == [
        {
            "metadata": {"namespace": "ns", "name": "db"},
            "spec": {"clusterIP": "10.0.0.7", "ports": []},
        },
        {
            "metadata": {"namespace": "ns", "name": "web"},
            "spec": {
                "clusterIP": "10.0.0.7",
                "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
            },
        },
    ]


@pytest.mark.parametrize("ip", [None, "", "None"])
def test_services_without_an_address_do_not_travel(ip: str | None) -> None:
    """Headless ones and those that are names of others make no variables."""
    assert compute_services_put("ns", [make_service(ip=ip)]).services == []


def test_only_what_travels_makes_a_revision_of_services() -> None:
    """Selectors change, addresses hardly ever."""
    first = compute_services_put("ns", [make_service("a"), make_service("b")])
    same = compute_services_put("ns", [make_service("b", selector={}), make_service("a")])
    moved = compute_services_put("ns", [make_service("a", "10.0.0.8"), make_service("b")])
    assert first.revision == same.revision
    assert first.revision != moved.revision
    assert compute_services_put("ns", []).revision


def test_services_are_bounded() -> None:
    """By what fits in one message, which is more than any process could be started with."""
    ports = [{"name": f"p{port}", "port": port, "protocol": "TCP"} for port in range(1, 1000)]
    services = [make_service(f"s{index:03}", ports=ports) for index in range(200)]
    put = compute_services_put("ns", services)
    assert put.services[0]["metadata"]["name"] == "s000"
    assert 1 < len(put.services) < len(services)
    assert len(encode_message(put)) < MAX_SERVICES_BYTES + (1 << 20) < MAX_MESSAGE_BYTES
