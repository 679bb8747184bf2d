"""Which pods make room: as few and as unimportant as possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.admission.preemption import NothingToPreempt, pods_to_preempt
from edge_runtime.objects.pod import Pod

GIB = 1 << 30


def pod(
    name: str, cpu: str = "", memory: str = "", *, priority: int | None = 0, limited: bool = False
) -> Pod:
    """A pod: Guaranteed where it is limited, BestEffort where it asks for nothing."""
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    resources = {"requests": requests, "limits": requests if limited else {}}
    return Pod(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {"containers": [{"name": "c", "resources": resources}], "priority": priority},
        }
    )


CRITICAL = pod("critical", priority=2_000_000_000)


def chosen(others: list[Pod], **lacking: int) -> list[str]:
    """Names of the pods that end."""
    return sorted(each.name for each in pods_to_preempt(CRITICAL, others, lacking))


@pytest.mark.parametrize(
    ("others", "lacking", "expected"),
    [
        ([pod("a", "1")], {}, []),
        ([pod("a", "1"), pod("b", "2")], {"cpu": 1000}, ["a"]),
        ([pod("a", "1"), pod("b", "2")], {"cpu": 1500}, ["b"]),
        ([pod("a", "1"), pod("b", "2")], {"cpu": 2500}, ["a", "b"]),
        # Of equals the one that asks for less memory.
        ([pod("a", "1", "2Gi"), pod("b", "1", "1Gi")], {"cpu": 1000}, ["b"]),
        # One that brings all that lacks rather than two that bring half each.
        (
            [pod("a", "1"), pod("b", memory="1Gi"), pod("c", "1", "1Gi")],
            {"cpu": 1000, "memory": GIB},
            ["c"],
        ),
        # Any pod is a place, and pods that asked for nothing go first.
        ([pod("a", "1"), pod("idle")], {"pods": 1}, ["idle"]),
        ([pod("a", "1"), pod("full", "1", "1Gi", limited=True)], {"cpu": 1000}, ["a"]),
        # A Guaranteed one goes where the others are not enough, and then they stay.
        (
            [pod("idle"), pod("a", "1"), pod("full", "2", "1Gi", limited=True)],
            {"cpu": 2000},
            ["full"],
        ),
    ],
)
def test_choice(others: list[Pod], lacking: dict[str, int], expected: list[str]) -> None:
    """What is needed of each class although all less important ones were ended."""
    assert chosen(others, **lacking) == expected


def test_critical_pods_stay_unless_they_are_less_important() -> None:
    """By priority alone."""
    equal = pod("equal", "1", priority=2_000_000_000)
    with pytest.raises(NothingToPreempt):
        chosen([equal], cpu=1000)
    important = pod("important", priority=2_000_001_000)
    assert pods_to_preempt(important, [equal], {"cpu": 1000}) == (equal,)


def test_a_pod_without_priority_makes_room_for_none_but_critical_ones() -> None:
    """It is not known to be less important."""
    unknown = pod("unknown", "1", priority=None)
    assert chosen([unknown], cpu=1000) == ["unknown"]
    with pytest.raises(NothingToPreempt):
        pods_to_preempt(pod("high", priority=5), [unknown], {"cpu": 1000})


def test_what_is_missing_is_told() -> None:
    """All of it, by name."""
    with pytest.raises(NothingToPreempt) as refused:
        chosen([pod("a", "1")], memory=5, cpu=1500)
    assert str(refused.value) == (
        "no set of running pods found to reclaim resources: "
        "[(res: cpu, q: 500), (res: memory, q: 5), ]"
    )


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=7),
    st.integers(1, 12),
    st.integers(0, 12),
)
def test_choice_is_enough_or_impossible(
    sizes: list[tuple[int, int, bool]], cpu: int, memory: int
) -> None:
    """Whoever goes brings what lacks; where nobody is chosen, not even all would."""
    others = [
        pod(str(index), str(cpus or ""), str(size or ""), limited=limited)
        for index, (cpus, size, limited) in enumerate(sizes)
    ]
    lacking = {"cpu": cpu * 1000, "memory": memory}
    lacking = {name: amount for name, amount in lacking.items() if amount}
    enough = sum(size[0] for size in sizes) >= cpu and sum(size[1] for size in sizes) >= memory
    try:
        victims = pods_to_preempt(CRITICAL, others, lacking)
    except NothingToPreempt:
        assert not enough
        return
    assert enough
    assert len({each.uid for each in victims}) == len(victims)
    ended = [sizes[int(each.name)] for each in victims]
    assert sum(size[0] for size in ended) >= cpu
    assert sum(size[1] for size in ended) >= memory
