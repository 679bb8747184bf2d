"""Run the twelve pods on one node and write down their statuses and events over their life."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.e2e.parity.cases import CASES

if TYPE_CHECKING:
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
LIFE_TIMEOUT_S = 75
# A probe that fails has to have been told of before a pod is deleted.
_TOLD = {"failing-readiness": "Unhealthy"}


@dataclass(slots=True, kw_only=True)
class Life:
    """What became of one pod.

    Attributes:
        seen: The pod after each write to the API server, in their order.
        settled: The first that its case calls settled; None until then.
        gone: Its deletion was confirmed.
        events: At the end, in the order they were first sent.
    """

    seen: list[Json] = field(default_factory=list)
    settled: Json | None = None
    gone: bool = False
    events: list[Json] = field(default_factory=list)

    @property
    def last(self) -> Json:
        """The pod as it was deleted."""
        return self.seen[-1]


class Recording:
    """All cases on one node, in a namespace of their own, at once."""

    def __init__(self, kubectl: Kubectl, *, node: str) -> None:
        self.kubectl = kubectl
        self.node = node
        self.lives = {case.name: Life() for case in CASES}
        self._told: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Make the pods, delete each when it has settled, return when the last one is gone.

        A life that takes too long is left as it is: the comparison tells what it lacks.
        """
        base = f"/api/v1/namespaces/{self.kubectl.namespace}"
        pods, events = (f"{base}/{kind}?watch=1" for kind in ("pods", "events"))
        deadline = time.monotonic() + LIFE_TIMEOUT_S
        with (
            self.kubectl.running("get", "--raw", pods) as of_pods,
            self.kubectl.running("get", "--raw", events) as of_events,
        ):
            namespace = self.kubectl.namespace
            self.kubectl.apply(*(c.pod(namespace=namespace, node=self.node) for c in CASES))
            while time.monotonic() < deadline and not all(x.gone for x in self.lives.values()):
                for line in of_events.arrived(timeout_s=0):
                    event = json.loads(line.text)["object"]
                    self._told.add((event["involvedObject"]["name"], event["reason"]))
                for line in of_pods.arrived(timeout_s=0.2):
                    self._take(json.loads(line.text))
                self._delete_settled()

    def read_events(self) -> None:
        """Take the events as they stand now."""
        items = self.kubectl.json("get", "events")["items"]
        for name, life in self.lives.items():
            life.events = [one for one in items if one["involvedObject"]["name"] == name]

    def _take(self, change: Json) -> None:
        pod = change["object"]
        life = self.lives[pod["metadata"]["name"]]
        if life.gone:
            return
        life.seen.append(pod)
        life.gone = change["type"] == "DELETED"

    def _delete_settled(self) -> None:
        ready = []
        for case in CASES:
            life = self.lives[case.name]
            told = case.name not in _TOLD or (case.name, _TOLD[case.name]) in self._told
            if life.settled is None and life.seen and told and case.is_settled(life.last):
                life.settled = life.last
                ready.append(case.name)
        if ready:
            self.kubectl.ok("delete", "pod", "--wait=false", *ready)
