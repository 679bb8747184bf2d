"""Answers for the site's page, and looks at the link in between."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from aiohttp import web

from provider.status_page.html_page import STYLE, render_page
from provider.status_page.link_history import SAMPLE_PERIOD_S, LinkHistory
from provider.status_page.pod_usage import UsageUnknown
from provider.status_page.site_view import (
    MAX_EVENTS,
    CertificateView,
    EventView,
    LinkView,
    SampleView,
    SiteView,
    UsageView,
    pod_views,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from provider.edge_link.edge_client import LinkState
    from tunnel.sync import EventReport

Json = dict[str, Any]

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# The page shows what pods call themselves: whatever slipped through could load and run nothing.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Link(Protocol):
    """The link's state; edge_link.EdgeClient fits."""

    @property
    def state(self) -> LinkState:
        """The state of this moment."""
        ...

    async def changed(self) -> LinkState:
        """Return the state after its next change."""
        ...


class Usage(Protocol):
    """What pods use (status_page/pod_usage.py)."""

    async def read(self) -> Mapping[str, UsageView]:
        """Return it by pod UID; raises UsageUnknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSources:
    """Where the page's contents come from; each is asked when somebody looks.

    Attributes:
        round_trip_s: Of the last PING, None without a connection.
        pods: The API's objects.
        events: The newest last.
        certificates: Name and end of each, None where there is none yet.
    """

    round_trip_s: Callable[[], float | None]
    pods: Callable[[], Iterable[Json]]
    events: Callable[[], Iterable[EventReport]]
    certificates: Callable[[], Iterable[tuple[str, datetime | None]]]


class StatusPage:
    """The page of one site."""

    def __init__(
        self,
        *,
        site: str,
        version: str,
        link: Link,
        usage: Usage,
        sources: PageSources,
        now: Callable[[], datetime],
    ) -> None:
        """Know nothing of the link's past yet.

        Args:
            site: Its name.
            version: edgelet's.
            link: The link.
            usage: What pods use.
            sources: All else.
            now: The wall clock, UTC.
        """
        self._site = site
        self._version = version
        self._link = link
        self._usage = usage
        self._sources = sources
        self._now = now
        self._history = LinkHistory()

    async def run(self) -> None:
        """Look at the link until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._sample())

    async def _watch(self) -> None:
        while True:
            if not (await self._link.changed()).connected:
                self._history.lost()

    async def _sample(self) -> None:
        while True:
            self._history.add(
                at=self._now(),
                is_connected=self._link.state.connected,
                round_trip_s=self._sources.round_trip_s(),
            )
            await asyncio.sleep(SAMPLE_PERIOD_S)

    async def page(self, _request: web.BaseRequest) -> web.Response:
        """Answer with the page."""
        text = render_page(await self.view())
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def json(self, _request: web.BaseRequest) -> web.Response:
        """Answer with the same as JSON."""
        body = msgspec.json.encode(await self.view())
        return web.Response(body=body, content_type="application/json", headers=HEADERS)

    async def view(self) -> SiteView:
        """Return all that is shown; what the edge does not tell is left out, and said."""
        usage: Mapping[str, UsageView] = {}
        error = ""
        try:
            usage = await self._usage.read()
        except UsageUnknown as exc:
            error = str(exc)
        events = list(self._sources.events())[-MAX_EVENTS:]
        return SiteView(
            site=self._site,
            now=self._now(),
            version=self._version,
            link=self._link_view(),
            history=tuple(
                SampleView(
                    at=each.at, connected=each.is_connected, round_trip_seconds=each.round_trip_s
                )
                for each in self._history.samples()
            ),
            pods=pod_views(self._sources.pods(), usage),
            usage_error=error,
            events=tuple(_event_view(each) for each in reversed(events)),
            certificates=tuple(
                CertificateView(name=name, not_after=end)
                for name, end in self._sources.certificates()
            ),
        )

    def _link_view(self) -> LinkView:
        state = self._link.state
        word = "connected" if state.connected else "offline"
        return LinkView(
            state="interrupted" if state.interrupted else word,
            since=state.since,
            last_error=state.last_error,
            round_trip_seconds=self._sources.round_trip_s() if state.connected else None,
        )


def _event_view(event: EventReport) -> EventView:
    regarding = event.regarding
    parts = (regarding.get(key) for key in ("kind", "namespace", "name"))
    return EventView(
        last_seen=event.last_timestamp,
        type=event.event_type,
        reason=event.reason,
        regarding="/".join(str(part) for part in parts if part),
        message=event.message,
        count=event.count,
    )
