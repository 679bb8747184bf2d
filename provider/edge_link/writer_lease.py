"""The writer Lease: of the providers that run for one site, one writes and accepts the tunnel.

    waiting ──nobody holds it, or its holder was silent for LEASE_DURATION_S──> holding
    holding ──released: the provider stops in order──> released
    holding ──the API server shows another holder──> lost

Two run side by side in a rolling update, and after a node with a provider on it was cut off. A
holder that was killed is silent; whoever waits sees its record stand still for LEASE_DURATION_S and
then takes it, which is at most 13 s after the last renewal. Only time in which the API server
answered counts, and only the waiter's own clock: clocks of two machines may differ.

A holder that cannot reach the API server keeps the Lease until it sees that another has it. While
the API server is away nobody can take it, and the site's tunnel is to come back all the same.

Source: client-go tools/leaderelection/leaderelection.go, whose holder gives up instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from provider.kube.client import resource_path
from provider.kube.errors import ApiError, Conflict, CredentialsError
from provider.kube.timestamps import format_micro_time, utc_now
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

Json = dict[str, Any]

LEASE_NAME: Final = "edgelet-writer"
# Five renewals may fail before a waiting provider takes a living holder for a dead one.
LEASE_DURATION_S: Final = 10
RENEW_INTERVAL_S: Final = 2.0
# A provider that waits looks this often, and once more at the moment the Lease runs out.
LOOK_INTERVAL_S: Final = 2.0
_CALL_TIMEOUT_S = 3.0
# What another version of the provider may at most have written as its duration.
_MAX_DURATION_S = 60.0


class WriterLeaseLost(Exception):
    """Another provider of this site holds the Lease now."""


class WriterLease:
    """One provider's part in the Lease ``edgelet-writer``.

    Args:
        api: The ServiceAccount's own identity; it may get and update this one Lease.
        namespace: The site's own.
        identity: Differs between any two provider processes.
        now: The wall clock, for people only.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        identity: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._api = api
        self._identity = identity
        self._now = now
        self._path = resource_path(
            "leases", name=LEASE_NAME, namespace=namespace, group="coordination.k8s.io"
        )
        self._is_held = False
        self._lease: Json = {}
        # The other's record, and when it was first seen in an unbroken row of looks.
        self._seen: tuple[object, ...] | None = None
        self._seen_at = 0.0
        self._problem = LastingProblem(logger, f"the Lease {namespace}/{LEASE_NAME}")

    @property
    def is_held(self) -> bool:
        """Whether this provider is the one that accepts the tunnel and writes."""
        return self._is_held

    async def acquire(self) -> None:
        """Wait until the Lease is ours.

        Cancelled while its update is under way, it may have become ours all the same; the next
        provider then waits for LEASE_DURATION_S.
        """
        said = ""
        while not await self._try_to_acquire():
            holder = self._lease.get("spec", {}).get("holderIdentity") or ""
            if holder != said:
                said = holder
                logger.info("provider %s serves the site; this one waits for its Lease", holder)
            await asyncio.sleep(self._look_delay_s())
        logger.info("this provider, %s, holds the site's Lease", self._identity)

    async def acquire_unless(self, stop: asyncio.Event) -> bool:
        """Wait until the Lease is ours or ``stop`` is set; return whether it is ours."""
        async with asyncio.TaskGroup() as tasks:
            acquiring = tasks.create_task(self.acquire(), name="writer lease")
            stopping = tasks.create_task(stop.wait())
            await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
            acquiring.cancel()
            stopping.cancel()
        return self._is_held

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            WriterLeaseLost: Another provider holds it; ``is_held`` is False from then on.
        """
        while True:
            await asyncio.sleep(RENEW_INTERVAL_S)
            try:
                await self._rewrite(holder=self._identity)
            except (ApiError, CredentialsError) as exc:
                self._problem.occurred(exc)
            else:
                self._problem.solved()

    async def release(self, *, timeout_s: float) -> None:
        """Give the Lease up, so that the next provider has it at once; never raises ``ApiError``.

        Call it when nothing renews it any more. What fails only costs the next one
        LEASE_DURATION_S.
        """
        if not self._is_held:
            return
        self._is_held = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._rewrite(holder="")
        except WriterLeaseLost:
            logger.info("another provider has the site's Lease already")
        except (ApiError, CredentialsError, TimeoutError) as exc:
            logger.warning("the site's Lease was not released: %s", exc)

    async def _try_to_acquire(self) -> bool:
        try:
            self._lease = await self._api.get(self._path, timeout_s=_CALL_TIMEOUT_S)
            if not self._is_free():
                self._problem.solved()
                return False
            await self._write(holder=self._identity)
        except Conflict:
            # Another was quicker. What it wrote is seen on the next look.
            return False
        except (ApiError, CredentialsError) as exc:
            self._problem.occurred(exc)
            self._seen = None
            return False
        self._problem.solved()
        self._is_held = True
        return True

    def _is_free(self) -> bool:
        spec = self._lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        # Our own name stands there when the answer to our update was lost.
        if holder in {"", self._identity}:
            return True
        record = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        now = asyncio.get_running_loop().time()
        if record != self._seen:
            self._seen, self._seen_at = record, now
        return now >= self._seen_at + self._duration_s()

    def _duration_s(self) -> float:
        stated = (self._lease.get("spec") or {}).get("leaseDurationSeconds") or LEASE_DURATION_S
        return min(float(stated), _MAX_DURATION_S)

    def _look_delay_s(self) -> float:
        if self._seen is None:
            return LOOK_INTERVAL_S
        runs_out_s = self._seen_at + self._duration_s() - asyncio.get_running_loop().time()
        return min(LOOK_INTERVAL_S, max(runs_out_s, 0.0)) or LOOK_INTERVAL_S

    async def _rewrite(self, *, holder: str) -> None:
        try:
            await self._write(holder=holder)
        except Conflict:
            # Somebody else wrote, or an update of ours did whose answer was lost.
            self._lease = await self._api.get(self._path, timeout_s=_CALL_TIMEOUT_S)
            found = (self._lease.get("spec") or {}).get("holderIdentity") or ""
            if found not in {"", self._identity}:
                self._is_held = False
                raise WriterLeaseLost(f"provider {found} has taken the site's Lease") from None
            await self._write(holder=holder)

    def _spec(self, *, holder: str) -> Json:
        spec: Json = dict(self._lease.get("spec") or {})
        time = format_micro_time(self._now())
        if holder and spec.get("holderIdentity") != holder:
            spec["acquireTime"] = time
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        return {
            **spec,
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": time,
        }

    async def _write(self, *, holder: str) -> None:
        """Replace what was read; Conflict when it is not that any more."""
        body = {**self._lease, "apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        body["spec"] = self._spec(holder=holder)
        self._lease = await self._api.update(self._path, body, timeout_s=_CALL_TIMEOUT_S)
