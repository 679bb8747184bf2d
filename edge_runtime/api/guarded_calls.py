"""Calls into pods, held against the edge's policy and written down in its audit log.

The handlers below know of neither. A refused call is answered with 403 and one sentence, which
kubectl shows, before anything is looked up for it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from edge_runtime.api.request import ApiError
from edge_runtime.audit.audit_record import AuditedCall, AuditEvent, CallEnd, Outcome
from edge_runtime.policy.edge_policy import CallKind
from tunnel.errors import SessionClosed, StreamReset
from tunnel.protocol import AUDIT_ID_HEADER, CALLER_HEADER

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest
    from edge_runtime.api.targets import PodSource
    from edge_runtime.policy.edge_policy import EdgePolicy
    from tunnel.stream import Stream

_Handler = Callable[["ApiRequest", "Stream"], Awaitable[None]]
_COMMANDS = {CallKind.EXEC: "command", CallKind.RUN: "cmd"}
_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}


class CallAudit(Protocol):
    """Where calls are written down (audit/audit_log.py); never waits, never fails."""

    def record(self, call: AuditedCall, event: AuditEvent, end: CallEnd | None = None) -> None:
        """Take one line."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGuard:
    """Guards all calls of one front door.

    Attributes:
        policy: What is refused.
        audit: Where calls are written down.
        pods: The desired pods, for the UID of the one that a call names.
        via: The front door's name in the audit log, ``tunnel`` or ``local``.
    """

    policy: EdgePolicy
    audit: CallAudit
    pods: PodSource
    via: str = "tunnel"

    def guarded(self, kind: CallKind, handler: _Handler) -> _Handler:
        """Return a handler that refuses what the policy forbids and writes the others down.

        Logs are refused in forbidden namespaces, and not written down: they change nothing.
        """

        async def check(request: ApiRequest, stream: Stream) -> None:
            refusal = self._refusal(kind, request)
            if refusal is not None:
                raise refusal
            await handler(request, stream)

        async def check_and_record(request: ApiRequest, stream: Stream) -> None:
            await self._run(kind, handler, request, stream)

        return check if kind is CallKind.LOGS else check_and_record

    def _refusal(self, kind: CallKind, request: ApiRequest) -> ApiError | None:
        text = self.policy.call_refusal(kind, namespace=request.parameters["namespace"])
        return None if text is None else ApiError(403, text)

    async def _run(
        self, kind: CallKind, handler: _Handler, request: ApiRequest, stream: Stream
    ) -> None:
        call, began = self._describe(kind, request), time.monotonic()
        refusal = self._refusal(kind, request)
        if refusal is not None:
            end = _end(stream, Outcome.FAILED, began=began, error=refusal)
            self.audit.record(call, AuditEvent.REFUSED, end)
            raise refusal
        self.audit.record(call, AuditEvent.BEGAN)
        end = _end(stream, Outcome.CANCELLED, began=began)
        try:
            await handler(request, stream)
            end = _end(stream, _outcome(stream), began=began)
        except ApiError as error:
            end = _end(stream, Outcome.FAILED, began=began, error=error)
            raise
        except SessionClosed as lost:
            end = _end(stream, Outcome.LOST, began=began, message=lost.reason)
            raise
        except StreamReset as reset:
            end = _end(stream, Outcome.RESET, began=began, message=reset.reason)
            raise
        except Exception as exc:
            end = _end(stream, Outcome.FAILED, began=began, message=type(exc).__name__)
            raise
        finally:
            # A call that was cancelled has moved bytes since it began.
            if end.outcome is Outcome.CANCELLED:
                end = _end(stream, _outcome_of_cancelled(stream), began=began)
            self.audit.record(call, AuditEvent.ENDED, end)

    def _describe(self, kind: CallKind, request: ApiRequest) -> AuditedCall:
        names, headers = request.parameters, request.headers
        uid = names.get("uid") or ""
        pod = self.pods.get(names["namespace"], names["pod"])
        command = request.query.get(_COMMANDS.get(kind, ""), ())
        has_streams = kind in (CallKind.EXEC, CallKind.ATTACH)
        return AuditedCall(
            id=secrets.token_hex(8),
            call=str(kind),
            via=self.via,
            caller=unquote(_header(headers, CALLER_HEADER), errors="replace"),
            audit_id=_header(headers, AUDIT_ID_HEADER),
            source_ips=_header(headers, "x-forwarded-for"),
            namespace=names["namespace"],
            pod=names["pod"],
            uid=uid or (pod.uid if pod is not None else ""),
            container=names.get("container", ""),
            command=command,
            ports=request.query.get("port", ()) if kind is CallKind.PORT_FORWARD else (),
            streams=tuple(
                name
                for name, parameter in _STREAMS.items()
                if has_streams and request.first(parameter) == "1"
            ),
        )


def _header(headers: tuple[tuple[str, str], ...], name: str) -> str:
    """Return a header's values; several are joined, so that none hides behind another."""
    return ", ".join(value for key, value in headers if key == name)


def _outcome(stream: Stream) -> Outcome:
    answer = stream.answer
    if stream.outcome == "completed" and answer is not None and answer.status >= 400:
        return Outcome.FAILED
    return Outcome(stream.outcome)


def _outcome_of_cancelled(stream: Stream) -> Outcome:
    """Tell a call whose stream ended under it from one that ends with the edge."""
    return Outcome(stream.outcome) if stream.is_closed else Outcome.CANCELLED


def _end(
    stream: Stream,
    outcome: Outcome,
    *,
    began: float,
    error: ApiError | None = None,
    message: str = "",
) -> CallEnd:
    answer = stream.answer
    status = error.status if error is not None else answer.status if answer is not None else 0
    return CallEnd(
        outcome=outcome,
        status=status,
        duration_s=time.monotonic() - began,
        received_bytes=stream.read_bytes,
        sent_bytes=stream.written_bytes,
        message=error.text if error is not None else message,
    )
