"""One action on a site's trust, with every failure as one sentence."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from provider.commands.failure import BadInput, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provider.commands.site_options import SiteTarget
    from provider.kube.client import KubeApi
    from provider.trust.errors import TrustError
    from provider.trust.site_administration import SiteAdministration
    from tunnel.identity import SiteName

Result = TypeVar("Result")

_SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAccess:
    """What an action has to work with.

    Attributes:
        trust: The site's CA, tokens and certificates.
        api: The API server, as the caller.
    """

    trust: SiteAdministration
    api: KubeApi

    async def caller(self) -> str:
        """Return the name by which the API server knows the caller; "unknown" if it does not say.

        Kubernetes before 1.28 does not, and a cluster may forbid the question. It is for the
        record only.
        """
        from provider.kube.errors import ApiError

        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        with contextlib.suppress(ApiError):
            answer = await self.api.create(_SELF_REVIEWS, review)
            return str(answer.get("status", {}).get("userInfo", {}).get("username") or "unknown")
        return "unknown"


def on_site(target: SiteTarget, action: Callable[[SiteAccess], Awaitable[Result]]) -> Result:
    """Run an action in an event loop of its own.

    Raises:
        BadInput: The credentials cannot be used.
        CommandFailed: The action failed.
    """
    return asyncio.run(_run(target, action))


async def _run(target: SiteTarget, action: Callable[[SiteAccess], Awaitable[Result]]) -> Result:
    from provider.kube.client import KubeClient
    from provider.kube.credentials import load_access
    from provider.kube.errors import CredentialsError
    from provider.kube.timestamps import utc_now
    from provider.trust.errors import TrustError
    from provider.trust.secret_store import SecretStore
    from provider.trust.site_administration import SiteAdministration

    try:
        access = await load_access(target.kubeconfig)
    except CredentialsError as exc:
        raise BadInput(str(exc)) from exc
    try:
        async with KubeClient(access, site=target.site) as kube:
            store = SecretStore(kube.as_self, namespace=target.namespace)
            trust = SiteAdministration(store, site=target.site, now=utc_now)
            return await action(SiteAccess(trust=trust, api=kube.as_self))
    except CredentialsError as exc:
        raise BadInput(str(exc)) from exc
    except TrustError as exc:
        raise CommandFailed(_sentence(exc, server=access.server, site=target.site)) from exc


def _sentence(error: TrustError, *, server: str, site: SiteName) -> str:
    """Say what stands in the way; what the API server answered is the error's cause."""
    from provider.kube.errors import Forbidden, Unauthorized, Unavailable
    from provider.trust.errors import SecretMissing

    match error.__cause__:
        case Forbidden() as cause:
            return f"these credentials may not use the Secrets of {site}: {cause}"
        case Unauthorized() as cause:
            return f"the API server {server} does not accept these credentials: {cause}"
        case Unavailable() as cause:
            return f"the API server {server} cannot be asked: {cause}"
    if isinstance(error, SecretMissing):
        return f"{error}: apply them, as in kubectl apply -k manifests/overlays/{site}"
    return str(error)
