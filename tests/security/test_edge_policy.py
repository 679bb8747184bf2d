"""What a machine's owner forbids holds against whoever may do everything in the cloud.

The kubelet port with its TLS, the tunnel, the edge's own routes and runtime: only the link between
them is in memory.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from edge_runtime.audit.audit_record import AuditEvent
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING, EdgePolicy
from edge_runtime.policy_config import Forbiddable
from provider.edge_link.edge_client import EdgeClient
from tests.fakes.edge_api import EdgeApi, edge_api
from tests.fakes.edge_pods import until
from tests.fakes.kubelet_port import API_SERVER, SITE, ClusterPki, KubeletPort, kubelet_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

EXEC = "/exec/ns/p/c?command=sh&command=-c&command=true&output=1"
SPDY = (
    "Connection: Upgrade",
    "Upgrade: SPDY/3.1",
    "X-Stream-Protocol-Version: v4.channel.k8s.io",
)


@contextlib.asynccontextmanager
async def site(folder: Path, policy: EdgePolicy) -> AsyncIterator[tuple[KubeletPort, EdgeApi]]:
    """Run a site whose edge has a policy, with one pod."""
    client = EdgeClient(site=SITE)
    (folder / "cluster").mkdir()
    async with (
        edge_api(folder, policy=policy) as api,
        kubelet_port(client, ClusterPki(folder / "cluster")) as port,
    ):
        await api.run_pod()
        client.session_attached(api.pair.client, session_id_hash="s")
        yield port, api


@pytest.mark.parametrize(
    ("forbidden", "method", "path", "lines"),
    [
        ("exec", "POST", EXEC, SPDY),
        ("exec", "GET", EXEC, SPDY),
        ("exec", "POST", "/run/ns/p/c?cmd=true", ()),
        ("run", "POST", "/run/ns/p/c?cmd=true", ()),
        ("attach", "POST", "/attach/ns/p/c?output=1", SPDY),
        ("portForward", "POST", "/portForward/ns/p", SPDY),
    ],
)
async def test_who_may_everything_is_refused_by_the_machine(
    tmp_path: Path, forbidden: str, method: str, path: str, lines: tuple[str, ...]
) -> None:
    """403 and the sentence that kubectl shows."""
    policy = EdgePolicy(forbidden=frozenset({Forbiddable(forbidden)}))
    async with site(tmp_path, policy) as (port, api):
        status, text = await port.ask(
            method, path, *(lines or ("Connection: close",)), common_name=API_SERVER
        )
        assert status == 403
        assert text.startswith("the policy of this edge forbids ")
        for call in ("Exec", "ExecSync", "Attach", "PortForward"):
            assert api.cri.called(call) == []
        ((called, event, _),) = api.audit.records
        assert (event, called.caller) == (AuditEvent.REFUSED, API_SERVER)


async def test_call_is_in_the_audit_log_under_its_authenticated_name(tmp_path: Path) -> None:
    """Not under the one that a client writes into a header of its own."""
    async with (
        site(tmp_path, FORBIDS_NOTHING) as (port, api),
        port.connect(API_SERVER) as client,
    ):
        forged = ("edgelet-caller: admin", "Audit-ID: 1-2-3", "X-Forwarded-For: 192.0.2.9")
        await client.request("POST", EXEC, *SPDY, *forged)
        assert (await client.head())[0] == 101
        client.writer.transport.abort()
        await until(lambda: len(api.audit.records) == 2)
        (call, began, _), (_, ended, end) = api.audit.records
        assert (began, ended) == (AuditEvent.BEGAN, AuditEvent.ENDED)
        assert (call.caller, call.audit_id) == (API_SERVER, "1-2-3")
        assert call.source_ips == "192.0.2.9, 127.0.0.1"
        assert (call.namespace, call.pod, call.uid, call.container) == ("ns", "p", "u", "c")
        assert call.command == ("sh", "-c", "true")
        assert end is not None
        assert end.status == 200
