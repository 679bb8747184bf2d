"""The page's picture in the README: the page's own markup and style, of an example, as SVG.

python -m tests.provider.status_page.picture > docs/status-page.svg
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from html import escape

from provider.status_page.html_page import STYLE, render_page
from provider.status_page.site_view import (
    CertificateView,
    EventView,
    LinkView,
    PodView,
    SampleView,
    SiteView,
    UsageView,
)

WIDTH, HEIGHT = 1000, 950
_NOW = datetime(2026, 11, 23, 14, 44, 20, tzinfo=UTC)
_SAMPLES = 180
_SAMPLE_INTERVAL = timedelta(minutes=2)
# Samples in which the link was down: a minute's cut, and a longer one.
_GAPS = frozenset({47, *range(121, 130)})
# What embeds a picture has a background and colours of its own: this one is light everywhere.
_LIGHT = """
:root { color-scheme: only light; --bad: #c62828; --good: #2e7d32; }
svg[viewBox="0 0 1000 950"] { background: #fff; color: #000; height: auto; width: auto; }
"""


def example() -> SiteView:
    """Return a site with most of what the page can show, the same each time."""
    first = _NOW - _SAMPLES * _SAMPLE_INTERVAL
    history = tuple(
        SampleView(
            at=first + index * _SAMPLE_INTERVAL,
            connected=index not in _GAPS,
            round_trip_seconds=None if index in _GAPS else _round_trip_s(index),
        )
        for index in range(_SAMPLES + 1)
    )
    since = first + (max(_GAPS) + 1) * _SAMPLE_INTERVAL
    return SiteView(
        site="shop-7",
        now=_NOW,
        version="",
        link=LinkView(state="connected", since=since, round_trip_seconds=0.031),
        history=history,
        pods=(
            _pod("sync-28364", "CrashLoopBackOff", "0/1", hours=3, restarts=9),
            _pod("till-0", "Running", "2/2", hours=52, millicores=38, mib=121),
            _pod("till-1", "Running", "2/2", hours=52, millicores=41, mib=118),
            _pod("camera-xk2vq", "Running", "1/1", hours=9, millicores=212, mib=402, restarts=1),
        ),
        events=(
            _event(
                12, "Warning", "BackOff", "sync-28364", "Back-off restarting failed container", 31
            ),
            _event(190, "Normal", "Started", "camera-xk2vq", "Container started", 2),
            _event(
                191, "Warning", "Unhealthy", "camera-xk2vq", "Liveness probe failed: timeout", 3
            ),
        ),
        certificates=(
            CertificateView(name="Edge", not_after=_NOW + timedelta(days=6)),
            CertificateView(name="Edge port", not_after=_NOW + timedelta(days=71)),
            CertificateView(name="Kubelet port", not_after=_NOW + timedelta(days=71)),
            CertificateView(name="Site CA", not_after=_NOW + timedelta(days=3204)),
        ),
    )


def picture(view: SiteView) -> str:
    """Return the page as an SVG document, without its footer."""
    page = render_page(view)
    main = page[page.index("<main>") : page.index("</main>")] + "</main>"
    # Unlike in HTML, an element is what its namespace says.
    main = main.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' width="{WIDTH}" height="{HEIGHT}"><style>{escape(STYLE)}{_LIGHT}</style>'
        '<foreignObject width="100%" height="100%">'
        f'<body xmlns="http://www.w3.org/1999/xhtml">{main}</body>'
        "</foreignObject></svg>\n"
    ).replace("><", ">\n<")


def _round_trip_s(index: int) -> float:
    return 0.029 + (index * index * 37 % 101 % 17) / 2000 + (0.06 if index in {30, 131, 132} else 0)


def _pod(
    name: str,
    state: str,
    ready: str,
    *,
    hours: float,
    millicores: int | None = None,
    mib: int | None = None,
    restarts: int = 0,
) -> PodView:
    return PodView(
        namespace="shop",
        name=name,
        uid=name,
        ready=ready,
        state=state,
        healthy=state == "Running",
        restarts=restarts,
        created=_NOW - timedelta(hours=hours),
        usage=UsageView(
            cpu_nano_cores=None if millicores is None else millicores * 1_000_000,
            memory_working_set_bytes=None if mib is None else mib << 20,
        ),
    )


def _event(
    seconds_ago: int, kind: str, reason: str, pod: str, message: str, count: int
) -> EventView:
    return EventView(
        last_seen=(_NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        type=kind,
        reason=reason,
        regarding=f"Pod/shop/{pod}",
        message=message,
        count=count,
    )


if __name__ == "__main__":
    sys.stdout.write(picture(example()))
