"""One review at the API server: its status, or an error, and never a guess."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from provider.kube.errors import KubeError, TooManyRequests, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import Json, KubeApi

# All tries of one review, and the wait for a turn.
REVIEW_TIMEOUT_S: Final = 15.0
# Of the 16 connections for calls, so that whoever comes with tokens that nobody knows does not keep
# the Lease from being renewed. A kubelet bounds all its calls together (kubeAPIQPS).
MAX_UNDER_WAY: Final = 4
# Whoever comes while so many wait for their turn is refused at once.
MAX_WAITING: Final = 256
# As a kubelet tries: apiserver pkg/server/options DefaultAuthWebhookRetryBackoff.
_TRIES = 5
_FIRST_DELAY_S = 0.5
_DELAY_FACTOR = 1.5
_JITTER = 0.2


class ReviewFailed(Exception):
    """There is no answer; the message says why."""


class Reviews:
    """Asks one kind of question.

    Args:
        api: The identity that asks; a node may create both kinds of reviews.
        path: Of the collection to which reviews are posted.
        rng: Jitter of the tries.
    """

    def __init__(self, api: KubeApi, *, path: str, rng: random.Random | None = None) -> None:
        self._api = api
        self._path = path
        self._rng = rng or random.Random()  # noqa: S311 - spreads tries, keeps no secret
        self._turns = asyncio.Semaphore(MAX_UNDER_WAY)
        self._waiting = 0

    async def ask(self, review: Json) -> Json:
        """Post a review and return its status.

        Raises:
            ReviewFailed: The API server refused or could not be asked, or too many wait already.
        """
        try:
            async with asyncio.timeout(REVIEW_TIMEOUT_S), self._turn():
                answer = await self._post(review)
        except TimeoutError as exc:
            raise ReviewFailed("the API server did not answer in time") from exc
        except KubeError as exc:
            raise ReviewFailed(str(exc)) from exc
        status = answer.get("status")
        if not isinstance(status, dict):
            raise ReviewFailed("the API server answered without a status")
        return status

    async def _post(self, review: Json) -> Json:
        delay_s = _FIRST_DELAY_S
        for _ in range(_TRIES - 1):
            try:
                return await self._api.create(self._path, review)
            except (Unavailable, TooManyRequests):
                await asyncio.sleep(delay_s * self._rng.uniform(1, 1 + _JITTER))
                delay_s *= _DELAY_FACTOR
        return await self._api.create(self._path, review)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MAX_WAITING:
            raise ReviewFailed(f"{self._waiting} questions wait for the API server already")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()
