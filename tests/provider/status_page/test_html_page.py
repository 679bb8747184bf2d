"""The page says what is to be said, and nobody's text becomes markup."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from provider.status_page.html_page import render_page
from provider.status_page.site_view import (
    CertificateView,
    EventView,
    LinkView,
    PodView,
    SampleView,
    SiteView,
)

_NOW = datetime(2026, 11, 22, 3, 4, 5, tzinfo=UTC)


def _view(text: str = "x") -> SiteView:
    return SiteView(
        site="site-a",
        now=_NOW,
        version="0.1.0",
        link=LinkView(state="offline", since=_NOW - timedelta(hours=2), last_error=text),
        history=(SampleView(at=_NOW, connected=False),),
        pods=(
            PodView(
                namespace=text,
                name=text,
                uid=text,
                ready="0/1",
                state=text,
                healthy=False,
                restarts=7,
                created=_NOW - timedelta(days=3),
            ),
        ),
        usage_error=text,
        events=(EventView(last_seen=text, type=text, reason=text, regarding=text, message=text),),
        certificates=(
            CertificateView(name=text, not_after=_NOW + timedelta(days=3)),
            CertificateView(name="Edge", not_after=None),
        ),
    )


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _parse(page: str) -> _Tags:
    parser = _Tags()
    parser.feed(page)
    return parser


def test_it_tells_what_is_wrong() -> None:
    """State, since when, why, and what will be wrong soon."""
    text = " ".join(_parse(render_page(_view("no answer to PING"))).text)
    for part in ("Offline", "for 2h", "2026-11-22 01:04:05 UTC", "no answer to PING", "3 days"):
        assert part in text
    assert "none yet" in text


def test_it_loads_nothing_and_runs_nothing() -> None:
    """Also under the strictest policy of a browser, and through the API server's proxy."""
    page = render_page(_view())
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert 'href="/' not in page


@given(
    text=st.text(min_size=1)
    | st.sampled_from(["<script>alert(1)</script>", '" onload="x', "</title>"])
)
def test_nobodys_text_becomes_markup(text: str) -> None:
    """The same elements and attributes, whatever pods and edges call themselves."""
    assert _parse(render_page(_view(text))).tags == _parse(render_page(_view())).tags


def test_the_same_as_json() -> None:
    """With the names that Kubernetes' own JSON uses."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(_view()))
    assert decoded["link"]["lastError"] == "x"
    assert decoded["certificates"][1]["notAfter"] is None
