"""A new key and the request for its certificate, made in a process of its own.

    python -m edge_runtime.uplink.certificate_request < Wanted > CertificateRequest   (both JSON)

It is the only module of the edge that needs the cryptography package, and a renewal is minutes of
work in a year: 10 MiB of resident memory go away with the process. ``edgelet join`` is short-lived
itself and calls ``make_request``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from typing import TYPE_CHECKING

import msgspec

from tunnel.enrolment import recovery_message
from tunnel.identity import NODE_GROUP, node_user_name, parse_site_name

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

# A slow machine under load needs seconds to import the package.
CHILD_TIMEOUT_S = 60.0
MAX_INPUT_BYTES = 1 << 20


class RequestError(Exception):
    """There is no request; one sentence."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is to be made of.

    Attributes:
        site: Whose certificate is asked for.
        key: The key to ask with, PEM; "" for a new one, which is also made in the place of one
            that cannot be read.
        proof: Key and certificate, PEM, that have expired and are to vouch for the request.
    """

    site: str
    key: str = ""
    proof: str = ""


class CertificateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its key.

    Attributes:
        key: PEM; a secret.
        csr: PEM.
        proof_certificate: The expired certificate, PEM; "" when none was given.
        proof_signature: By its key, over ``recovery_message``, base64.
    """

    key: str
    csr: str
    proof_certificate: str = ""
    proof_signature: str = ""

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"CertificateRequest(csr={self.csr!r})"


async def request_in_child(wanted: Wanted) -> CertificateRequest:
    """Make a request in a child process. Cancelling kills the child.

    Raises:
        RequestError: The child failed, or took longer than ``CHILD_TIMEOUT_S``.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as exc:
        raise RequestError(f"no process can be started to make a key: {exc.strerror}") from exc
    try:
        async with asyncio.timeout(CHILD_TIMEOUT_S):
            answer, errors = await child.communicate(msgspec.json.encode(wanted))
    except TimeoutError as exc:
        raise RequestError(f"making a key took longer than {CHILD_TIMEOUT_S:.0f} s") from exc
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise RequestError(f"the process that makes a key failed: {lines[-1][:200]}")
    try:
        return msgspec.json.decode(answer, type=CertificateRequest)
    except msgspec.DecodeError as exc:
        raise RequestError("the process that makes a key gave no request") from exc


def make_request(wanted: Wanted) -> CertificateRequest:
    """Make a request in this process.

    Raises:
        RequestError: The proof has no key, or one that cannot sign.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    site = parse_site_name(wanted.site)
    key = _key(wanted.key.encode())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, NODE_GROUP),
            x509.NameAttribute(NameOID.COMMON_NAME, node_user_name(site)),
        ]
    )
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    certificate = signature = ""
    if wanted.proof:
        certificate, signature = _prove(
            wanted.proof.encode(), csr.public_bytes(serialization.Encoding.DER)
        )
    return CertificateRequest(
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        csr=csr.public_bytes(serialization.Encoding.PEM).decode(),
        proof_certificate=certificate,
        proof_signature=signature,
    )


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    if pem:
        with contextlib.suppress(ValueError, TypeError):
            key = serialization.load_pem_private_key(pem, password=None)
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return key
    return ec.generate_private_key(ec.SECP256R1())


def _prove(identity: bytes, csr_der: bytes) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    try:
        key = serialization.load_pem_private_key(identity, password=None)
        certificate = x509.load_pem_x509_certificate(identity)
    except (ValueError, TypeError) as exc:
        raise RequestError(f"the expired identity cannot be read: {exc}") from exc
    message = recovery_message(csr_der)
    match key:
        case ec.EllipticCurvePrivateKey():
            signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        case _:
            raise RequestError("the expired identity has a key of a kind that cannot sign")
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return pem, base64.b64encode(signature).decode()


def main() -> int:
    """Serve one request on standard input and output."""
    try:
        wanted = msgspec.json.decode(sys.stdin.buffer.read(MAX_INPUT_BYTES), type=Wanted)
        answer = make_request(wanted)
    except (msgspec.DecodeError, RequestError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
