"""The page is answered behind the kubelet port's own authentication, with what is known now."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from provider.edge_link.edge_client import EdgeClient
from provider.status_page.link_history import SAMPLE_PERIOD_S
from provider.status_page.pod_usage import PodUsage
from provider.status_page.status_page import HEADERS, PageSources, StatusPage
from tests.fakes.edge import connected_edge
from tunnel.identity import parse_site_name
from tunnel.stream import INTERNAL_ERROR
from tunnel.sync import EventReport

if TYPE_CHECKING:
    from tunnel.stream import Stream

_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_POD = {
    "metadata": {"namespace": "shop", "name": "till", "uid": "u1"},
    "spec": {"containers": [{"name": "main"}]},
    "status": {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 2}]},
}


def _event(number: int) -> EventReport:
    return EventReport(
        id=str(number),
        regarding={"kind": "Pod", "namespace": "shop", "name": "till"},
        event_type="Warning",
        reason="BackOff",
        message=f"again {number}",
        count=number,
        first_timestamp="2026-11-22T00:00:00Z",
        last_timestamp="2026-11-22T00:00:00Z",
    )


def _page(link: EdgeClient) -> StatusPage:
    return StatusPage(
        site="site-a",
        version="0.1.0",
        link=link,
        usage=PodUsage(link),
        sources=PageSources(
            round_trip_s=lambda: 0.02,
            pods=lambda: [_POD],
            events=lambda: [_event(number) for number in range(60)],
            certificates=lambda: [("Edge", _NOW + timedelta(days=20)), ("Edge port", None)],
        ),
        now=lambda: _NOW,
    )


async def _refuse(stream: Stream) -> None:
    stream.reset(INTERNAL_ERROR, "not today")


async def test_an_offline_site_has_a_page_too() -> None:
    """It is then that people look at it."""
    view = await _page(EdgeClient(site=parse_site_name("site-a"))).view()
    assert view.link.state == "offline"
    assert view.link.round_trip_seconds is None
    assert view.usage_error.startswith("site site-a is offline since ")
    assert [pod.name for pod in view.pods] == ["till"]
    assert [event.message for event in view.events[:2]] == ["again 59", "again 58"]
    assert len(view.events) == 50


async def test_an_edge_that_tells_no_figures_leaves_a_note() -> None:
    """One of an older version, say."""
    async with connected_edge(_refuse) as edge:
        view = await _page(edge.client).view()
    assert view.link.state == "connected"
    assert view.link.round_trip_seconds == 0.02
    assert view.usage_error


async def test_both_forms_say_the_same() -> None:
    """A script reads what a person sees; neither is kept by a proxy."""
    page = _page(EdgeClient(site=parse_site_name("site-a")))
    request: Any = None
    html, json = await page.page(request), await page.json(request)
    assert isinstance(json.body, bytes)
    decoded = msgspec.json.decode(json.body)
    assert decoded["pods"][0]["restarts"] == 2
    assert "till" in str(html.text)
    for answer in (html, json):
        assert answer.headers["Cache-Control"] == "no-store"
        assert HEADERS["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'sha256-"
        )


@pytest.mark.looptime
async def test_the_past_of_the_link_is_kept() -> None:
    """Also an interruption that is over before anybody looked."""
    async with connected_edge(_refuse) as edge, asyncio.TaskGroup() as tasks:
        page = _page(edge.client)
        running = tasks.create_task(page.run())
        await asyncio.sleep(SAMPLE_PERIOD_S / 2)
        edge.client.session_interrupted(edge.session, error="cut")
        await asyncio.sleep(1)
        edge.client.session_attached(edge.session, session_id_hash="x")
        await asyncio.sleep(SAMPLE_PERIOD_S * 2)
        history = (await page.view()).history
        running.cancel()
    assert [each.connected for each in history] == [True, False, True]
