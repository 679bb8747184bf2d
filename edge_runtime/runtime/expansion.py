"""``$(NAME)`` references in commands, arguments and environment values; pure.

Source: kubernetes third_party/forked/golang/expansion ``Expand``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# "$$" escapes, "$(NAME)" refers; an unclosed "$(" and any other "$" stand for themselves.
_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by its value and ``$$`` by ``$``; what is unknown stays as written."""

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


def references(text: str) -> frozenset[str]:
    """Return the names that a text refers to."""
    return frozenset(match[2] for match in _REFERENCE.finditer(text) if not match[1])
