"""Who waits for whom at a pod's end, and how long a killed container gets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.pod import Pod
from edge_runtime.pod_actions.container_kills import KillReason
from edge_runtime.pod_actions.stop_order import compute_kill_grace_s, compute_stop_order


def _pod(*, mains: str = "", sidecars: str = "", inits: str = "") -> Pod:
    """A pod whose containers are called by single letters."""
    return Pod(
        {
            "metadata": {"name": "p", "uid": "u"},
            "spec": {
                "containers": [{"name": each} for each in mains],
                "initContainers": [
                    *({"name": each} for each in inits),
                    *({"name": each, "restartPolicy": "Always"} for each in sidecars),
                ],
            },
        }
    )


@pytest.mark.parametrize(
    ("running", "order"),
    [
        ("mnst", {"m": "", "n": "", "s": "mnt", "t": "mn"}),
        ("ms", {"m": "", "s": "m"}),
        ("st", {"s": "t", "t": ""}),
        ("s", {"s": ""}),
        ("is", {"i": "", "s": ""}),
        ("mde", {"m": "", "d": "", "e": ""}),
    ],
)
def test_sidecars_end_last_and_backwards(running: str, order: dict[str, str]) -> None:
    """After all main containers, each after the sidecar that started after it."""
    pod = _pod(mains="mn", sidecars="st", inits="i")
    found = compute_stop_order(pod, set(running))
    assert {name: "".join(each) for name, each in found.items()} == order


def test_a_sidecar_that_ended_hides_the_ones_after_it_from_those_before() -> None:
    """As in a kubelet, which waits for the next sidecar only: it ended, so nobody is waited for."""
    found = compute_stop_order(_pod(mains="m", sidecars="stu"), {"s", "u"})
    assert found == {"s": (), "u": ()}


@given(st.sets(st.sampled_from("abcxyz")))
def test_the_order_has_no_circle(running: set[str]) -> None:
    """Whoever runs, somebody can always go first."""
    left = dict(compute_stop_order(_pod(mains="abc", sidecars="xyz"), running))
    while left:
        ready = [name for name, before in left.items() if not set(before) & set(left)]
        assert ready
        for name in ready:
            del left[name]


def _grace_s(reason: KillReason, **metadata: Any) -> int:  # noqa: ANN401  # API JSON
    container = {
        "name": "c",
        "livenessProbe": {"terminationGracePeriodSeconds": 0},
        "startupProbe": {"terminationGracePeriodSeconds": 60},
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 7}
    pod = Pod({"metadata": {"name": "p", "uid": "u", **metadata}, "spec": spec})
    return compute_kill_grace_s(pod, pod.containers[0], reason)


@pytest.mark.parametrize(
    ("reason", "grace_s"),
    [
        (KillReason.UNKNOWN, 7),
        (KillReason.LIVENESS_PROBE, 0),
        (KillReason.STARTUP_PROBE, 60),
        (KillReason.FAILED_POST_START_HOOK, 7),
        (KillReason.RESTART_ALL_CONTAINERS, 0),
    ],
)
def test_a_probe_may_bring_its_own_grace_period(reason: KillReason, grace_s: int) -> None:
    """Only when it is why; it may be shorter or longer than the pod's."""
    assert _grace_s(reason) == grace_s


def test_a_deletion_s_grace_period_is_above_all() -> None:
    """Also above the probe's."""
    assert _grace_s(KillReason.STARTUP_PROBE, deletionGracePeriodSeconds=3) == 3


def test_a_probe_without_a_grace_period_leaves_the_pod_s() -> None:
    """30 s where nobody says anything."""
    pod = Pod({"metadata": {"uid": "u"}, "spec": {"containers": [{"name": "c"}]}})
    assert compute_kill_grace_s(pod, pod.containers[0], KillReason.LIVENESS_PROBE) == 30
