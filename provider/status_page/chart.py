"""The link over the last hours as a picture (SVG); pure.

Time goes to the right, the round trip up; where there was no connection a band fills the height, so
that it is seen without colours, too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from provider.status_page.amounts import duration_text, milliseconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provider.status_page.site_view import SampleView

_WIDTH, _HEIGHT = 720, 120
# More points than pixels tell nothing.
_PRECISION: Final = 1
# The least that the full height stands for: a still link must not look like a storm.
_MIN_SCALE_S: Final = 0.01


def link_chart(samples: Sequence[SampleView]) -> str:
    """Return the picture as an ``<svg>`` element; "" without samples."""
    if not samples:
        return ""
    first, last = samples[0].at, samples[-1].at
    span_s = max((last - first).total_seconds(), 1.0)
    top_s = max((each.round_trip_seconds or 0.0 for each in samples), default=0.0)
    scale_s = max(top_s * 1.1, _MIN_SCALE_S)
    points = [
        (
            (each.at - first).total_seconds() / span_s * _WIDTH,
            None
            if each.round_trip_seconds is None
            else _HEIGHT - each.round_trip_seconds / scale_s * _HEIGHT,
            each.connected,
        )
        for each in samples
    ]
    # Before the first connection nothing was interrupted.
    gaps = sum(before.connected and not each.connected for before, each in pairwise(samples))
    title = (
        f"Round trip over {duration_text(span_s)}: at most {milliseconds_text(top_s)}, "
        f"{gaps} interruption{'' if gaps == 1 else 's'}"
    )
    bands = "".join(
        f'<rect class="gap" x="{start:.{_PRECISION}f}" y="0" '
        f'width="{max(end - start, 1.0):.{_PRECISION}f}" height="{_HEIGHT}"/>'
        for start, end in _bands(points)
    )
    lines = "".join(f'<polyline class="rtt" points="{line}"/>' for line in _lines(points))
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">'
        f"<title>{title}</title>{bands}{lines}</svg><p>{title}</p>"
    )


_Point = tuple[float, float | None, bool]


def _bands(points: Iterable[_Point]) -> Iterator[tuple[float, float]]:
    """Yield from where to where there was no connection all the time."""
    start: float | None = None
    end = previous = 0.0
    for x, _, is_connected in points:
        if not is_connected:
            # What a sample tells is of the time before it.
            start = previous if start is None else start
            end = x
        elif start is not None:
            yield start, end
            start = None
        previous = x
    if start is not None:
        yield start, end


def _lines(points: Iterable[_Point]) -> Iterator[str]:
    """Yield the points of each stretch with a round trip."""
    line: list[str] = []
    for x, y, _ in points:
        if y is not None:
            line.append(f"{x:.{_PRECISION}f},{y:.{_PRECISION}f}")
        elif line:
            yield " ".join(line)
            line = []
    if line:
        yield " ".join(line)
