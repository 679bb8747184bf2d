"""Revisions: what changes them and what must not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.pods.desired_state import OWNED_CONDITIONS, compute_pod_put, compute_revision
from tests.fakes.reports import make_pod, make_status
from tests.fakes.strategic_merge import merge

Json = dict[str, Any]
GATE = {"type": "example.com/gate", "status": "True"}


def base() -> Json:
    """Return a pod as the API holds it."""
    pod = make_pod(uid="u", resourceVersion="1", generation=1, managedFields=[{"manager": "x"}])
    pod["status"]["conditions"].append(GATE)
    return pod


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"resourceVersion": "2"}},
        {"metadata": {"managedFields": []}},
        {"metadata": {"finalizers": ["a"]}},
        {"status": make_status()},
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        {"status": {"conditions": [{"type": "DisruptionTarget", "status": "True"}]}},
        {"status": {"conditions": [{"type": GATE["type"], "message": "new words"}]}},
    ],
)
def test_our_own_writes_send_nothing_down(change: Json) -> None:
    """Else every status patch would send the pod again."""
    assert compute_revision(merge(base(), change)) == compute_revision(base())


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
        {"metadata": {"deletionGracePeriodSeconds": 3}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"generation": 2}},
        {"metadata": {"uid": "another"}},
        {"spec": {"activeDeadlineSeconds": 1}},
        {"status": {"conditions": [{"type": GATE["type"], "status": "False"}]}},
    ],
)
def test_what_the_edge_acts_on_changes_the_revision(change: Json) -> None:
    """Deletion, labels, spec, readiness gates."""
    assert compute_revision(merge(base(), change)) != compute_revision(base())


def test_the_status_travels_only_to_who_does_not_know_the_pod() -> None:
    """Else only what the edge does not own; the object itself is not touched."""
    pod = base()
    before = copy.deepcopy(pod)
    known, unknown = (compute_pod_put(pod, with_status=wanted) for wanted in (False, True))
    assert known.revision == unknown.revision == compute_revision(pod)
    assert known.pod["status"] == {"conditions": [GATE]}
    assert unknown.pod["status"] == pod["status"]
    assert "managedFields" not in known.pod["metadata"]
    assert "resourceVersion" not in known.pod["metadata"]
    assert known.pod["spec"] == pod["spec"]
    assert pod == before


@given(st.permutations(["a", "b", "c"]), st.sampled_from(sorted(OWNED_CONDITIONS)))
def test_order_means_nothing(keys: list[str], owned: str) -> None:
    """Neither of keys nor of conditions."""
    pod = base()
    pod["metadata"]["labels"] = dict.fromkeys(keys, "x")
    pod["status"]["conditions"] = [{"type": key, "status": "True"} for key in keys]
    pod["status"]["conditions"].append({"type": owned, "status": "Unknown"})
    other = base()
    other["metadata"]["labels"] = dict.fromkeys("abc", "x")
    other["status"]["conditions"] = [{"type": key, "status": "True"} for key in "abc"]
    assert compute_revision(pod) == compute_revision(other)
