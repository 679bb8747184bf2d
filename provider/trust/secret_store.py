"""The site's Secrets: read, compare-and-swap, watch.

Nothing is ever created or deleted here, and nothing that another has written meanwhile is lost: a
PUT names the version that it was decided on, and after a conflict is decided anew.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from provider.kube.client import resource_path
from provider.kube.errors import ApiError, Conflict, CredentialsError, NotFound
from provider.kube.watch import Deleted, is_older_version, watch_object
from provider.trust.errors import SecretMissing, SecretUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

# They come empty with the manifests; RBAC names each of them.
AUTHORITY_SECRET: Final = "edgelet-site-ca"  # noqa: S105 - names
TOKENS_SECRET: Final = "edgelet-join-tokens"  # noqa: S105
CERTIFICATES_SECRET: Final = "edgelet-site-certificates"  # noqa: S105
# Conflicts beyond that many are no race between a few writers any more.
MAX_TRIES: Final = 8
_MAX_PAUSE_S = 0.2

Json = dict[str, Any]
SecretData = dict[str, bytes]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    uid: str
    version: str


@dataclass(slots=True, kw_only=True)
class _Observer:
    take: Callable[[SecretData], None]
    seen: _Seen = field(default_factory=lambda: _Seen(uid="", version=""))


class SecretStore:
    """The Secrets of one namespace."""

    def __init__(self, api: KubeApi, *, namespace: str, rng: random.Random | None = None) -> None:
        """Act as ``api``'s identity.

        Args:
            api: Who reads and writes.
            namespace: Where the Secrets are.
            rng: Spreads the tries of those who collided.
        """
        self._api = api
        self._namespace = namespace
        self._rng = rng or random.Random()  # noqa: S311 - keeps no secret
        self._observers: dict[str, _Observer] = {}

    def observe(self, name: str, take: Callable[[SecretData], None]) -> None:
        """Hand each newer content of a Secret to ``take``, however it became known.

        An answer may overtake the watch; what is older than what was handed over is left out.
        ``take`` must not block and must not raise.
        """
        self._observers[name] = _Observer(take=take)

    async def read(self, name: str) -> SecretData:
        """Read a Secret's data, decoded.

        Raises:
            SecretMissing: It does not exist.
            SecretUnavailable: The API server cannot be asked.
        """
        return self._take(name, await self._get(name))

    async def update(
        self,
        name: str,
        change: Callable[[Mapping[str, bytes]], tuple[SecretData | None, Result]],
    ) -> Result:
        """Change a Secret by compare-and-swap.

        Cancelling it, like a lost answer, leaves open whether the change was written: it must be
        one that can be asked for again.

        Args:
            name: Of the Secret.
            change: From its data to (the new data, or None to leave it as it is; what is to be
                returned). Called again with what is there after a conflict, so it must decide
                anew each time; what it raises passes through and nothing is written.

        Raises:
            SecretMissing: It does not exist.
            SecretUnavailable: The API server cannot be asked, or conflicts went on.
        """
        for _ in range(MAX_TRIES):
            body = await self._get(name)
            data = self._take(name, body)
            changed, result = change(data)
            if changed is None or changed == data:
                return result
            try:
                with self._translated(name):
                    answer = await self._api.update(
                        self._path(name), {**body, "data": _encode(changed)}
                    )
            except Conflict:
                await asyncio.sleep(self._rng.uniform(0, _MAX_PAUSE_S))
                continue
            self._take(name, answer)
            return result
        raise SecretUnavailable(f"the Secret {name} was changed by others {MAX_TRIES} times over")

    async def watch(self, name: str) -> None:
        """Hand every change of a Secret to its observer, until cancelled.

        While the API server is away it waits. A Secret that was deleted leaves what is known as it
        is: an absence grants nothing and revokes nothing, and writes fail.
        """
        path = resource_path("secrets", namespace=self._namespace)
        async with contextlib.aclosing(watch_object(self._api, path, name=name)) as events:
            async for event in events:
                if isinstance(event, Deleted):
                    logger.error(
                        "the Secret %s was deleted; its last content counts until the manifests "
                        "are applied again",
                        name,
                    )
                else:
                    self._take(name, event.object)

    def _path(self, name: str) -> str:
        return resource_path("secrets", namespace=self._namespace, name=name)

    async def _get(self, name: str) -> Json:
        with self._translated(name):
            return await self._api.get(self._path(name))

    def _take(self, name: str, body: Json) -> SecretData:
        data = _decode(body)
        observer = self._observers.get(name)
        if observer is not None:
            metadata = body.get("metadata") or {}
            now = _Seen(
                uid=str(metadata.get("uid", "")), version=str(metadata.get("resourceVersion", ""))
            )
            then = observer.seen
            is_old = then.uid == now.uid and is_older_version(now.version, then.version)
            if not is_old and now != then:
                observer.seen = now
                observer.take(dict(data))
        return data

    @contextlib.contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except Conflict:
            raise
        except NotFound as exc:
            raise SecretMissing(
                f"there is no Secret {name} in the namespace {self._namespace}; it comes with the "
                "site's manifests"
            ) from exc
        except (ApiError, CredentialsError) as exc:
            raise SecretUnavailable(f"the Secret {name} cannot be had: {exc}") from exc


def _decode(body: Json) -> SecretData:
    return {name: base64.b64decode(value) for name, value in (body.get("data") or {}).items()}


def _encode(data: SecretData) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in data.items()}
