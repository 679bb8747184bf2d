"""The page: one document without scripts, without anything from elsewhere; pure.

What pods and edges say is anybody's text: everything goes through ``escape``.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from provider.status_page.amounts import (
    UNKNOWN,
    bytes_text,
    cores_text,
    duration_text,
    milliseconds_text,
    moment_text,
)
from provider.status_page.chart import link_chart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provider.status_page.site_view import CertificateView, SiteView

REFRESH_S: Final = 15
# A certificate that lives shorter than that is worth a look; the CA warns earlier by an event.
SOON_S: Final = 7 * 86400.0
_WORDS = {
    "connected": "Connected",
    "interrupted": "Interrupted, waiting for the edge to come back",
    "offline": "Offline",
}
STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --good: #2e7d32; --soft: #8882; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.state { font-weight: 600; } .bad { color: var(--bad); } .good { color: var(--good); }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem .3rem 0; text-align: left;
  vertical-align: top; overflow-wrap: break-word; }
.when { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { background: var(--soft); display: block; height: 7.5rem; width: 100%; }
.rtt { fill: none; stroke: var(--good); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.gap { fill: var(--bad); opacity: .35; } footer { margin-top: 2rem; opacity: .75; }
"""


def render_page(view: SiteView) -> str:
    """Return the HTML document."""
    site = escape(view.site)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{site}: {escape(view.link.state)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}">'
        f"<style>{STYLE}</style></head><body><main>"
        f"<h1>Site {site}</h1>{_link(view)}{_pods(view)}{_events(view)}"
        f"{_certificates(view.certificates, view)}</main>"
        f"<footer>{moment_text(view.now)}; edgelet {escape(view.version)}; "
        f'<a href="status.json">the same as JSON</a>; '
        f"reloads every {REFRESH_S} s</footer></body></html>\n"
    )


def _link(view: SiteView) -> str:
    link = view.link
    word = escape(_WORDS.get(link.state, link.state))
    mood = "good" if link.state == "connected" else "bad"
    age = duration_text((view.now - link.since).total_seconds())
    trip = f", round trip {milliseconds_text(link.round_trip_seconds)}"
    error = f"<p>Last error: {escape(link.last_error)}</p>" if link.last_error else ""
    return (
        f'<p><span class="state {mood}">{word}</span> for {age}, since {moment_text(link.since)}'
        f"{trip if link.round_trip_seconds is not None else ''}</p>{error}"
        f"{link_chart(view.history)}"
    )


def _pods(view: SiteView) -> str:
    if not view.pods:
        return "<h2>Pods</h2><p>No pods.</p>"
    rows = [
        _row(
            escape(pod.namespace),
            escape(pod.name),
            escape(pod.ready),
            f'<span class="{"good" if pod.healthy else "bad"}">{escape(pod.state)}</span>',
            _number(str(pod.restarts)),
            _number(cores_text(pod.usage.cpu_nano_cores)),
            _number(bytes_text(pod.usage.memory_working_set_bytes)),
            _number(
                duration_text((view.now - pod.created).total_seconds()) if pod.created else UNKNOWN
            ),
        )
        for pod in view.pods
    ]
    note = f"<p>Usage is not known: {escape(view.usage_error)}</p>" if view.usage_error else ""
    names = ("Namespace", "Name", "Ready", "State", "Restarts", "CPU", "Memory", "Age")
    return f"<h2>Pods ({len(view.pods)})</h2>{note}{_table(names, rows, first_number=4)}"


def _events(view: SiteView) -> str:
    if not view.events:
        return "<h2>Recent events</h2><p>None since the provider started.</p>"
    rows = [
        _row(
            f'<span class="when">{escape(event.last_seen)}</span>',
            f'<span class="{"good" if event.type == "Normal" else "bad"}">{escape(event.type)}'
            "</span>",
            escape(event.reason),
            escape(event.regarding),
            escape(event.message),
            _number(str(event.count)),
        )
        for event in view.events
    ]
    names = ("Last seen", "Type", "Reason", "Object", "Message", "Count")
    return f"<h2>Recent events</h2>{_table(names, rows, first_number=5)}"


def _certificates(certificates: Iterable[CertificateView], view: SiteView) -> str:
    rows = []
    for each in certificates:
        if each.not_after is None:
            rows.append(_row(escape(each.name), "none yet", _number(UNKNOWN)))
            continue
        left_s = (each.not_after - view.now).total_seconds()
        text = "expired" if left_s <= 0 else f"{left_s / 86400:.0f} days"
        mood = "bad" if left_s < SOON_S else "good"
        left = f'<span class="{mood}">{text}</span>'
        rows.append(_row(escape(each.name), moment_text(each.not_after), _number(left)))
    names = ("Certificate", "Valid until", "Left")
    return f"<h2>Certificates</h2>{_table(names, rows, first_number=2)}"


def _table(names: Sequence[str], rows: Iterable[str], *, first_number: int) -> str:
    head = "".join(
        f'<th scope="col"{_NUMBER if index >= first_number else ""}>{name}</th>'
        for index, name in enumerate(names)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


_NUMBER = ' class="number"'


def _row(*cells: str) -> str:
    inside = "".join(each if each.startswith("<td") else f"<td>{each}</td>" for each in cells)
    return f"<tr>{inside}</tr>"


def _number(text: str) -> str:
    return f"<td{_NUMBER}>{text}</td>"
