"""Calls into pods: refused where the owner says so, and written down from begin to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.audit.audit_record import AuditEvent, CallEnd, Outcome
from edge_runtime.policy.edge_policy import EdgePolicy
from edge_runtime.policy_config import Forbiddable
from tests.fakes.edge_api import EdgeApi, edge_api
from tests.fakes.edge_pods import until
from tests.fakes.fake_cri_streaming import SWITCHING
from tests.fakes.tunnel_pair import read_all
from tunnel.protocol import AUDIT_ID_HEADER, CALLER_HEADER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.fake_cri_streaming import Upgraded

EXEC = "/exec/ns/p/c?command=sh&command=-c&command=true&output=1&input=1"
FORBIDS_CALLS = EdgePolicy(
    forbidden=frozenset(
        {Forbiddable.EXEC, Forbiddable.ATTACH, Forbiddable.PORT_FORWARD, Forbiddable.RUN}
    )
)


async def ended(api: EdgeApi) -> CallEnd:
    """Wait for the end of the one call."""
    await until(lambda: len(api.audit.records) == 2)
    (began, began_event, nothing), (last, last_event, end) = api.audit.records
    assert began == last
    assert (began_event, last_event, nothing) == (AuditEvent.BEGAN, AuditEvent.ENDED, None)
    assert end is not None
    return end


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/exec/ns/p/c?command=sh&output=1", "exec"),
        ("/exec/ns/p/some-uid/c?command=sh&output=1", "exec"),
        ("/attach/ns/p/c?output=1", "attach"),
        ("/attach/ns/p/some-uid/c?output=1", "attach"),
        ("/portForward/ns/p", "port-forward"),
        ("/portForward/ns/p/some-uid", "port-forward"),
    ],
)
async def test_forbidden_upgrade_is_answered_with_one_sentence(
    tmp_path: Path, path: str, name: str
) -> None:
    """Status 403, plain text: kubectl shows it. The runtime is asked for nothing."""
    async with edge_api(tmp_path, policy=FORBIDS_CALLS) as api:
        await api.run_pod()
        stream = await api.upgrade(path)
        head = await stream.response()
        body = await read_all(stream)

    assert (head.status, body.decode()) == (403, f"the policy of this edge forbids {name}")
    assert dict(head.headers)["content-type"] == "text/plain; charset=utf-8"
    assert [api.cri.called(call) for call in ("Exec", "Attach", "PortForward")] == [[], [], []]
    ((call, event, end),) = api.audit.records
    assert (event, call.namespace, call.pod) == (AuditEvent.REFUSED, "ns", "p")
    assert end is not None
    assert (end.status, end.message) == (403, body.decode())


@pytest.mark.parametrize("forbidden", [Forbiddable.EXEC, Forbiddable.RUN])
async def test_run_is_forbidden_by_name_and_with_exec(
    tmp_path: Path, forbidden: Forbiddable
) -> None:
    """It is exec by another name."""
    policy = EdgePolicy(forbidden=frozenset({forbidden}))
    async with edge_api(tmp_path, policy=policy) as api:
        await api.run_pod()
        answer = await api.pair.fetch("/run/ns/p/c?cmd=true", method="POST")

    assert answer == (403, b"the policy of this edge forbids run")
    assert api.cri.called("ExecSync") == []


async def test_forbidden_namespace_has_no_calls_and_no_logs(tmp_path: Path) -> None:
    """Whether there is such a pod is not told."""
    policy = EdgePolicy(denied_namespaces=frozenset({"secret"}))
    refusal = b'the policy of this edge forbids namespace "secret"'
    async with edge_api(tmp_path, policy=policy) as api:
        await api.run_pod()
        assert await api.pair.fetch("/containerLogs/secret/none/c") == (403, refusal)
        assert (await api.pair.fetch("/containerLogs/ns/p/c"))[0] == 200
        stream = await api.upgrade("/exec/secret/none/c?command=sh&output=1")
        assert await read_all(stream) == refusal


async def test_call_is_written_down_from_begin_to_end(tmp_path: Path) -> None:
    """Who, what, from where, how much; the UID is the pod's own."""
    headers = (
        (CALLER_HEADER, "system:serviceaccount:a%20b"),
        (AUDIT_ID_HEADER, "id-1"),
        ("x-forwarded-for", "192.0.2.7, 10.0.0.1"),
    )
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade(EXEC, headers=headers)
        await stream.write(b"12345")
        await stream.close_write()
        received = await read_all(stream)
        end = await ended(api)

    call = api.audit.records[0][0]
    assert (call.call, call.via, call.caller) == ("exec", "tunnel", "system:serviceaccount:a b")
    assert (call.audit_id, call.source_ips) == ("id-1", "192.0.2.7, 10.0.0.1")
    assert (call.namespace, call.pod, call.uid, call.container) == ("ns", "p", "u", "c")
    assert (call.command, call.streams) == (("sh", "-c", "true"), ("stdin", "stdout"))
    assert (end.outcome, end.status) == (Outcome.COMPLETED, 200)
    assert (end.received_bytes, end.sent_bytes) == (5, len(received)) == (5, 5)
    assert 0 < end.duration_s < 10


async def test_callers_headers_do_not_reach_the_runtime(tmp_path: Path) -> None:
    """It has no use for them."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade(EXEC, headers=((CALLER_HEADER, "jane"), ("x-other", "1")))
        await stream.close_write()
        await read_all(stream)

    headers = {name.lower() for name, _ in api.streaming.connections[0].headers}
    assert "x-other" in headers
    assert CALLER_HEADER not in headers


async def test_two_callers_are_both_written_down(tmp_path: Path) -> None:
    """None hides behind the other."""
    async with edge_api(tmp_path) as api:
        stream = await api.upgrade(EXEC, headers=((CALLER_HEADER, "a"), (CALLER_HEADER, "b")))
        await read_all(stream)

    assert api.audit.records[0][0].caller == "a, b"


async def test_refusal_of_the_call_itself_is_a_failure(tmp_path: Path) -> None:
    """A container that is not there, and what the caller was told of it."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        stream = await api.upgrade("/exec/ns/p/none?command=sh&output=1")
        await read_all(stream)
        end = await ended(api)

    assert (end.outcome, end.status) == (Outcome.FAILED, 500)
    assert end.message == 'container not found ("none")'


async def _waits(upgraded: Upgraded) -> None:
    upgraded.writer.write(SWITCHING)
    await upgraded.reader.read()


async def test_call_that_its_caller_gives_up_is_reset(tmp_path: Path) -> None:
    """With what went over it until then."""
    async with edge_api(tmp_path, behaviour=_waits) as api:
        await api.run_pod()
        stream = await api.upgrade("/attach/ns/p/c?input=1")
        await stream.response()
        await stream.write(b"123")
        stream.reset()
        end = await ended(api)

    assert (end.outcome, end.status) == (Outcome.RESET, 200)
    assert end.received_bytes in (0, 3)


async def test_call_that_is_lost_with_its_session_says_so(tmp_path: Path) -> None:
    """The caller knows no more than we do."""
    async with edge_api(tmp_path, behaviour=_waits) as api:
        await api.run_pod()
        stream = await api.upgrade(EXEC)
        await stream.response()
        await api.pair.server.drain(deadline_s=0)
        end = await ended(api)

    assert (end.outcome, end.status) == (Outcome.LOST, 200)


async def test_run_is_written_down_with_its_command(tmp_path: Path) -> None:
    """As the caller wrote it."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        await api.pair.fetch("/run/ns/p/c?cmd=ls%20-l", method="POST")
        await ended(api)

    call = api.audit.records[0][0]
    assert (call.call, call.command, call.streams) == ("run", ("ls -l",), ())
