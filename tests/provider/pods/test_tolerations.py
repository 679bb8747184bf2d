"""Tolerations of the site's pods: what the API server lets an update do, and what it has to do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.pods.tolerations import belongs_to_a_site, compute_tolerations

Json = dict[str, Any]

SITE: Json = {"key": "edgelet.dev/site", "operator": "Exists", "effect": "NoSchedule"}
NOT_READY: Json = {
    "key": "node.kubernetes.io/not-ready",
    "operator": "Exists",
    "effect": "NoExecute",
}
UNREACHABLE: Json = NOT_READY | {"key": "node.kubernetes.io/unreachable"}
TAINTS = (NOT_READY["key"], UNREACHABLE["key"])


def pod(*tolerations: Json) -> Json:
    """Return a pod with tolerations."""
    return {"spec": {"tolerations": list(tolerations)}}


def limited(toleration: Json, seconds: int = 300) -> Json:
    """Return a toleration that ends."""
    return toleration | {"tolerationSeconds": seconds}


def is_allowed(old: list[Json], new: list[Json]) -> bool:
    """Whether the API server takes the update (validateOnlyAddedTolerations)."""

    def without(item: Json) -> Json:
        return {key: value for key, value in item.items() if key != "tolerationSeconds"}

    return all(any(without(item) == without(other) for other in new) for item in old)


def tolerated_s(tolerations: list[Json], taint: str) -> float:
    """Return how long a taint is tolerated (GetMatchingTolerations: the first that matches)."""
    for item in tolerations:
        if item.get("key") in {None, taint} and item.get("effect") in {None, "NoExecute"}:
            return float(item.get("tolerationSeconds", "inf"))
    return 0.0


def test_the_defaults_lose_their_limit() -> None:
    """What admission gave every pod becomes unlimited, in place of being added to."""
    present = [SITE, limited(NOT_READY), limited(UNREACHABLE)]
    assert compute_tolerations(pod(*present)) == [NOT_READY, UNREACHABLE, SITE]


def test_what_is_missing_is_added() -> None:
    """Where the default admission is switched off."""
    assert compute_tolerations(pod(SITE)) == [NOT_READY, UNREACHABLE, SITE]


def test_unlimited_ones_behind_limited_ones_change_nothing_by_themselves() -> None:
    """The two become one."""
    present = [SITE, limited(NOT_READY), limited(UNREACHABLE), NOT_READY, UNREACHABLE]
    assert compute_tolerations(pod(*present)) == [NOT_READY, UNREACHABLE, SITE]


def test_what_the_policy_made_is_left_alone() -> None:
    """In whatever order."""
    assert compute_tolerations(pod(SITE, NOT_READY, UNREACHABLE)) is None


def test_a_limited_toleration_of_everything_comes_behind() -> None:
    """It would match first, and end the pod."""
    everything = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    wanted = compute_tolerations(pod(SITE, everything, NOT_READY, UNREACHABLE))
    assert wanted == [NOT_READY, UNREACHABLE, SITE, everything]


@pytest.mark.parametrize("spec", [{}, {"tolerations": None}, {"tolerations": [limited(NOT_READY)]}])
def test_other_pods_are_none_of_our_business(spec: Json) -> None:
    """A pod that does not name the site's taint keeps what it has."""
    assert not belongs_to_a_site({"spec": spec})
    assert compute_tolerations({"spec": spec}) is None


tolerations = st.lists(
    st.builds(
        lambda key, operator, effect, seconds: {
            name: value
            for name, value in {
                "key": key,
                "operator": operator if key else "Exists",
                "effect": effect,
                "tolerationSeconds": seconds if effect == "NoExecute" else None,
            }.items()
            if value is not None
        },
        st.sampled_from([*TAINTS, "edgelet.dev/site", "other", None]),
        st.sampled_from(["Exists", "Equal"]),
        st.sampled_from(["NoExecute", "NoSchedule", None]),
        st.sampled_from([None, 0, 300]),
    ),
    max_size=6,
)


@given(tolerations)
def test_the_result_is_allowed_tolerates_for_ever_and_is_final(present: list[Json]) -> None:
    """Whatever a pod came with."""
    wanted = compute_tolerations(pod(SITE, *present))
    if wanted is None:
        wanted = [SITE, *present]
    assert is_allowed([SITE, *present], wanted)
    assert {tolerated_s(wanted, taint) for taint in TAINTS} == {float("inf")}
    assert compute_tolerations(pod(*wanted)) is None
