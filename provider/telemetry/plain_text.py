"""Text of others, made fit for logs, terminals and the API; pure.

An edge is another machine, perhaps in other hands. What it says is shown to people: by kubectl, in
logs. Control characters would speak to their terminals, and marks of direction would show them
another text than there is.
"""

from __future__ import annotations

import re
from typing import Any, Final

# Deeper than anything that the API has.
MAX_DEPTH: Final = 32
REPLACEMENT: Final = "\ufffd"
# C0 and C1, DEL, marks of direction, line and paragraph separators, lone surrogates.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT = re.compile(f"[{_CONTROLS}]")
_IN_LINE = re.compile(f"[\t\n{_CONTROLS}]")


def plain_text(text: str, *, max_characters: int | None = None) -> str:
    """Return the text without control characters; line breaks and tabs stay."""
    return _IN_TEXT.sub(REPLACEMENT, text[:max_characters])


def plain_line(text: str, *, max_characters: int | None = None) -> str:
    """Return the text as one line, without any control character."""
    return _IN_LINE.sub(REPLACEMENT, text[:max_characters])


def plain_json(value: Any, *, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return decoded JSON with all its texts, keys as well, as ``plain_text`` has them.

    Raises:
        ValueError: It is deeper than MAX_DEPTH.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"JSON of more than {MAX_DEPTH} levels")
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, list):
        return [plain_json(item, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        return {plain_text(key): plain_json(item, depth=depth + 1) for key, item in value.items()}
    return value
