"""One line stays one line, in bounds, whatever a caller puts into it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.audit.audit_record import (
    AuditedCall,
    AuditEvent,
    CallEnd,
    Outcome,
    encode_loss,
    encode_record,
)

TIME = "2026-01-02T03:04:05.678Z"
CALL = AuditedCall(
    id="1",
    call="exec",
    via="tunnel",
    caller="jane",
    audit_id="a-1",
    source_ips="192.0.2.1",
    namespace="ns",
    pod="p",
    uid="u",
    container="c",
    command=("sh", "-c", "true"),
    streams=("stdout",),
)


def _decoded(call: AuditedCall, end: CallEnd | None = None) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(encode_record(call, AuditEvent.BEGAN, time=TIME, end=end))
    return decoded


def test_line_says_who_what_when_and_from_where() -> None:
    """The fields that the documentation names."""
    assert _decoded(CALL) == {
        "time": TIME,
        "event": "began",
        "id": "1",
        "call": "exec",
        "via": "tunnel",
        "caller": "jane",
        "auditID": "a-1",
        "sourceIPs": "192.0.2.1",
        "namespace": "ns",
        "pod": "p",
        "uid": "u",
        "container": "c",
        "command": ["sh", "-c", "true"],
        "streams": ["stdout"],
    }


def test_end_says_how_it_ended() -> None:
    """Zeros are told, too."""
    end = CallEnd(outcome=Outcome.LOST, status=200, duration_s=1.23456, received_bytes=7)

    decoded = _decoded(CALL, end)

    assert {name: decoded[name] for name in list(decoded)[-5:]} == {
        "outcome": "lost",
        "status": 200,
        "duration_s": 1.235,
        "receivedBytes": 7,
        "sentBytes": 0,
    }


@pytest.mark.parametrize(
    "text",
    ['\r\n{"event":"began","caller":"admin"}', "\x1b[2J\x1b]0;t\x07", "\x00\x7f\x85\u2028\u202e"],
)
def test_names_cannot_forge_lines_or_speak_to_a_terminal(text: str) -> None:
    """Line breaks, escapes and marks of direction are spelt out."""
    fields = dict.fromkeys(("caller", "audit_id", "source_ips", "pod", "container"), text)
    call = dataclasses.replace(CALL, **fields, command=(text, text))

    line = encode_record(call, AuditEvent.BEGAN, time=TIME)

    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert line.endswith(b"}\n")
    assert json.loads(line)["caller"] == text
    assert json.loads(line)["event"] == "began"


@given(st.text(max_size=600), st.lists(st.text(max_size=300), max_size=100))
def test_any_text_is_one_bounded_line(name: str, command: list[str]) -> None:
    """Surrogates included."""
    call = dataclasses.replace(CALL, caller=name, pod=name, command=command)

    line = encode_record(call, AuditEvent.BEGAN, time=TIME)

    assert line.count(b"\n") == 1
    assert len(line) <= 100_000


@pytest.mark.parametrize(
    "command", [("x" * 1_000_000,), ("x",) * 1_000_000, ("\U0010ffff" * 256,) * 64]
)
def test_long_command_is_cut_and_says_so(command: tuple[str, ...]) -> None:
    """A request's head may have 64 KiB; a log of such is soon over."""
    call = dataclasses.replace(CALL, command=command)

    line = encode_record(call, AuditEvent.BEGAN, time=TIME)

    assert len(line) < 100_000
    assert json.loads(line)["commandTruncated"] is True
    assert sum(map(len, json.loads(line)["command"])) <= 4096


def test_loss_is_a_line_of_its_own() -> None:
    """Whoever reads the log must know that it has a gap."""
    line = encode_loss(3, time=TIME, reason="No space left on device")

    assert json.loads(line) == {
        "time": TIME,
        "event": "lost",
        "count": 3,
        "message": "No space left on device",
    }
