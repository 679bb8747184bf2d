"""One line of the audit log; pure.

A line is one JSON object in plain ASCII: whatever a name or an argument holds, it is escaped, so
that no caller can begin a line of its own or speak to the terminal of whoever reads it.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# The longest names of the API have 253 characters; a caller's may have 512.
MAX_NAME_CHARACTERS = 512
MAX_ARGUMENTS = 64
MAX_ARGUMENT_CHARACTERS = 256
# Of all arguments together.
MAX_COMMAND_CHARACTERS = 4096
MAX_MESSAGE_CHARACTERS = 512


class AuditEvent(enum.StrEnum):
    """What a line tells: a call begins, ends, or never begins.

    A call that began and has no end was cut off with the edge itself.
    """

    BEGAN = "began"
    ENDED = "ended"
    REFUSED = "refused"


class Outcome(enum.StrEnum):
    """How a call ended."""

    COMPLETED = "completed"  # both ends said so
    FAILED = "failed"  # it was answered with an error
    RESET = "reset"  # one end broke it off
    LOST = "lost"  # with the link to the provider
    CANCELLED = "cancelled"  # with the edge itself


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedCall:
    """What is known of a call when it comes.

    Attributes:
        id: Ties its lines together.
        call: ``exec``, ``attach``, ``portForward`` or ``run``.
        via: ``tunnel`` or ``local``.
        caller: Whom the provider has authenticated; "" where it does not say.
        audit_id: The request's audit id as the provider has it.
        source_ips: The addresses that the call came over, as the provider says.
        namespace: Of the pod.
        pod: Its name.
        uid: Its UID; that of the request where there is no such pod.
        container: "" for port-forward.
        command: Arguments of exec and run; others have none.
        ports: Of port-forward, where the request names them.
        streams: Which of stdin, stdout, stderr and tty are asked for.
    """

    id: str
    call: str
    via: str
    caller: str = ""
    audit_id: str = ""
    source_ips: str = ""
    namespace: str = ""
    pod: str = ""
    uid: str = ""
    container: str = ""
    command: Sequence[str] = ()
    ports: Sequence[str] = ()
    streams: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnd:
    """How a call ended.

    Attributes:
        outcome: In one word.
        status: What it was answered with, 0 for nothing.
        duration_s: Since it came.
        received_bytes: What the caller sent.
        sent_bytes: What the caller was sent.
        message: The text of an error.
    """

    outcome: Outcome
    status: int
    duration_s: float
    received_bytes: int = 0
    sent_bytes: int = 0
    message: str = ""


def encode_record(
    call: AuditedCall, event: AuditEvent, *, time: str, end: CallEnd | None = None
) -> bytes:
    """Encode one line, at most some 100 KiB long.

    Args:
        call: What it is about.
        event: What happened.
        time: RFC 3339, UTC.
        end: Given for an end, and for a refusal.
    """
    fields: dict[str, Any] = {"time": time, "event": str(event), "id": call.id, "call": call.call}
    fields |= {"via": call.via, "caller": _name(call.caller), "auditID": _name(call.audit_id)}
    fields |= {"sourceIPs": _name(call.source_ips), "namespace": _name(call.namespace)}
    fields |= {"pod": _name(call.pod), "uid": _name(call.uid), "container": _name(call.container)}
    command, is_whole = _bounded(call.command)
    fields |= {"command": command} | ({} if is_whole else {"commandTruncated": True})
    ports, _ = _bounded(call.ports)
    fields |= {"ports": ports, "streams": list(call.streams)}
    if end is not None:
        fields |= {
            "outcome": str(end.outcome),
            "status": end.status,
            "duration_s": round(end.duration_s, 3),
            "receivedBytes": end.received_bytes,
            "sentBytes": end.sent_bytes,
            "message": end.message[:MAX_MESSAGE_CHARACTERS],
        }
    return encode_line({name: value for name, value in fields.items() if value not in ("", [])})


def encode_loss(count: int, *, time: str, reason: str) -> bytes:
    """Encode the line that says that lines are missing before it."""
    return encode_line({"time": time, "event": "lost", "count": count, "message": reason})


def encode_line(fields: dict[str, Any]) -> bytes:
    """Encode one line: ASCII without control characters but the line break at its end."""
    text = json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
    # JSON leaves DEL as it is.
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"


def _name(text: str) -> str:
    return text[:MAX_NAME_CHARACTERS]


def _bounded(values: Sequence[str]) -> tuple[list[str], bool]:
    """Return as many values as a line may have, and whether these are all, whole."""
    kept: list[str] = []
    room = MAX_COMMAND_CHARACTERS
    for value in values[:MAX_ARGUMENTS]:
        kept.append(value[: min(room, MAX_ARGUMENT_CHARACTERS)])
        room -= len(kept[-1])
    return kept, kept == list(values)
