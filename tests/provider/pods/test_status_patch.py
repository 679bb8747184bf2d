"""Status patches: they make the API's status the edge's, and touch nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.pods.status_patch import (
    compute_lost_status,
    compute_status_patch,
    dropped_fields,
    is_terminal,
)
from tests.fakes.reports import make_pod, make_status
from tests.fakes.strategic_merge import merge

Json = dict[str, Any]


def patched(pod: Json, status: Json) -> Json:
    """Return the pod's status after the patch."""
    result: Json = merge(pod, compute_status_patch(pod, status) or {})["status"]
    return result


def running() -> Json:
    """Return a pod whose status is the edge's."""
    pod = make_pod(uid="u", resourceVersion="1")
    pod["status"] = patched(pod, make_status())
    return pod


def condition(status: Json, kind: str) -> Json | None:
    """Return a condition of a status."""
    found = [item for item in status["conditions"] if item["type"] == kind]
    return found[0] if found else None


def test_the_patch_names_the_uid_and_repeats_nothing() -> None:
    """The second patch of the same status is none."""
    pod = make_pod(uid="u")
    patch = compute_status_patch(pod, make_status())
    assert patch is not None
    assert patch["metadata"] == {"uid": "u"}
    assert "qosClass" not in patch["status"]
    assert compute_status_patch(running(), make_status()) is None


def test_ready_is_put_right_after_silence() -> None:
    """The node controller's word is the only thing that changes."""
    pod = running()
    ready = condition(pod["status"], "Ready")
    assert ready is not None
    ready |= {"status": "False", "lastTransitionTime": "2026-02-02T00:00:00Z"}
    patch = compute_status_patch(pod, make_status())
    assert patch is not None
    assert list(patch["status"]) == ["conditions"]
    assert [item["type"] for item in patch["status"]["conditions"]] == ["Ready"]


def test_old_addresses_go() -> None:
    """They are merged by ip, so the list says that it replaces."""
    status = patched(running(), make_status(ip="10.88.0.9"))
    assert (status["podIP"], status["podIPs"]) == ("10.88.0.9", [{"ip": "10.88.0.9"}])
    status = patched(running(), make_status(ip=""))
    assert "podIP" not in status
    assert status["podIPs"] == []


def test_what_is_empty_now_is_taken_away() -> None:
    """A field left out of a patch would survive."""
    pod = running()
    pod["status"] |= {
        "message": "old",
        "reason": "Evicted",
        "initContainerStatuses": [{"name": "i"}],
    }
    status = patched(pod, make_status())
    assert not {"message", "reason", "initContainerStatuses"} & set(status)


def test_what_lasts_is_not_taken_away() -> None:
    """The start time, the QoS class and the generation, when the edge does not repeat them."""
    pod = running()
    pod["status"] |= {"qosClass": "Burstable", "observedGeneration": 2}
    incomplete = {key: value for key, value in make_status().items() if key != "startTime"}
    assert compute_status_patch(pod, incomplete) is None


def test_resources_come_change_and_go() -> None:
    """A directive about what is not there would be dropped with all it says."""
    pod = running()
    small, large = {"requests": {"cpu": "1"}}, {"limits": {"cpu": "2"}}
    for wanted in (small, large, {}):
        pod["status"] = patched(pod, {**make_status(), "resources": wanted})
        assert pod["status"]["resources"] == wanted
    assert "resources" not in patched(pod, make_status())


def test_statuses_of_all_kinds_of_containers_replace_each_other() -> None:
    """And go once there are none."""
    pod = running()
    kinds = ("initContainerStatuses", "ephemeralContainerStatuses")
    first = {kind: [{"name": "a"}, {"name": "b"}] for kind in kinds}
    second = {kind: [{"name": "b", "ready": True}] for kind in kinds}
    for wanted in (first, second):
        pod["status"] = patched(pod, {**make_status(), **wanted})
        assert {kind: pod["status"][kind] for kind in kinds} == wanted
    assert not set(kinds) & set(patched(pod, make_status()))


def test_fields_that_an_older_api_server_drops_are_found() -> None:
    """Only those that were sent and did not arrive."""
    patch: Json = {"status": {"resources": {}, "allocatedResources": None, "phase": "Running"}}
    assert dropped_fields(patch, {"status": {"phase": "Running"}}) == {"resources"}
    assert dropped_fields(patch, {"status": {"resources": {}}}) == frozenset()


def test_foreign_fields_and_conditions_stay() -> None:
    """Readiness gates, the scheduler's words, a disruption's mark."""
    pod = running()
    pod["status"]["nominatedNodeName"] = "n"
    for kind in ("example.com/gate", "DisruptionTarget"):
        pod["status"]["conditions"].append({"type": kind, "status": "True"})
    status = patched(pod, make_status(ready=False))
    assert status["nominatedNodeName"] == "n"
    assert condition(status, "example.com/gate")
    assert condition(status, "DisruptionTarget")


def test_owned_conditions_that_the_edge_dropped_go() -> None:
    """A resize that is over; PodScheduled is the scheduler's and stays."""
    pod = running()
    pod["status"]["conditions"].append({"type": "PodResizePending", "status": "True"})
    wanted = make_status()
    wanted["conditions"] = wanted["conditions"][1:]
    status = patched(pod, wanted)
    assert condition(status, "PodResizePending") is None
    assert condition(status, "PodScheduled")


def test_a_reason_that_is_over_goes() -> None:
    """Conditions are merged key by key; the transition time is the API's."""
    pod = running()
    ready = condition(pod["status"], "Ready")
    assert ready is not None
    ready |= {"reason": "Old", "message": "old", "lastTransitionTime": "T"}
    after = condition(patched(pod, make_status()), "Ready")
    assert after is not None
    assert "reason" not in after
    assert after["lastTransitionTime"] == "T"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_terminal_phase_is_for_ever(phase: str) -> None:
    """No life after it, and no other end."""
    pod = running()
    pod["status"]["phase"] = phase
    assert compute_status_patch(pod, make_status("Running")) is None
    assert compute_status_patch(pod, make_status("Pending")) is None
    for other in ("Succeeded", "Failed"):
        assert patched(pod, make_status(other, ready=False))["phase"] == phase


def test_a_pod_that_never_ran_ends_failed() -> None:
    """It is not ready, and says why."""
    pod = make_pod(uid="u")
    pod["status"]["conditions"].append({"type": "Ready", "status": "True"})
    lost = compute_lost_status(pod, now="T")
    status = patched(pod, lost)
    assert (status["phase"], status["reason"]) == ("Failed", "NeverRan")
    ready = condition(status, "Ready")
    assert ready is not None
    assert (ready["status"], ready["lastTransitionTime"]) == ("False", "T")
    assert condition(status, "PodScheduled")


def test_containers_of_a_lost_store_have_an_unknown_end() -> None:
    """Exit code 137; one that had ended keeps its own."""
    pod = running()
    done = {"name": "d", "state": {"terminated": {"exitCode": 3}}}
    pod["status"]["containerStatuses"].append(done)
    status = patched(pod, compute_lost_status(pod, now="T"))
    first, second = status["containerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 137
    assert first["state"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert second["state"] == done["state"]
    assert status["reason"] == "ContainerStatusUnknown"
    assert is_terminal({"status": status})


IPS: st.SearchStrategy[Any] = st.lists(
    st.sampled_from(["1.1.1.1", "2.2.2.2", "fd::1"]).map(lambda ip: {"ip": ip}),
    unique_by=lambda item: item["ip"],
    max_size=2,
)
CONDITION: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Ready", "Initialized", "PodResizePending", "example.com/gate"]),
        "status": st.sampled_from(["True", "False"]),
    },
    optional={
        "reason": st.sampled_from(["", "A", "B"]),
        "lastTransitionTime": st.sampled_from(["T1", "T2"]),
    },
)
STATUSES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
        "conditions": st.lists(CONDITION, unique_by=lambda item: item["type"]),
    },
    optional={
        "podIPs": IPS,
        "podIP": st.sampled_from(["", "1.1.1.1"]),
        "message": st.sampled_from(["", "m"]),
        "startTime": st.just("T"),
        "containerStatuses": st.lists(
            st.fixed_dictionaries({"name": st.just("c"), "restartCount": st.integers(0, 2)}),
            max_size=2,
        ),
        "resources": st.dictionaries(
            st.sampled_from(["limits", "requests"]), st.just({"cpu": "1"})
        ),
    },
)


@given(STATUSES, STATUSES)
def test_one_patch_is_enough(live: Json, status: Json) -> None:
    """Whatever the API held: after the patch nothing differs any more, and nothing went back."""
    pod = {**make_pod(uid="u"), "status": live}
    after = patched(pod, status)
    assert compute_status_patch({**pod, "status": after}, status) is None
    if live["phase"] in {"Succeeded", "Failed"}:
        assert after["phase"] == live["phase"]
    for foreign in (item for item in live["conditions"] if "/" in item["type"]):
        assert condition(after, foreign["type"])
