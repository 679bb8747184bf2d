"""The events of the protocol: all are in the union that readers match on."""

from __future__ import annotations

import typing

import msgspec

from tunnel import events


def test_the_union_names_every_event() -> None:
    """An event left out of the union would pass every type check and reach nobody."""
    defined = {
        value
        for name, value in vars(events).items()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and not name.startswith("_")
    }
    assert set(typing.get_args(events.Event)) == defined


def test_equal_events_are_equal_values() -> None:
    """Events are compared in tests and logs by what they say."""
    assert events.EndArrived(3) == events.EndArrived(3)
    assert events.EndArrived(3) != events.EndArrived(5)
