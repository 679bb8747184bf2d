"""Which tolerations let a pod of the site stay while its site is away: pure decisions.

Admission gives every pod 300 s for ``not-ready`` and ``unreachable``. A bound pod's tolerations may
be added to, and of those that it has only ``tolerationSeconds`` may change; so the two lose theirs.
Adding unlimited ones behind them would change nothing: the node controller takes the first
toleration that matches a taint, and of all taints the shortest time. When a pod's tolerations
change it decides anew, and drops an eviction that was due.

Source: pkg/apis/core/validation/validation.go, validateOnlyAddedTolerations;
pkg/controller/tainteviction/taint_eviction.go, processPodOnNode and getMinTolerationTime.
"""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

SITE_TAINT: Final = "edgelet.dev/site"
_SILENCE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def belongs_to_a_site(pod: Json) -> bool:
    """Whether the pod names the site's taint, as the admission policy asks."""
    return any(item.get("key") == SITE_TAINT for item in _tolerations(pod))


def compute_tolerations(pod: Json) -> list[Json] | None:
    """Return the tolerations that the pod should have, None where it has them or is no site's.

    Exactly one unlimited toleration for each of the two taints, in front: a toleration of all
    taints that is limited may come after them. What one cannot be made of two is kept beside it,
    unlimited too: an update may take none away.
    """
    if not belongs_to_a_site(pod):
        return None
    present = _tolerations(pod)
    silence: list[Json] = [_unlimited(key, present) for key in _SILENCE_TAINTS]
    others: list[Json] = []
    for item in present:
        kept = _without_limit(item) if _is_of_silence(item) else item
        if kept not in silence and kept not in others:
            others.append(kept)
    wanted = silence + others
    return None if _says_the_same(present, wanted) else wanted


def _tolerations(pod: Json) -> list[Json]:
    return list(pod.get("spec", {}).get("tolerations") or ())


def _is_of_silence(item: Json) -> bool:
    return item.get("key") in _SILENCE_TAINTS and item.get("effect") == "NoExecute"


def _without_limit(item: Json) -> Json:
    return {key: value for key, value in item.items() if key != "tolerationSeconds"}


def _unlimited(key: str, present: list[Json]) -> Json:
    """Return the pod's own toleration of the taint without its limit, else one to be added."""
    for item in present:
        if item.get("key") == key and _is_of_silence(item):
            return _without_limit(item)
    return {"key": key, "operator": "Exists", "effect": "NoExecute"}


def _says_the_same(present: list[Json], wanted: list[Json]) -> bool:
    """Whether nothing limits the silence: the order is left alone where it does not matter."""
    if any("tolerationSeconds" in item for item in present if _is_of_silence(item)):
        return False
    if any("tolerationSeconds" in item and not item.get("key") for item in present):
        return present == wanted
    return all(item in present for item in wanted) and len(present) == len(wanted)
