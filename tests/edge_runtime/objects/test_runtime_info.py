"""The runtime's own state."""

from __future__ import annotations

from edge_runtime.objects.runtime_info import RuntimeCondition, RuntimeStatus

READY = RuntimeCondition(type="RuntimeReady", status=True, reason="", message="")


def test_condition_is_found_by_its_type() -> None:
    """A runtime that does not tell one has none of that type."""
    status = RuntimeStatus(conditions=(READY,))

    assert status.condition("RuntimeReady") is READY
    assert status.condition("NetworkReady") is None
