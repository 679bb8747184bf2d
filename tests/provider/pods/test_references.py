"""What a pod refers to."""

from __future__ import annotations

from typing import Any

import pytest

from provider.pods.references import ObjectRef, pod_references


def make_pod(phase: str = "Pending", **spec: Any) -> dict[str, Any]:  # noqa: ANN401  # API JSON
    """Return a pod with this spec."""
    return {"metadata": {"namespace": "ns", "name": "p"}, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ({}, set()),
        ({"imagePullSecrets": None, "runtimeClassName": None}, set()),
        ({"imagePullSecrets": [{"name": "b"}, {"name": "a"}, {}]}, {"Secret/ns/a", "Secret/ns/b"}),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, {"Secret/ns/a"}),
        ({"runtimeClassName": "kata"}, {"RuntimeClass//kata"}),
    ],
)
def test_references_of_a_spec(spec: dict[str, Any], keys: set[str]) -> None:
    """Each object once; empty names are nobody's."""
    assert {ref.key for ref in pod_references(make_pod(**spec))} == keys


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_needs_nothing(phase: str) -> None:
    """It is never started again."""
    assert pod_references(make_pod(phase, imagePullSecrets=[{"name": "a"}])) == frozenset()


@pytest.mark.parametrize(
    ("name", "can_exist"),
    [
        ("a", True),
        ("a-b.c1", True),
        ("..", False),
        ("a/b", False),
        ("A", False),
        ("a" * 254, False),
    ],
)
def test_names_that_no_object_has(name: str, *, can_exist: bool) -> None:
    """The API server lets pods name anything as a pull secret."""
    assert ObjectRef(kind="Secret", namespace="ns", name=name).can_exist is can_exist
