"""What the API server was told of a pod, in the shapes that tests ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def status(kubectl: Kubectl, name: str) -> Json:
    """Return a pod's status."""
    found: Json = kubectl.json("get", "pod", name).get("status", {})
    return found


def containers(told: Json) -> dict[str, Json]:
    """Return the statuses of all of a pod's containers by name."""
    return {one["name"]: one for key in LISTS for one in told.get(key) or []}


def conditions(told: Json) -> dict[str, Json]:
    """Return a pod's conditions by type."""
    return {one["type"]: one for one in told.get("conditions", [])}


def events(kubectl: Kubectl, name: str) -> dict[str, list[str]]:
    """Return the messages of a pod's events by reason."""
    found: dict[str, list[str]] = {}
    selector = f"involvedObject.name={name}"
    for event in kubectl.json("get", "events", "--field-selector", selector)["items"]:
        found.setdefault(event["reason"], []).append(event["message"])
    return found


def becomes(
    kubectl: Kubectl, name: str, wanted: Callable[[Json], object], *, timeout_s: float = 40
) -> Json:
    """Wait until a pod's status is as wanted, and return it."""

    def asked() -> Json:
        told = status(kubectl, name)
        assert wanted(told), told
        return told

    return eventually(asked, what=f"{name} becomes as wanted", timeout_s=timeout_s)


def ends(kubectl: Kubectl, name: str, phase: str = "Succeeded", *, timeout_s: float = 40) -> Json:
    """Wait for a terminal phase and return the status."""
    return becomes(kubectl, name, lambda told: told.get("phase") == phase, timeout_s=timeout_s)


def tells(
    kubectl: Kubectl, name: str, reason: str, text: str = "", *, timeout_s: float = 20
) -> str:
    """Wait for an event with a reason, with a text in its message, and return the message."""

    def asked() -> str:
        told = events(kubectl, name)
        found = [message for message in told.get(reason, []) if text in message]
        assert found, told
        return found[0]

    return eventually(asked, what=f"{name} tells {reason}: {text}", timeout_s=timeout_s)


def output(kubectl: Kubectl, name: str, container: str = "main") -> dict[str, str]:
    """Return what a container that has ended printed as ``key=value`` lines."""
    text = kubectl.ok("logs", name, "-c", container)
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
