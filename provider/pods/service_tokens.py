"""Gets service account tokens for the site's pods, one TokenRequest for each that the edge wants.

    TokenWant ──may the pod have it?──> TokenRequest ──> TokenPut with the token
                    │ no                    │ refused, or no answer in ANSWER_WITHIN_S
                    └───────────────────────┴──> TokenPut with the error

What an edge wants is answered once, whatever the answer; it asks again when it sees fit. Tokens
pass through: none is kept here, and none is logged.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from provider.kube.client import resource_path
from provider.kube.errors import ApiError, CredentialsError, NotFound
from provider.kube.pace import Pace
from provider.kube.watch import Backoff
from provider.pods.desired_state import pod_uid
from provider.pods.token_request import compute_token_put, compute_token_request, why_refused
from provider.telemetry.plain_text import plain_line
from tunnel.sync import TokenPut, token_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider.kube.client import KubeApi
    from tunnel.sync import TokenWant

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# A pod waits 10 s for its first token: it is better told why there is none.
ANSWER_WITHIN_S: Final = 6.0
_CALL_TIMEOUT_S = 5.0
# A node has some hundreds of pods, with a token or two each; one more is not answered.
MAX_WANTS: Final = 1024
# An account's name, a pod's UID and an audience, which is a URL.
MAX_KEY_CHARACTERS: Final = 4096
# A site that starts wants all of its tokens at once, later ever so few.
BURST: Final = 256
PER_S: Final = 5.0
_WORKERS = 4
_MAX_ERROR_CHARACTERS = 512
_MAX_UID_CHARACTERS = 64
_FIRST_RETRY_S = 0.1
_MAX_RETRY_S = 2.0


class _Refused(Exception):
    """There is no token now.

    Attributes:
        is_lasting: Asking again at once cannot help.
    """

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class ServiceTokens:
    """The tokens of one site's pods, on their way."""

    def __init__(self, api: KubeApi, *, send: Callable[[TokenPut], None]) -> None:
        """Wire it; ``run`` does the work.

        Args:
            api: The node's identity.
            send: Takes the answers.
        """
        self._api = api
        self._send = send
        self._pace = Pace(burst=BURST, per_s=PER_S)
        self._pods: dict[str, Json] = {}
        # By key, until they are answered.
        self._wants: dict[str, TokenWant] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_WANTS)

    def pod_changed(self, pod: Json) -> None:
        """Take a pod that the edge may want tokens for."""
        self._pods[pod_uid(pod)] = pod

    def pod_deleted(self, uid: str) -> None:
        """Give no token for a pod any more."""
        self._pods.pop(uid, None)

    def wanted(self, want: TokenWant) -> None:
        """Answer what the edge wants, soon; what it wants already is answered once.

        Beyond MAX_WANTS nothing is answered: the edge asks again.
        """
        key = token_key(want)
        if key in self._wants or len(self._wants) >= MAX_WANTS or len(key) > MAX_KEY_CHARACTERS:
            return
        self._wants[key] = want
        self._queue.put_nowait(key)

    async def run(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                self._send(await self._answer(self._wants[key]))
            finally:
                del self._wants[key]

    async def _answer(self, want: TokenWant) -> TokenPut:
        await self._pace.turn()
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + ANSWER_WITHIN_S
        backoff = Backoff(first_s=_FIRST_RETRY_S, cap_s=_MAX_RETRY_S)
        while True:
            try:
                return await self._request(want)
            except _Refused as exc:
                delay_s = backoff.next_delay_s()
                if exc.is_lasting or loop.time() + delay_s > give_up_at:
                    error = plain_line(str(exc), max_characters=_MAX_ERROR_CHARACTERS)
                    uid = plain_line(want.pod_uid, max_characters=_MAX_UID_CHARACTERS)
                    logger.warning("no token for pod %s: %s", uid, error)
                    return TokenPut(key=token_key(want), error=error)
            await asyncio.sleep(delay_s)

    async def _request(self, want: TokenWant) -> TokenPut:
        pod = self._pods.get(want.pod_uid)
        if pod is None:
            # Our watch may be behind the one that told the edge of it.
            raise _Refused("the site has no such pod", is_lasting=False)
        if why := why_refused(want, pod):
            raise _Refused(why, is_lasting=True)
        path = resource_path(
            "serviceaccounts",
            name=want.service_account,
            namespace=str(pod["metadata"]["namespace"]),
            subresource="token",
        )
        try:
            answer = await self._api.create(
                path, compute_token_request(want, pod), timeout_s=_CALL_TIMEOUT_S
            )
            return compute_token_put(want, answer)
        except NotFound as exc:
            # NodeRestriction, too, learns of a pod a moment after it was bound.
            raise _Refused(_words(exc, path), is_lasting=False) from exc
        except ApiError as exc:
            raise _Refused(_words(exc, path), is_lasting=not exc.is_retryable) from exc
        except CredentialsError as exc:
            raise _Refused(str(exc), is_lasting=False) from exc
        except ValueError as exc:
            raise _Refused(str(exc), is_lasting=True) from exc


def _words(error: ApiError, path: str) -> str:
    """Return what the API server said, without what it was asked."""
    return error.message.removeprefix(f"POST {path}: {error.status} ")
