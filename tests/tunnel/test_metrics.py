"""What one end of the tunnel counts, over sessions that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.fakes.session_pair import GET, OK, echo, read_all, session_pair
from tunnel.errors import SessionClosed, StreamReset
from tunnel.metrics import TunnelMetrics
from tunnel.protocol import Role
from tunnel.session import Session

if TYPE_CHECKING:
    from tunnel.stream import Stream


def figures(metrics: TunnelMetrics) -> dict[str, float]:
    """Return all samples by name and labels, as a scrape shows them."""
    registry = CollectorRegistry()
    registry.register(metrics)
    lines = generate_latest(registry).decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs}


def test_a_tunnel_that_never_was() -> None:
    """Zero is a figure, too."""
    metrics = TunnelMetrics()
    metrics.expect("resumed", "new session")
    found = figures(metrics)
    assert found['edgelet_tunnel_streams_total{outcome="lost"}'] == 0
    assert found['edgelet_tunnel_bytes_total{direction="sent"}'] == 0
    assert found['edgelet_tunnel_reconnects_total{reason="new session"}'] == 0
    assert found["edgelet_tunnel_connected"] == 0
    assert found["edgelet_tunnel_streams_open"] == 0
    assert found["edgelet_tunnel_window_stalls_total"] == 0
    assert "edgelet_tunnel_round_trip_seconds" not in found


@pytest.mark.looptime
async def test_calls_are_counted_by_their_end() -> None:
    """Also after their session has ended; reconnects as they are told."""
    metrics = TunnelMetrics()

    async def serve(stream: Stream) -> None:
        if stream.request.path == "/":
            await echo(stream)
        else:
            await stream.respond(OK)
            await stream.wait_closed()

    async with session_pair(serve, delay_s=0.05) as pair:
        metrics.watch(pair.client)
        done = await pair.client.open(GET)
        await done.write(b"x" * 200_000)
        await done.close_write()
        assert len(await read_all(done)) == 200_000
        held = [await pair.client.open(type(GET)(method="GET", path="/held")) for _ in range(2)]
        for stream in held:
            await stream.response()
        held[0].reset()
        found = figures(metrics)
        assert found["edgelet_tunnel_connected"] == 1
        assert found["edgelet_tunnel_streams_open"] == 1
        assert found["edgelet_tunnel_round_trip_seconds"] == pytest.approx(0.1, abs=0.02)
        assert found['edgelet_tunnel_streams_total{outcome="completed"}'] == 1
        assert found['edgelet_tunnel_streams_total{outcome="reset"}'] == 1
        assert found['edgelet_tunnel_bytes_total{direction="sent"}'] > 200_000
        assert found['edgelet_tunnel_bytes_total{direction="received"}'] > 200_000
        assert found["edgelet_tunnel_window_stalls_total"] > 0
        pair.client_pipe.cut()
        with pytest.raises((SessionClosed, StreamReset)):
            await held[1].read()
    metrics.reconnected("resumed")
    metrics.watch(Session(role=Role.CLIENT, session_id="next"))
    after = figures(metrics)
    assert after["edgelet_tunnel_connected"] == 0
    assert after['edgelet_tunnel_streams_total{outcome="lost"}'] == 1
    assert after['edgelet_tunnel_reconnects_total{reason="resumed"}'] == 1
    for name, value in found.items():
        if name.endswith("_total") or "_total{" in name:
            assert after[name] >= value
