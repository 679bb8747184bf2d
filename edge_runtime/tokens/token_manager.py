"""Service account tokens: the cloud makes them, the edge keeps and renews them.

    token() ──want──> changed() ══ provider ══> put() ──on disk──> token() returns, on_change(uid)
                         ^                                            │
                         └── renewal is due, or no answer came ──run()┘

What a pod has been given it has again after a reboot, expired or not, while the cloud is away: that
the token is refused then is for whom it is shown to to say.

Source: kubernetes pkg/kubelet/token/token_manager.go; there a pod starts with a fresh one or waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.pod import PodUID
from edge_runtime.store.changes import ChangeFeed, ChangeReader
from edge_runtime.store.token_store import StoredToken
from edge_runtime.tokens.errors import TokenUnavailable
from edge_runtime.tokens.renewal_times import compute_retry_s, compute_wait_s
from edge_runtime.tokens.token_answer import (
    compute_refusal,
    format_unix_time_s,
    parse_unix_time_s,
)
from tunnel.sync import TokenWant, token_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.pod import Pod
    from edge_runtime.store.token_store import TokenStore
    from tunnel.sync import TokenPut

logger = logging.getLogger(__name__)

# How long the first token of a pod is waited for.
PATIENCE_S = 10.0
# Clocks are set and machines sleep: no wait is longer before the time is looked at again.
LOOK_AGAIN_S = 60.0
_chance = random.SystemRandom().random


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """A token that was asked for and has not come.

    Attributes:
        asked_at_s: When it was last asked for, boot time.
    """

    want: TokenWant
    attempts: int
    asked_at_s: float


class ServiceTokens:
    """All tokens of the site's pods, by ``token_key``.

    Attributes:
        on_change: Called with the pod's UID after each token that came, once it is on disk; MUST
            NOT raise. None for nobody who wants to know.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        now: Callable[[], float] = time.time,
        uptime: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        chance: Callable[[], float] = _chance,
    ) -> None:
        """Build it; nothing is read yet.

        Args:
            store: Where tokens are kept.
            now: Unix time, seconds.
            uptime: Seconds that go on while the machine sleeps, and that nobody sets.
            chance: Uniform in [0, 1).
        """
        self.on_change: Callable[[PodUID], None] | None = None
        self._store = store
        self._now = now
        self._uptime = uptime
        self._chance = chance
        self._tokens: dict[str, StoredToken] = {}
        self._due_at_s: dict[str, float] = {}
        self._wanted: dict[str, _Wanted] = {}
        self._refusals: dict[str, str] = {}
        self._feed: ChangeFeed[str] = ChangeFeed()
        self._answered = asyncio.Event()
        self._rescheduled = asyncio.Event()

    async def load(self) -> None:
        """Read all tokens; once, before anything else.

        Raises:
            StoreDamaged: One cannot be read as what was written.
        """
        self._tokens = await self._store.load()
        for key, stored in self._tokens.items():
            self._schedule(key, stored)

    # What volumes ask.

    async def token(self, pod: Pod, *, audience: str, expiry_s: int) -> str:
        """Return the pod's token for an audience; waits at most PATIENCE_S for the first one.

        A token that is due is returned as it is, while its renewal is under way. Cancelling is
        safe: what comes later is kept for the next call.

        Args:
            pod: The pod; the token is bound to it.
            audience: Whom it is for, "" for the API server.
            expiry_s: How long it shall be good for; the API server may decide otherwise.

        Raises:
            TokenUnavailable: The API server refuses it, or nobody is there to be asked.
        """
        want = TokenWant(
            pod_uid=pod.uid,
            service_account=str(pod.spec.get("serviceAccountName") or "default"),
            audiences=[audience] if audience else [],
            expiry_s=expiry_s,
        )
        key = token_key(want)
        if key not in self._tokens:
            await self._wait_for(key, want)
        return self._tokens[key].token

    async def _wait_for(self, key: str, want: TokenWant) -> None:
        self._refusals.pop(key, None)
        if key not in self._wanted:
            self._ask(key, want)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while key not in self._tokens and key not in self._refusals:
                    await self._answered.wait()
        except TimeoutError as exc:
            raise TokenUnavailable("no token yet: the cloud is away") from exc
        if key not in self._tokens:
            raise TokenUnavailable(self._refusals[key])

    # What the sync stream asks and tells.

    def expiries(self) -> dict[str, str]:
        """Return the expiry of each token, RFC 3339, by ``token_key``."""
        return {key: each.expiry for key, each in self._tokens.items()}

    def wants(self) -> list[TokenWant]:
        """Return all that was asked for and has not come."""
        return [each.want for each in self._wanted.values()]

    def changed(self) -> TokenWants:
        """Return an iterator over what is asked for from now on."""
        return TokenWants(self._wanted, self._feed.subscribe())

    async def put(self, message: TokenPut) -> None:
        """Take an answer: keep the token, on disk first, or why there is none.

        An answer that nobody waits for, as for a pod that is gone, changes nothing.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        key = message.key
        want = self._want_of(key)
        if want is None:
            logger.debug("a token that nobody asked for", extra={"key": key})
            return
        refusal = compute_refusal(message)
        if refusal:
            self._refuse(key, refusal)
            return
        stored = StoredToken(
            want=want,
            token=message.token,
            expiry=message.expiry,
            issued_at=message.issued_at or format_unix_time_s(self._now()),
        )
        await self._store.put(stored)
        if self._want_of(key) is None:
            # Its pod went meanwhile, with its rows, and perhaps before this one was written.
            await self._store.remove_pod(PodUID(want.pod_uid))
            return
        self._wanted.pop(key, None)
        self._refusals.pop(key, None)
        self._tokens[key] = stored
        # Its life begins now, by a clock that cannot be wrong about it.
        self._schedule(key, stored, issued_at_s=self._now())
        self._tell_answered()
        if self.on_change is not None:
            self.on_change(PodUID(want.pod_uid))

    # What the edge itself tells and does.

    def forget(self, uid: PodUID) -> None:
        """Drop all that is known of a pod from memory; PodStore took it off the disk."""
        known = {key: each.want for key, each in self._tokens.items()}
        known |= {key: each.want for key, each in self._wanted.items()}
        for key, want in known.items():
            if want.pod_uid == uid:
                for each in (self._tokens, self._wanted, self._due_at_s, self._refusals):
                    each.pop(key, None)

    async def run(self) -> None:
        """Renew tokens in time, and ask again where no answer came; until cancelled."""
        while True:
            self._rescheduled.clear()
            next_at_s = self._ask_for_all_due()
            wait_s = min(max(next_at_s - self._uptime(), 0.0), LOOK_AGAIN_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._rescheduled.wait()
            except TimeoutError:
                continue

    def _ask_for_all_due(self) -> float:
        """Ask for what is due; return when to look again, boot time."""
        now_s = self._uptime()
        next_at_s = now_s + LOOK_AGAIN_S
        for key, due_at_s in tuple(self._due_at_s.items()):
            if key not in self._wanted and due_at_s <= now_s:
                self._ask(key, self._tokens[key].want)
            elif key not in self._wanted:
                next_at_s = min(next_at_s, due_at_s)
        for key, wanted in tuple(self._wanted.items()):
            again_at_s = wanted.asked_at_s + compute_retry_s(attempts=wanted.attempts)
            if again_at_s <= now_s:
                self._ask(key, wanted.want)
                again_at_s = now_s + compute_retry_s(attempts=wanted.attempts)
            next_at_s = min(next_at_s, again_at_s)
        return next_at_s

    def _ask(self, key: str, want: TokenWant) -> None:
        wanted = self._wanted.setdefault(key, _Wanted(want=want, attempts=0, asked_at_s=0.0))
        wanted.attempts += 1
        wanted.asked_at_s = self._uptime()
        self._feed.publish(key)
        self._rescheduled.set()

    def _refuse(self, key: str, reason: str) -> None:
        if self._refusals.get(key) != reason:
            logger.warning("the API server gives no token", extra={"key": key, "reason": reason})
        self._refusals[key] = reason
        if key not in self._tokens:
            # Whoever waits asks again when its volume is tried again.
            self._wanted.pop(key, None)
        self._tell_answered()

    def _schedule(self, key: str, stored: StoredToken, *, issued_at_s: float | None = None) -> None:
        issued, expires = parse_unix_time_s(stored.issued_at), parse_unix_time_s(stored.expiry)
        shift_s = 0.0 if issued_at_s is None else issued_at_s - issued
        self._due_at_s[key] = self._uptime() + compute_wait_s(
            issued_at_s=issued + shift_s,
            expires_at_s=expires + shift_s,
            now_s=self._now() if issued_at_s is None else issued_at_s,
            chance=self._chance(),
        )
        self._rescheduled.set()

    def _want_of(self, key: str) -> TokenWant | None:
        wanted, stored = self._wanted.get(key), self._tokens.get(key)
        if wanted is not None:
            return wanted.want
        return stored.want if stored is not None else None

    def _tell_answered(self) -> None:
        # Whoever waits holds this event; the next one waits for the next.
        self._answered.set()
        self._answered = asyncio.Event()


class TokenWants:
    """Asynchronous iterator over what is asked for; cancelling a step loses nothing."""

    def __init__(self, wanted: dict[str, _Wanted], reader: ChangeReader[str]) -> None:
        self._wanted = wanted
        self._reader = reader

    def __aiter__(self) -> TokenWants:
        return self

    async def __anext__(self) -> TokenWant:
        while True:
            found = self._wanted.get(await self._reader.next())
            if found is not None:  # None: answered or forgotten since
                return found.want
