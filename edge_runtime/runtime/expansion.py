"""``$(NAME)`` references in commands, arguments and environment values; pure.

Source: kubernetes third_party/forked/golang/expansion ``Expand``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.objects.container import EnvVar

# "$$" escapes, "$(NAME)" refers; an unclosed "$(" and any other "$" stand for themselves.
_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by its value and ``$$`` by ``$``; what is unknown stays as written."""

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


def literal_environment(
    entries: Iterable[EnvVar], base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Compute a container's environment from its literal variables, in order.

    A value sees the variables before it and those of ``base`` (services, envFrom), which it may
    also override.

    Source: kubernetes pkg/kubelet/kubelet_pods.go ``makeEnvironmentVariables``.
    """
    result = dict(base or {})
    for entry in entries:
        result[entry.name] = expand(entry.value, result)
    return result
