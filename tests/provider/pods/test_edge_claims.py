"""What an edge says of pods, as far as it is believed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.pods.edge_claims import (
    MAX_NAMESPACES,
    MAX_OBJECTS,
    MAX_PODS,
    MAX_STATUS_BYTES,
    believed_event,
    believed_node_event,
    believed_status,
    check_hello,
)
from tests.fakes.fake_edge import make_hello
from tests.fakes.reports import make_status
from tunnel.errors import SyncError
from tunnel.sync import EventReport, PodStatus, StatusDigest

POD = {"namespace": "ns", "name": "p", "uid": "u"}
EVENT = EventReport(
    id="e",
    regarding={"kind": "Pod", **POD},
    event_type="Warning",
    reason="Failed",
    message="it failed\nbadly",
    count=2,
    first_timestamp="t",
    last_timestamp="t",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


def _believed(status: dict[str, Any]) -> dict[str, Any]:
    return believed_status(PodStatus(uid="u", sequence=1, status=status))


def test_honest_status_is_believed_as_it_is() -> None:
    """Nothing of it changes, or it would be patched for ever."""
    assert _believed(make_status()) == make_status()


def test_shared_condition_is_the_nodes_too() -> None:
    """A node says DisruptionTarget when it evicts."""
    mark = {"type": "DisruptionTarget", "status": "True"}
    gate = {"type": "example.com/gate", "status": "True"}

    assert _believed({"conditions": [mark, gate]}) == {"conditions": [mark]}


@pytest.mark.parametrize(
    "status",
    [
        {"message": "x" * MAX_STATUS_BYTES},
        {"conditions": 1},
        {"conditions": [{"type": 1, "status": "True"}]},
        {"hostIPs": "1.1.1.1"},
        {"initContainerStatuses": [None]},
        {"allocatedResources": [1]},
    ],
)
def test_what_is_no_status_is_refused(status: dict[str, Any]) -> None:
    """Before anything looks into it."""
    with pytest.raises(SyncError):
        _believed(status)


@given(st.dictionaries(st.sampled_from([*make_status(), "resources", "other"]), JSON))
def test_any_json_is_a_status_or_refused(status: dict[str, Any]) -> None:
    """Nothing else comes of it, and believing twice changes nothing."""
    try:
        believed = _believed(status)
    except SyncError:
        return
    assert _believed(believed) == believed


def test_honest_event_is_believed_with_the_apis_own_reference() -> None:
    """All else stays."""
    reference = {"apiVersion": "v1", "kind": "Pod", **POD}

    believed = believed_event(EVENT, POD)

    assert believed == msgspec.structs.replace(EVENT, regarding=reference)


@pytest.mark.parametrize(
    "changes",
    [
        {"regarding": {"kind": "Pod", **POD, "name": "other"}},
        {"regarding": {"kind": "Pod", **POD, "namespace": "other"}},
        {"regarding": {"kind": "Node", **POD}},
        {"regarding": {}},
        {"event_type": ""},
        {"id": "provider/1"},
        {"id": "e" * 1000},
    ],
)
def test_other_events_are_not(changes: dict[str, Any]) -> None:
    """They are about somebody else, or would take the place of the provider's own."""
    assert believed_event(msgspec.structs.replace(EVENT, **changes), POD) is None


def test_event_about_the_machine_is_about_the_edges_own_node() -> None:
    """Whatever node it names; like a kubelet's, its UID is the name."""
    claimed = {"kind": "Node", "name": "other", "uid": "1-2", "namespace": "kube-system"}
    event = msgspec.structs.replace(EVENT, regarding=claimed, count=-1, reason="Free\nDisk")

    believed = believed_node_event(event, node_name="site")

    assert believed is not None
    assert believed.regarding == {"kind": "Node", "name": "site", "uid": "site"}
    assert (believed.count, believed.reason) == (1, "Free\ufffdDisk")
    assert believed == believed_node_event(believed, node_name="site")


@pytest.mark.parametrize(
    "changes",
    [
        {"regarding": {"kind": "Pod", **POD}},
        {"regarding": {"kind": "Secret", "name": "site"}},
        {"regarding": {}},
        {"event_type": "Urgent"},
        {"id": "provider/1"},
        {"id": "e" * 1000},
    ],
)
def test_other_events_are_not_the_nodes(changes: dict[str, Any]) -> None:
    """Only a Node's; none that would take the place of the provider's own."""
    event = msgspec.structs.replace(EVENT, **{"regarding": {"kind": "Node"}, **changes})
    assert believed_node_event(event, node_name="site") is None


def test_hello_is_bounded() -> None:
    """Whatever it speaks of."""
    check_hello(make_hello(pods=dict.fromkeys(map(str, range(MAX_PODS)), "r")))
    digest = StatusDigest(sequence=1, hash="h")
    for changes in (
        {"pods": dict.fromkeys(map(str, range(MAX_PODS + 1)), "r")},
        {"statuses": dict.fromkeys(map(str, range(MAX_PODS + 1)), digest)},
        {"objects": dict.fromkeys(map(str, range(MAX_OBJECTS + 1)), "r")},
        {"services": dict.fromkeys(map(str, range(MAX_NAMESPACES + 1)), "r")},
    ):
        with pytest.raises(SyncError):
            check_hello(make_hello(**changes))
