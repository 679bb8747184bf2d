"""Paths and selectors of the API, for the fake API server."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def split_path(path: str) -> tuple[str, str, str]:
    """Return collection path, name and subresource."""
    parts = path.strip("/").split("/")
    head = 2 if parts[0] == "api" else 3
    if len(parts) > head + 1 and parts[head] == "namespaces":
        head += 2
    rest = [*parts[head:], "", ""]
    return "/" + "/".join(parts[:head] + rest[:1]), rest[1], rest[2]


def is_in(wanted: str, collection: str) -> bool:
    """Whether a collection is the wanted one, or the wanted one is of all namespaces."""
    if wanted == collection:
        return True
    before, _, after = collection.partition("/namespaces/")
    return bool(after) and wanted == f"{before}/{after.split('/', 1)[1]}"


def is_selected(body: Json, query: dict[str, str]) -> bool:
    """Whether an object fits the query's field selector: terms ``path=value``, all of them."""
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, wanted = term.replace("==", "=").partition("=")
        value: Any = body
        for key in path.split("."):
            value = value.get(key, {})
        if value != wanted:
            return False
    return True
