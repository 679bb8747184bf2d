"""Whose bearer token it is, as the API server says.

Source: kubernetes cmd/kubelet/app/auth.go; apiserver plugin/pkg/authenticator/token/webhook and
    pkg/authentication/token/cache (2 min; an error is not kept, a plain no is).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from provider.kube.client import resource_path
from provider.kubelet_api.review import ReviewFailed, Reviews
from provider.kubelet_api.shared_answers import Kept, SharedAnswers
from provider.kubelet_api.user import User, authenticated
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    import random

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

TOKEN_REVIEWS_PATH: Final = resource_path("tokenreviews", group="authentication.k8s.io")
# authentication.webhook.cacheTTL of a kubelet.
CACHE_LIFETIME_S: Final = 120.0
MAX_CACHED: Final = 1024


class _UserInfo(msgspec.Struct, frozen=True, kw_only=True):
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...]] | None = None


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    authenticated: bool = False
    user: _UserInfo = msgspec.field(default_factory=_UserInfo)
    error: str = ""


class TokenReviewer:
    """Knows the users of tokens, each for 2 min.

    Tokens themselves are not kept, only hashes of them under a key of this process.

    Args:
        api: The identity that asks.
        rng: Jitter of the tries.
    """

    def __init__(self, api: KubeApi, *, rng: random.Random | None = None) -> None:
        self._reviews = Reviews(api, path=TOKEN_REVIEWS_PATH, rng=rng)
        self._known = SharedAnswers[User | None](max_entries=MAX_CACHED)
        self._hash_key = secrets.token_bytes(32)
        self._problem = LastingProblem(logger, "review of bearer tokens")

    async def user_of(self, token: str) -> User | None:
        """Return whose token it is; None for nobody's, and where the API server cannot say."""
        key = hmac.digest(self._hash_key, token.encode("utf-8", "surrogateescape"), hashlib.sha256)
        try:
            return await self._known.get(
                key, lambda: self._ask(token), now=asyncio.get_running_loop().time
            )
        except ReviewFailed as exc:
            self._problem.occurred(exc)
            return None

    async def _ask(self, token: str) -> Kept[User | None]:
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        answer = await self._reviews.ask(review)
        self._problem.solved()
        try:
            status = msgspec.convert(answer, _Status)
        except msgspec.ValidationError as exc:
            raise ReviewFailed(f"the API server's TokenReview cannot be read: {exc}") from exc
        if not status.authenticated or not status.user.username:
            # With an error the token was not looked at, or not to the end.
            return Kept(answer=None, lifetime_s=0.0 if status.error else CACHE_LIFETIME_S)
        return Kept(answer=_user(status.user), lifetime_s=CACHE_LIFETIME_S)


def _user(info: _UserInfo) -> User:
    return authenticated(
        User(
            name=info.username,
            groups=info.groups or (),
            uid=info.uid,
            extra=tuple(sorted((info.extra or {}).items())),
        )
    )
