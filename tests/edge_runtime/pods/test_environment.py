"""A container's environment, as a kubelet makes it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.field_refs import FieldContext
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.pods.environment import (
    EnvironmentProblem,
    EnvironmentSources,
    check_words,
    compute_environment,
)

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

SECRET = base64.b64encode(b"hunter2").decode()
OBJECTS: dict[str, Json] = {
    "ConfigMap/shop/settings": {"data": {"color": "blue", "log.level": "$(A)"}},
    "ConfigMap/shop/more": {"data": {"color": "red"}, "binaryData": {"raw": "AAAA"}},
    "ConfigMap/shop/empty": {},
    "Secret/shop/login": {"data": {"password": SECRET, "user": "cm9ib3Q=", "none": ""}},
}


def _compute(
    *env: Json,
    env_from: tuple[Json, ...] = (),
    services: dict[str, str] | None = None,
    objects: dict[str, Json] | None = None,
    addresses: FieldContext | None = None,
    of: str = "main",
) -> dict[str, str]:
    resources = {"limits": {"cpu": "500m"}, "requests": {"memory": "64Mi"}}
    main: Json = {"name": "main", "env": list(env), "envFrom": list(env_from)}
    variables = {"env": list(env), "envFrom": list(env_from)}
    pod = Pod(
        {
            "metadata": {
                "name": "web-0",
                "namespace": "shop",
                "uid": "u-1",
                "labels": {"app": "web"},
                "annotations": {"note": "a\nb"},
            },
            "spec": {
                "nodeName": "site-a",
                "serviceAccountName": "robot",
                "containers": [main | {"resources": resources}, {"name": "bare", **variables}],
                "initContainers": [{"name": "first", **variables}],
                "ephemeralContainers": [{"name": "debug", **variables}],
                "resources": {"limits": {"memory": "1Gi"}},
            },
        }
    )
    container = pod.container(of)
    assert container is not None
    sources = EnvironmentSources(
        services=services or {},
        objects=OBJECTS if objects is None else objects,
        addresses=addresses
        or FieldContext(host_ips=("192.0.2.1", "2001:db8::1"), pod_ips=("10.0.0.7", "fd00::7")),
        allocatable=parse_resources({"cpu": "4", "memory": "8Gi", "ephemeral-storage": "10Gi"}),
    )
    return compute_environment(pod, container, sources)


def _key(kind: str, name: str, key: str, **more: object) -> Json:
    field = {"ConfigMap": "configMapKeyRef", "Secret": "secretKeyRef"}[kind]
    return {"name": "X", "valueFrom": {field: {"name": name, "key": key, **more}}}


def _field(path: str, **more: object) -> Json:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path, **more}}}


def _resource(resource: str, divisor: str = "0", **more: object) -> Json:
    reference = {"resource": resource, "divisor": divisor, **more}
    return {"name": "X", "valueFrom": {"resourceFieldRef": reference}}


def test_values_see_what_stands_before_them() -> None:
    """Earlier variables, envFrom and Services; what comes later, or never, stays as written."""
    found = _compute(
        {"name": "A", "value": "$(LATER)$(color)$(WEB_SERVICE_HOST)$(NEVER)"},
        {"name": "LATER", "value": "x"},
        {"name": "B", "value": "$(A)/$$(A)"},
        {"name": "LATER", "value": "$(LATER)y"},
        {"name": "EMPTY"},
        env_from=({"configMapRef": {"name": "settings"}},),
        services={"WEB_SERVICE_HOST": "10.96.0.7"},
    )
    assert found == {
        "WEB_SERVICE_HOST": "10.96.0.7",
        "color": "blue",
        "log.level": "$(A)",
        "A": "$(LATER)blue10.96.0.7$(NEVER)",
        "LATER": "xy",
        "B": "$(LATER)blue10.96.0.7$(NEVER)/$(A)",
        "EMPTY": "",
    }


def test_what_comes_later_wins() -> None:
    """Services, then envFrom in order, then env."""
    found = _compute(
        {"name": "B", "value": "env"},
        env_from=(
            {"configMapRef": {"name": "settings"}},
            {"configMapRef": {"name": "more"}},
            {"secretRef": {"name": "login"}, "prefix": "DB_"},
        ),
        services={"color": "white", "B": "service", "C": "service"},
    )
    assert found == {
        "color": "red",
        "log.level": "$(A)",
        "DB_password": "hunter2",
        "DB_user": "robot",
        "DB_none": "",
        "B": "env",
        "C": "service",
    }


def test_values_of_objects_are_not_expanded() -> None:
    """Only the pod's own author writes references."""
    found = _compute(
        {"name": "A", "value": "a"},
        _key("ConfigMap", "settings", "log.level"),
        {"name": "Y", "value": "$(X)"},
    )
    assert found == {"A": "a", "X": "$(A)", "Y": "$(A)"}


def test_keys_of_objects() -> None:
    """A Secret's value is its bytes, also those that are no text."""
    assert _compute(_key("ConfigMap", "settings", "color")) == {"X": "blue"}
    assert _compute(_key("Secret", "login", "password")) == {"X": "hunter2"}
    data = {"raw": base64.b64encode(b"\xff\xfe!").decode()}
    found = _compute(_key("Secret", "s", "raw"), objects={"Secret/shop/s": {"data": data}})
    assert found["X"].encode("utf-8", "surrogateescape") == b"\xff\xfe!"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (_key("ConfigMap", "nope", "k"), 'configmap "nope" not found'),
        (_key("Secret", "nope", "k"), 'secret "nope" not found'),
        (
            _key("ConfigMap", "settings", "nope"),
            "couldn't find key nope in ConfigMap shop/settings",
        ),
        (_key("ConfigMap", "empty", "nope"), "couldn't find key nope in ConfigMap shop/empty"),
        # What is binary there is for volumes.
        (_key("ConfigMap", "more", "raw"), "couldn't find key raw in ConfigMap shop/more"),
        (_key("Secret", "login", "nope"), "couldn't find key nope in Secret shop/login"),
        (_field("status.phase"), "unsupported fieldPath: status.phase"),
        (_field("metadata.name", apiVersion="v2"), "unsupported pod version: v2"),
        (_resource("limits.gpu"), "unsupported container resource : limits.gpu"),
        (_resource("limits.cpu", containerName="nobody"), "container nobody not found"),
        (_resource("limits.cpu", divisor="many"), "'many' is not a resource quantity"),
    ],
)
def test_what_is_missing_is_told_as_a_kubelet_tells_it(entry: Json, message: str) -> None:
    """With the names that somebody has to look at."""
    with pytest.raises(EnvironmentProblem) as error:
        _compute(entry)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"configMapRef": {"name": "nope"}}, 'configmap "nope" not found'),
        ({"secretRef": {"name": "nope", "optional": False}}, 'secret "nope" not found'),
    ],
)
def test_a_whole_object_that_is_missing(reference: Json, message: str) -> None:
    """Unless it is optional."""
    with pytest.raises(EnvironmentProblem) as error:
        _compute(env_from=(reference,))
    assert str(error.value) == message


def test_the_first_problem_is_told() -> None:
    """In the order of the spec, envFrom before env: the same one until it is mended."""
    with pytest.raises(EnvironmentProblem, match="first"):
        _compute(
            _key("Secret", "second", "k"),
            env_from=({"configMapRef": {"name": "first"}},),
        )


def test_optional_references_leave_variables_as_they_were() -> None:
    """Missing objects and missing keys: no variable at all, or the earlier one."""
    found = _compute(
        {"name": "X", "value": "before"},
        _key("ConfigMap", "nope", "k", optional=True),
        _key("Secret", "nope", "k", optional=True),
        _key("ConfigMap", "settings", "nope", optional=True),
        _key("Secret", "login", "nope", optional=True),
        env_from=(
            {"configMapRef": {"name": "nope", "optional": True}, "prefix": "P_"},
            {"secretRef": {"name": "nope", "optional": True}},
            {"configMapRef": {"name": "empty"}},
        ),
    )
    assert found == {"X": "before"}
    assert _compute(_key("Secret", "login", "nope", optional=True)) == {}


def test_an_optional_object_that_is_there_counts() -> None:
    """Optional is not ignored."""
    found = _compute(
        _key("Secret", "login", "user", optional=True),
        env_from=({"configMapRef": {"name": "more", "optional": True}},),
    )
    assert found == {"color": "red", "X": "robot"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['note']", "a\nb"),
        ("metadata.annotations['absent']", ""),
        ("spec.nodeName", "site-a"),
        ("spec.serviceAccountName", "robot"),
        ("status.hostIP", "192.0.2.1"),
        ("status.hostIPs", "192.0.2.1,2001:db8::1"),
        ("status.podIP", "10.0.0.7"),
        ("status.podIPs", "10.0.0.7,fd00::7"),
    ],
)
def test_fields(path: str, value: str) -> None:
    """All that a variable can be told of its pod; an empty one is a variable, too."""
    assert _compute(_field(path, apiVersion="v1")) == {"X": value}


@pytest.mark.parametrize("path", ["status.hostIP", "status.hostIPs"])
def test_a_machine_without_addresses_has_none_to_tell(path: str) -> None:
    """Then the container waits, as with a kubelet; the pod's own addresses may be missing."""
    nowhere = FieldContext()
    with pytest.raises(EnvironmentProblem, match=r"^host IP unknown; known addresses: \[\]$"):
        _compute(_field(path), addresses=nowhere)
    assert _compute(_field("status.podIP"), addresses=nowhere) == {"X": ""}


@pytest.mark.parametrize(
    ("entry", "of", "value"),
    [
        (_resource("limits.cpu"), "main", "1"),
        (_resource("limits.cpu", "1m"), "main", "500"),
        (_resource("requests.memory", "1Mi"), "main", "64"),
        (_resource("requests.cpu", "1m"), "main", "0"),
        # The pod's own limit comes before the node's.
        (_resource("limits.memory", "1Mi"), "main", "1024"),
        (_resource("limits.cpu"), "bare", "4"),
        (_resource("limits.cpu"), "first", "4"),
        (_resource("limits.ephemeral-storage", "1Gi"), "debug", "10"),
        (_resource("limits.cpu", "1m", containerName="main"), "first", "500"),
        (_resource("limits.cpu", "1m", containerName="bare"), "main", "4000"),
        # An init container that is called by its name has no default.
        (_resource("limits.cpu", "1m", containerName="first"), "main", "0"),
    ],
)
def test_resources(entry: Json, of: str, value: str) -> None:
    """A container's own, or those of another one of the pod."""
    assert _compute(entry, of=of) == {"X": value}


def test_a_literal_comes_before_a_reference() -> None:
    """The API server refuses both; an old one did not."""
    both = {"name": "X", "value": "literal", "valueFrom": {"fieldRef": {"fieldPath": "nope"}}}
    assert _compute(both) == {"X": "literal"}


def test_a_value_with_a_nul_byte_is_refused_without_showing_it() -> None:
    """No process can have such a variable; runtimes end the value there or fail obscurely."""
    data = {"raw": base64.b64encode(b"hunter2\0tail").decode()}
    with pytest.raises(EnvironmentProblem) as error:
        _compute(_key("Secret", "s", "raw"), objects={"Secret/shop/s": {"data": data}})
    assert str(error.value) == "the value of environment variable X has a NUL byte"


def test_a_secret_that_is_not_base64_is_refused_without_showing_it() -> None:
    """The API server never has one; a guess at it would be worse."""
    objects: dict[str, Json] = {"Secret/shop/s": {"data": {"raw": "hunter2!"}}}
    with pytest.raises(EnvironmentProblem) as error:
        _compute(_key("Secret", "s", "raw"), objects=objects)
    assert str(error.value) == "key raw in Secret shop/s is not base64"


def test_words_that_are_not_text_are_refused_without_showing_them() -> None:
    """The runtime takes UTF-8 alone for commands."""
    check_words(["sh", "é", ""])
    with pytest.raises(EnvironmentProblem) as error:
        check_words(["sh", b"\xffhunter2".decode("utf-8", "surrogateescape")])
    assert str(error.value) == "command or arguments refer to a variable whose value is not UTF-8"


NAMES = st.sampled_from(["A", "B", "C", "D"])


@given(
    services=st.dictionaries(NAMES, st.text("$()ABx")),
    data=st.dictionaries(NAMES, st.text("$()ABx")),
    env=st.lists(st.tuples(NAMES, st.text("$()ABx", min_size=1))),
)
def test_the_last_one_of_a_name_is_what_a_container_sees(
    services: dict[str, str], data: dict[str, str], env: list[tuple[str, str]]
) -> None:
    """Whatever overrides what; and a value without a dollar is told as it is."""
    found = _compute(
        *({"name": name, "value": value} for name, value in env),
        env_from=({"configMapRef": {"name": "c"}},),
        services=services,
        objects={"ConfigMap/shop/c": {"data": data}},
    )
    assert set(found) == {*services, *data, *(name for name, _ in env)}
    last = {**services, **data, **dict(env)}
    assert {
        name: value for name, value in last.items() if "$" not in value
    }.items() <= found.items()
    assert {name: data[name] for name in data if name not in dict(env)}.items() <= found.items()


@given(st.binary().filter(lambda value: b"\0" not in value))
def test_any_bytes_of_a_secret_reach_the_container(value: bytes) -> None:
    """But for NUL."""
    objects: dict[str, Json] = {
        "Secret/shop/s": {"data": {"raw": base64.b64encode(value).decode()}}
    }
    found = _compute(_key("Secret", "s", "raw"), objects=objects)
    assert found["X"].encode("utf-8", "surrogateescape") == value
