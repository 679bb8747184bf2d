"""The Node and its patches, as tables."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.node.node_object import (
    NodeSettings,
    TunnelReason,
    build_addresses,
    build_node,
    build_status,
    build_tunnel_condition,
    compute_metadata_patch,
    compute_node_put,
    compute_role_patch,
    compute_status_patch,
    condition_status,
    order_conditions,
    stamp_conditions,
)
from tests.fakes.reports import make_report
from tests.fakes.strategic_merge import merge

Json = dict[str, Any]
SETTINGS = NodeSettings(
    name="site-a", address="10.0.0.9", kubelet_port=10250, kubelet_version="v1.36.3"
)
TUNNEL = build_tunnel_condition("site-a", TunnelReason.CONNECTED, since="T0", last_error="")


def make_node() -> Json:
    """Return the Node as the API would hold it after its creation."""
    report = make_report()
    conditions = stamp_conditions(None, order_conditions(report.conditions, TUNNEL), now="T1")
    node = build_node(SETTINGS, report, conditions)
    node["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    return node


def patch_for(node: Json, *, now: str = "T2", heartbeat: bool = False, **changes: Any) -> Json:  # noqa: ANN401
    """Return the status patch for a changed report, {} for none."""
    report = msgspec.structs.replace(make_report(), **changes)
    conditions = stamp_conditions(node, order_conditions(report.conditions, TUNNEL), now=now)
    wanted = build_status(SETTINGS, report)
    return compute_status_patch(node, wanted, conditions, heartbeat=heartbeat) or {}


def test_a_new_node() -> None:
    """Everything that a kubelet's Node has, and only the provider's address."""
    node = make_node()
    assert node["metadata"]["labels"] == {
        "kubernetes.io/hostname": "site-a",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
    }
    assert node["spec"] == {
        "providerID": "edgelet://site-a",
        "taints": [{"key": "edgelet.dev/site", "value": "site-a", "effect": "NoSchedule"}],
    }
    status = node["status"]
    assert status["addresses"] == [{"type": "InternalIP", "address": "10.0.0.9"}]
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    assert "hostAddresses" not in status
    assert [item["type"] for item in status["conditions"]] == [
        *("MemoryPressure", "DiskPressure", "PIDPressure", "EdgeletTunnelReady", "Ready")
    ]


def test_the_taint_can_be_switched_off() -> None:
    """``registerWithTaints: false``."""
    settings = NodeSettings(
        name="a", address="1", kubelet_port=1, kubelet_version="v1", register_with_taints=False
    )
    assert "taints" not in build_node(settings, make_report(), [])["spec"]


def test_nothing_changed_needs_no_patch() -> None:
    """Neither of the status nor of the metadata."""
    node = make_node()
    assert patch_for(node) == {}
    assert compute_metadata_patch(node, SETTINGS, make_report()) is None


def test_the_apis_own_form_is_no_change() -> None:
    """It writes quantities differently and leaves out what is empty."""
    node = make_node()
    node["status"]["capacity"] = {"cpu": "2", "memory": "16000Mi", "pods": "110"}
    node["status"]["nodeInfo"]["kubeProxyVersion"] = ""
    del node["status"]["volumesInUse"], node["status"]["features"]
    assert patch_for(node) == {}


@pytest.mark.parametrize("status", ["Unknown", "False"])
def test_ready_is_said_again_after_others_took_it_away(status: str) -> None:
    """Although the edge's report is what it was; the transition is now."""
    node = make_node()
    for condition in node["status"]["conditions"]:
        condition |= {"status": status, "reason": "NodeStatusUnknown", "lastTransitionTime": "T1"}
    merged = merge(node, patch_for(node))
    ready = merged["status"]["conditions"][-1]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "True", "KubeletReady")
    assert (ready["lastTransitionTime"], ready["lastHeartbeatTime"]) == ("T2", "T2")


def test_a_heartbeat_keeps_the_transition_times() -> None:
    """Only the heartbeat is new."""
    patch = patch_for(make_node(), heartbeat=True)
    assert {item["lastTransitionTime"] for item in patch["status"]["conditions"]} == {"T1"}
    assert {item["lastHeartbeatTime"] for item in patch["status"]["conditions"]} == {"T2"}
    assert set(patch["status"]) == {"conditions", "$setElementOrder/conditions"}


def test_foreign_conditions_and_resources_stay() -> None:
    """A CNI's condition, an administrator's extended resource."""
    node = make_node()
    node["status"]["conditions"].insert(0, {"type": "NetworkUnavailable", "status": "False"})
    node["status"]["capacity"]["example.com/camera"] = "1"
    node["status"]["capacity"]["hugepages-2Mi"] = "0"
    patch = patch_for(node, allocatable={"cpu": "1"})
    assert patch["status"]["capacity"] == {"hugepages-2Mi": None}
    merged = merge(node, patch)["status"]
    assert merged["capacity"]["example.com/camera"] == "1"
    assert merged["conditions"][0]["type"] == "NetworkUnavailable"
    assert merged["allocatable"] == {"cpu": "1"}


def test_a_moved_provider_replaces_its_address() -> None:
    """Addresses are merged by type otherwise, and a Hostname of before would stay."""
    node = make_node()
    node["status"]["addresses"] = [
        {"type": "InternalIP", "address": "10.0.0.1"},
        {"type": "Hostname", "address": "old"},
    ]
    patch = compute_status_patch(node, build_addresses(SETTINGS), [])
    assert patch is not None
    assert merge(node, patch)["status"]["addresses"] == build_addresses(SETTINGS)["addresses"]


def test_offline_only_the_tunnels_condition_is_patched() -> None:
    """Ready and its heartbeat are the node controller's now."""
    node = make_node()
    lost = build_tunnel_condition("site-a", TunnelReason.LOST, since="T2", last_error="cut")
    conditions = stamp_conditions(node, [lost], now="T3")
    patch = compute_status_patch(node, build_addresses(SETTINGS), conditions)
    assert patch is not None
    assert [item["type"] for item in patch["status"]["conditions"]] == ["EdgeletTunnelReady"]
    merged = merge(node, patch)
    assert condition_status(merged, "Ready") == "True"
    assert condition_status(merged, "EdgeletTunnelReady") == "False"
    assert "offline since T2 (last error: cut)" in str(merged)


def test_an_existing_node_is_put_right() -> None:
    """Labels, annotation and providerID; taints are left alone."""
    node = make_node()
    node["metadata"]["labels"] = {"kubernetes.io/os": "plan9", "mine": "stays"}
    node["metadata"]["annotations"] = {}
    node["spec"] = {}
    patch = compute_metadata_patch(node, SETTINGS, make_report())
    assert patch is not None
    merged = merge(node, patch)
    assert merged["metadata"]["labels"]["kubernetes.io/os"] == "linux"
    assert merged["metadata"]["labels"]["mine"] == "stays"
    assert merged["spec"] == {"providerID": "edgelet://site-a"}
    assert compute_metadata_patch(merged, SETTINGS, make_report()) is None


def test_role_labels() -> None:
    """Both, once."""
    node = make_node()
    patch = compute_role_patch(node)
    assert patch == {
        "metadata": {
            "labels": {"node-role.kubernetes.io/agent": "", "node-role.kubernetes.io/edge": ""}
        }
    }
    assert compute_role_patch(merge(node, patch)) is None


def test_the_edge_hears_of_its_node_only_what_concerns_it() -> None:
    """A heartbeat makes no new revision, a taint does."""
    node = make_node()
    put = compute_node_put(node)
    assert put.taints[0]["key"] == "edgelet.dev/site"
    assert compute_node_put(merge(node, patch_for(node, heartbeat=True))).revision == put.revision
    node["spec"]["podCIDRs"] = ["10.1.0.0/24"]
    assert compute_node_put(node).revision != put.revision


AMOUNTS = st.sampled_from(["1", "2", "1000m", "1Ki", "1024", "", "junk"])
RESOURCES = st.dictionaries(st.sampled_from(["cpu", "memory", "pods", "x.io/y"]), AMOUNTS)
CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["Ready", "DiskPressure"]), "status": st.sampled_from("TFU")}
    ),
    unique_by=lambda item: item["type"],
)


@given(RESOURCES, RESOURCES, CONDITIONS, CONDITIONS, st.booleans())
def test_one_patch_makes_the_node_right(
    before: Json, after: Json, old: list[Json], new: list[Json], heartbeat: bool
) -> None:
    """Whatever the Node was, no second one is needed, unless a text is no amount."""
    node = make_node()
    node["status"] |= {"capacity": before, "conditions": old}
    changes: Json = {"capacity": after, "conditions": new}
    merged = merge(node, patch_for(node, heartbeat=heartbeat, **changes))
    again = patch_for(merged, **changes).get("status", {})
    assert set(again.get("capacity", {})) <= {k for k, v in after.items() if v in {"", "junk"}}
    if not any(value in {"", "junk"} for value in after.values()):
        assert again == {}
