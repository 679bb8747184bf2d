"""Whether a caller may, as the API server says.

Source: kubernetes pkg/kubelet/server/server.go (InstallAuthFilter: order, text); apiserver
    plugin/pkg/authorizer/webhook (what is kept and what is an error).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.kube.client import resource_path
from provider.kubelet_api.access import wanted_access
from provider.kubelet_api.review import ReviewFailed, Reviews
from provider.kubelet_api.shared_answers import Kept, SharedAnswers
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    import random

    from provider.kube.client import KubeApi
    from provider.kubelet_api.user import User
    from tunnel.identity import SiteName

logger = logging.getLogger(__name__)

ACCESS_REVIEWS_PATH: Final = resource_path("subjectaccessreviews", group="authorization.k8s.io")
# authorization.webhook.cacheAuthorizedTTL and cacheUnauthorizedTTL of a kubelet.
ALLOWED_LIFETIME_S: Final = 300.0
DENIED_LIFETIME_S: Final = 30.0
MAX_CACHED: Final = 1024


class Forbidden(Exception):
    """The caller is known and may not; the message is what a kubelet says."""


class AuthorizationFailed(Exception):
    """Nobody could say whether the caller may; the message is what a kubelet says."""


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    allowed: bool = False
    denied: bool = False


class Authorizer:
    """Decides who may call, by SubjectAccessReview on the Node; closed where there is no answer.

    Args:
        api: The identity that asks.
        node_name: The Node that is called.
        rng: Jitter of the tries.
    """

    def __init__(
        self, api: KubeApi, *, node_name: SiteName, rng: random.Random | None = None
    ) -> None:
        self._node_name = node_name
        self._reviews = Reviews(api, path=ACCESS_REVIEWS_PATH, rng=rng)
        self._decisions = SharedAnswers[bool](max_entries=MAX_CACHED)
        self._problem = LastingProblem(logger, "review of callers' access")

    async def authorize(self, user: User, *, method: str, path: str) -> None:
        """Let the caller pass, or raise.

        Args:
            user: Who calls.
            method: HTTP method.
            path: As it came, without the query.

        Raises:
            Forbidden: The caller may not.
            AuthorizationFailed: The API server did not say.
        """
        access = wanted_access(method=method, path=path)
        about = f"user={user.name}, verb={access.verb}, resource=nodes"
        for subresource in access.subresources:
            try:
                if await self._is_allowed(user, access.verb, subresource):
                    return
            except ReviewFailed as exc:
                self._problem.occurred(exc)
                raise AuthorizationFailed(
                    f"Authorization error ({about}, subresource={subresource})"
                ) from exc
        raise Forbidden(f"Forbidden ({about}, subresource(s)=[{' '.join(access.subresources)}])\n")

    async def _is_allowed(self, user: User, verb: str, subresource: str) -> bool:
        return await self._decisions.get(
            (user, verb, subresource),
            lambda: self._ask(user, verb, subresource),
            now=asyncio.get_running_loop().time,
        )

    async def _ask(self, user: User, verb: str, subresource: str) -> Kept[bool]:
        answer = await self._reviews.ask(self._review(user, verb, subresource))
        self._problem.solved()
        try:
            status = msgspec.convert(answer, _Status)
        except msgspec.ValidationError as exc:
            raise ReviewFailed(f"a SubjectAccessReview cannot be read: {exc}") from exc
        if status.allowed and status.denied:
            raise ReviewFailed("a SubjectAccessReview says both yes and no")
        lifetime_s = ALLOWED_LIFETIME_S if status.allowed else DENIED_LIFETIME_S
        return Kept(answer=status.allowed, lifetime_s=lifetime_s)

    def _review(self, user: User, verb: str, subresource: str) -> dict[str, Any]:
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.name,
                "groups": user.groups,
                "uid": user.uid,
                "extra": dict(user.extra),
                "resourceAttributes": {
                    "verb": verb,
                    "version": "v1",
                    "resource": "nodes",
                    "subresource": subresource,
                    "name": self._node_name,
                },
            },
        }
