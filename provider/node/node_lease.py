"""The Node's Lease: renewed while the edge answers, and only then.

An API server that sees the Lease stand still for its grace period (50 s from 1.36 on) takes the
node for unreachable, which is then the truth.

Source: client-go component-helpers/apimachinery/lease/controller.go; kubelet.go, NewMainKubelet.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any, Final

from provider.kube.client import resource_path
from provider.kube.errors import ApiError, Conflict, CredentialsError, NotFound
from provider.kube.timestamps import format_micro_time, utc_now
from provider.node.link import wait_change
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from provider.kube.client import KubeApi
    from provider.node.link import Link

logger = logging.getLogger(__name__)

Json = dict[str, Any]

LEASE_NAMESPACE: Final = "kube-node-lease"
LEASE_DURATION_S: Final = 40
# A quarter of the duration, and up to 4 % later, so that many nodes do not renew in step.
RENEW_INTERVAL_S: Final = 10.0
_JITTER = 0.04
# What the edge may take to answer: two of these and a renewal still fit into the interval.
ANSWER_TIMEOUT_S: Final = 4.0
# A renewal that failed, or an edge that did not answer, is asked again soon.
_RETRY_S = 2.0
_MAX_CONFLICTS = 5


class NodeLease:
    """Renews ``kube-node-lease/<node>``."""

    def __init__(
        self,
        api: KubeApi,
        link: Link,
        *,
        node_name: str,
        node_uid: Callable[[], Awaitable[str]],
        now: Callable[[], datetime] = utc_now,
        rng: random.Random | None = None,
    ) -> None:
        """Renew as ``api``'s identity.

        Args:
            api: The node's identity.
            link: Tells whether the edge answers.
            node_name: Holder and name of the Lease.
            node_uid: Returns the UID of the Node that is to own the Lease, when there is one.
            now: The wall clock.
            rng: Source of the jitter.
        """
        self._api = api
        self._link = link
        self._node_name = node_name
        self._node_uid = node_uid
        self._now = now
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._lease: Json | None = None
        self._renewed_at: datetime | None = None
        self._problem = LastingProblem(logger, f"the Lease of node {node_name} is not renewed")

    @property
    def renewed_at(self) -> datetime | None:
        """When it was renewed last, UTC; None for never."""
        return self._renewed_at

    async def run(self) -> None:
        """Renew until cancelled: at once on a new connection, then every RENEW_INTERVAL_S."""
        while True:
            uid = await self._node_uid()
            await self._link.wait_connected()
            state = self._link.state
            renewed = await self._renew_if_answered(uid)
            delay_s = RENEW_INTERVAL_S * (1 + _JITTER * self._rng.random()) if renewed else _RETRY_S
            try:
                async with asyncio.timeout(delay_s):
                    await wait_change(self._link, state)
            except TimeoutError:
                continue  # the interval is over and the link is what it was

    async def _renew_if_answered(self, uid: str) -> bool:
        if not await self._link.answers(timeout_s=ANSWER_TIMEOUT_S):
            return False
        try:
            await self._renew(uid)
        except (ApiError, CredentialsError) as exc:
            self._problem.occurred(exc)
            self._lease = None
            return False
        self._problem.solved()
        self._renewed_at = self._now()
        return True

    async def _renew(self, uid: str) -> None:
        """Put the new time into the Lease last seen; read or create it when that fails."""
        path = self._path(self._node_name)
        for _ in range(_MAX_CONFLICTS):
            try:
                base = self._lease or await self._api.get(path)
                self._lease = await self._api.update(path, self._renewed(base, uid))
            except NotFound:
                body = self._renewed({"metadata": {"name": self._node_name}}, uid)
                self._lease = await self._api.create(self._path(), body)
            except Conflict:
                self._lease = None
                continue
            return
        raise Conflict("the Lease changed again and again", status=409, reason="Conflict")

    def _renewed(self, base: Json, uid: str) -> Json:
        metadata = {**base["metadata"], "namespace": LEASE_NAMESPACE}
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._node_name}
        metadata["ownerReferences"] = [{**owner, "uid": uid}]
        spec = {
            **base.get("spec", {}),
            "holderIdentity": self._node_name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": format_micro_time(self._now()),
        }
        lease = {**base, "apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        return {**lease, "metadata": metadata, "spec": spec}

    @staticmethod
    def _path(name: str = "") -> str:
        return resource_path(
            "leases", name=name, namespace=LEASE_NAMESPACE, group="coordination.k8s.io"
        )
