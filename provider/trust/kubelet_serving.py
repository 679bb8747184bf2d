"""The kubelet port's serving certificate: asked of the cluster as the node, kept in the Secret.

    start ──> stored and good? ──yes──> shown until 70-90 % of its life ──┐
                  │ no                                                    │
                  v                                                       v
           self-signed is shown ──> key into the Secret ──> request ──> approved ──> Secret, shown
                                          ^                   │  │
                          an hour after ──┘── denied <────────┘  └── waits, however long

The signer ``kubernetes.io/kubelet-serving`` approves nothing by itself: a person or an approver of
the cluster does. The key is in the Secret before the request is made, and the request's name comes
from the key and the address, so that a provider that is restarted while it waits finds its request
again. A new address is a new request.

Source: client-go util/certificate/certificate_manager.go (70-90 %), util/certificate/csr;
    kubernetes pkg/controller/certificates/cleaner (requests live 24 h, once decided 1 h).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from provider.kube.errors import KubeError
from provider.kube.timestamps import utc_now
from provider.kube.watch import Backoff
from provider.telemetry.lasting_problem import LastingProblem
from provider.trust.errors import TrustError
from provider.trust.kubelet_certificate import (
    KubeletCertificate,
    UnusableCertificate,
    new_key_pem,
    request_name,
    self_signed,
    usable_certificate,
)
from provider.trust.kubelet_request import RequestGone, RequestRefused, ServingRequest

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping

    from provider.kube.client import KubeApi
    from provider.trust.secret_store import SecretStore
    from tunnel.identity import SiteName

logger = logging.getLogger(__name__)

SECRET: Final = "edgelet-kubelet-serving"  # noqa: S105 - a name
CERTIFICATE_KEY: Final = "tls.crt"
PRIVATE_KEY_KEY: Final = "tls.key"
PENDING_KEY_KEY: Final = "pending.key"
# How long after a denial, a failure or a certificate that is of no use the next request is made.
DENIED_DELAY_S: Final = 3600.0
# The wall clock may be set, and what is waited for may change meanwhile.
_MAX_SLEEP_S = 60.0

SecretData = dict[str, bytes]


class Report(Protocol):
    """Takes a Warning event about the site's Node."""

    def __call__(self, *, reason: str, message: str) -> None:
        """Record it; must not block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """What the certificate is for.

    Attributes:
        site: The Node.
        address: IP address that the Node publishes.
    """

    site: SiteName
    address: str


class KubeletServing:
    """Has the certificate that the kubelet port shows.

    Args:
        settings: What it is for.
        as_node: Makes requests and watches them; a node may.
        secrets: The site's Secrets.
        report: Told what a person must know.
        clock: Wall clock, UTC.
        rng: Spreads renewals.
    """

    def __init__(
        self,
        *,
        settings: ServingSettings,
        as_node: KubeApi,
        secrets: SecretStore,
        report: Report,
        clock: Callable[[], datetime.datetime] = utc_now,
        rng: random.Random | None = None,
    ) -> None:
        self._site = settings.site
        self._address = settings.address
        self._api = as_node
        self._secrets = secrets
        self._report = report
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads renewals, keeps no secret
        self._problem = LastingProblem(logger, "the kubelet port's serving certificate")
        self._certificate = self._self_signed()
        self._due = clock()

    @property
    def certificate(self) -> KubeletCertificate:
        """The one to be shown now."""
        return self._certificate

    async def load(self) -> None:
        """Take the stored certificate; where that is not possible, a self-signed one is shown."""
        try:
            self._take_stored(await self._secrets.read(SECRET))
        except TrustError as exc:
            self._problem.occurred(exc)

    async def run(self) -> None:
        """Have a certificate of the cluster, and renew it, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._replace_expired())
            tasks.create_task(self._renew_for_ever())

    async def _renew_for_ever(self) -> None:
        backoff = Backoff(first_s=2.0, cap_s=32.0, rng=self._rng)
        while True:
            await self._sleep_until(lambda: self._due)
            try:
                await self._renew()
            except RequestRefused as exc:
                self._problem.occurred(exc)
                self._report(reason="ServingCertificateRefused", message=str(exc))
                await asyncio.sleep(DENIED_DELAY_S)
            except (KubeError, TrustError, RequestGone) as exc:
                self._problem.occurred(exc)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                self._problem.solved()
                backoff.reset()

    async def _replace_expired(self) -> None:
        while True:
            await self._sleep_until(lambda: self._certificate.not_after)
            if not self._certificate.is_self_signed:
                self._report(
                    reason="ServingCertificateExpired",
                    message="the kubelet port's certificate expired; a self-signed one is shown",
                )
            self._certificate = self._self_signed()

    async def _sleep_until(self, moment: Callable[[], datetime.datetime]) -> None:
        # No event but a clock ends this.
        while (left_s := (moment() - self._clock()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, _MAX_SLEEP_S))

    async def _renew(self) -> None:
        """Ask for a certificate and show it.

        Raises:
            KubeError: The API server refused or could not be asked.
            TrustError: The Secret cannot be read or written.
            RequestRefused: There will be no certificate for this request.
            RequestGone: It was deleted.
        """
        key_pem = await self._secrets.update(SECRET, self._pending_key)
        if key_pem is None:
            return
        request = ServingRequest(site=self._site, address=self._address, key_pem=key_pem)
        try:
            chain_pem = await request.certificate(self._api, on_pending=self._report_pending)
            certificate = self._usable(chain_pem, key_pem)
        except RequestRefused:
            await self._secrets.update(SECRET, _without_pending(key_pem))
            raise
        self._show(certificate)
        logger.info("the kubelet port shows the certificate of request %s", request.name)
        # The request is soon deleted: it must be in the Secret before anything else is done.
        await self._store(certificate)

    def _pending_key(self, data: Mapping[str, bytes]) -> tuple[SecretData | None, bytes | None]:
        """Decide which key to ask for; none where another provider has had a certificate already.

        The key in the Secret is that of a request that may still be under way.
        """
        if self._take_stored(data):
            return None, None
        if pending := data.get(PENDING_KEY_KEY):
            with contextlib.suppress(UnusableCertificate):
                request_name(site=self._site, address=self._address, key_pem=pending)
                return None, pending
        key_pem = new_key_pem()
        return {**data, PENDING_KEY_KEY: key_pem}, key_pem

    def _take_stored(self, data: Mapping[str, bytes]) -> bool:
        """Show the stored certificate when it is good for more than the present one."""
        chain_pem, key_pem = data.get(CERTIFICATE_KEY, b""), data.get(PRIVATE_KEY_KEY, b"")
        if not chain_pem or chain_pem == self._certificate.chain_pem:
            return False
        try:
            stored = usable_certificate(
                chain_pem=chain_pem, key_pem=key_pem, address=self._address, now=self._clock()
            )
        except UnusableCertificate as exc:
            logger.info("the stored certificate of the kubelet port is not used: %s", exc)
            return False
        if not self._certificate.is_self_signed and stored.not_after <= self._certificate.not_after:
            return False
        self._show(stored)
        return True

    def _show(self, certificate: KubeletCertificate) -> None:
        self._certificate = certificate
        self._due = certificate.due(self._rng.uniform(0.7, 0.9))

    def _self_signed(self) -> KubeletCertificate:
        return self_signed(site=self._site, address=self._address, now=self._clock())

    def _usable(self, chain_pem: bytes, key_pem: bytes) -> KubeletCertificate:
        try:
            return usable_certificate(
                chain_pem=chain_pem, key_pem=key_pem, address=self._address, now=self._clock()
            )
        except UnusableCertificate as exc:
            raise RequestRefused(f"the cluster's certificate cannot be used: {exc}") from exc

    def _report_pending(self, name: str) -> None:
        shown = "a self-signed one" if self._certificate.is_self_signed else "the old one"
        self._report(
            reason="ServingCertificatePending",
            message=f"certificate signing request {name} waits for approval (kubectl certificate "
            f"approve {name}); the kubelet port shows {shown} until then",
        )

    async def _store(self, certificate: KubeletCertificate) -> None:
        backoff = Backoff(rng=self._rng)
        while True:
            try:
                await self._secrets.update(SECRET, _with_certificate(certificate))
            except TrustError as exc:
                self._problem.occurred(exc)
                await asyncio.sleep(backoff.next_delay_s())
            else:
                return


def _with_certificate(
    certificate: KubeletCertificate,
) -> Callable[[Mapping[str, bytes]], tuple[SecretData, None]]:
    def change(data: Mapping[str, bytes]) -> tuple[SecretData, None]:
        kept = _drop_pending(data, certificate.key_pem)
        pair = {CERTIFICATE_KEY: certificate.chain_pem, PRIVATE_KEY_KEY: certificate.key_pem}
        return {**kept, **pair}, None

    return change


def _without_pending(
    key_pem: bytes,
) -> Callable[[Mapping[str, bytes]], tuple[SecretData | None, None]]:
    def change(data: Mapping[str, bytes]) -> tuple[SecretData | None, None]:
        kept = _drop_pending(data, key_pem)
        return (None if kept == dict(data) else kept), None

    return change


def _drop_pending(data: Mapping[str, bytes], key_pem: bytes) -> SecretData:
    """Leave the pending key out unless it is another one: that is another provider's."""
    return {
        name: value
        for name, value in data.items()
        if not (name == PENDING_KEY_KEY and value == key_pem)
    }
