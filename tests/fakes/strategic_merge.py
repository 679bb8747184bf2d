"""Strategic merge patch, as far as Node and Pod statuses need it.

Source: apimachinery/pkg/util/strategicpatch/patch.go, and the patchMergeKey tags of core/v1.
"""

from __future__ import annotations

import copy
from typing import Any

Json = dict[str, Any]

_MERGE_KEYS = {
    "conditions": "type",
    "addresses": "type",
    "podIPs": "ip",
    "hostIPs": "ip",
}
_ORDER = "$setElementOrder/"


def merge(original: Json, patch: Json) -> Json:
    """Return the original with the patch applied; neither is changed."""
    result = copy.deepcopy(original)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    for key, value in patch.items():
        if key.startswith(_ORDER):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        elif isinstance(value, dict) and "$patch" in value:
            # A directive about what is not there: removeDirectives drops it with all it says.
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merge({}, value)
        elif isinstance(value, list) and key in _MERGE_KEYS:
            order = [item[_MERGE_KEYS[key]] for item in patch.get(_ORDER + key, ())]
            result[key] = _merge_list(result.get(key) or [], value, _MERGE_KEYS[key], order)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _merge_list(original: list[Json], patch: list[Json], key: str, order: list[str]) -> list[Json]:
    if {"$patch": "replace"} in patch:
        return [copy.deepcopy(item) for item in patch if "$patch" not in item]
    result = [copy.deepcopy(item) for item in original]
    for item in patch:
        known = [index for index, other in enumerate(result) if other.get(key) == item.get(key)]
        if item.get("$patch") == "delete":
            result = [other for other in result if other.get(key) != item.get(key)]
        elif known:
            result[known[0]] = merge(result[known[0]], item)
        else:
            result.append(merge({}, item))
    listed = [name for name in order if any(item.get(key) == name for item in result)]
    places = [index for index, item in enumerate(result) if item.get(key) in listed]
    by_name = {item.get(key): item for item in result}
    for index, name in zip(places, listed, strict=True):
        result[index] = by_name[name]
    return result
