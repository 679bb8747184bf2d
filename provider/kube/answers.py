"""Reading what the API server answers: bounded, and with every failure as an ``ApiError``."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

from provider.kube.errors import ApiError, CredentialsError, Unavailable, api_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

Json = dict[str, Any]

# A list of 500 pods of the largest size etcd takes would be larger; such a page is an error, not
# a reason to run out of memory.
MAX_BODY_BYTES: Final = 64 << 20
MAX_ERROR_BODY_BYTES: Final = 64 << 10
# etcd's limit for an object is 1.5 MiB; JSON of it, with base64 and escapes, stays below this.
MAX_LINE_BYTES: Final = 8 << 20


@contextlib.contextmanager
def translate(what: str) -> Iterator[None]:
    """Turn what the transport raises into ``Unavailable``; ``what`` opens its message.

    MUST NOT surround a yield: the caller's own errors would be taken for the transport's.
    """
    try:
        yield
    except (ApiError, CredentialsError):
        raise
    except TimeoutError as exc:
        raise Unavailable(f"{what}: no answer in time", status=0, reason="Timeout") from exc
    except (aiohttp.ClientError, OSError) as exc:
        text = str(exc) or type(exc).__name__
        raise Unavailable(f"{what}: {text}", status=0, reason="Connection") from exc


async def raise_for_status(answer: aiohttp.ClientResponse, what: str) -> None:
    """Return when the answer is a success.

    Raises:
        ApiError: Of the class that fits the status, with the message of the API's Status object,
            or the first words of a body that is none (a proxy's error page).
    """
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    status: Json = {}
    body = await read_body(answer.content, what, limit_bytes=MAX_ERROR_BODY_BYTES)
    with contextlib.suppress(msgspec.DecodeError):
        decoded = msgspec.json.decode(body)
        status = decoded if isinstance(decoded, dict) else {}
    text = status.get("message") or body[:200].decode(errors="replace").strip()
    retry_after = answer.headers.get("Retry-After", "")
    raise api_error(
        f"{what}: {answer.status} {text}",
        status=answer.status,
        reason=str(status.get("reason") or ""),
        retry_after_s=float(retry_after) if retry_after.isdecimal() else None,
    )


async def read_object(answer: aiohttp.ClientResponse, what: str) -> Json:
    """Read a whole answer as one JSON object.

    Raises:
        Unavailable: It is longer than MAX_BODY_BYTES or no JSON object.
    """
    body = await read_body(answer.content, what, limit_bytes=MAX_BODY_BYTES)
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as exc:
        raise Unavailable(f"{what}: the answer is no JSON: {exc}", status=answer.status) from exc
    if not isinstance(decoded, dict):
        raise Unavailable(f"{what}: the answer is no JSON object", status=answer.status)
    return decoded


async def read_body(content: aiohttp.StreamReader, what: str, *, limit_bytes: int) -> bytes:
    """Read to the end.

    Raises:
        Unavailable: There is more than ``limit_bytes``.
    """
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        if len(body) > limit_bytes:
            raise Unavailable(f"{what}: the answer is longer than {limit_bytes} bytes", status=0)
    return bytes(body)


async def read_lines(
    content: aiohttp.StreamReader, what: str, *, deadline: float
) -> AsyncIterator[bytes]:
    """Yield the lines of an endless answer, without their newlines, until its end.

    A last line without a newline is torn and is left out.

    Args:
        content: The answer's body.
        what: Opens the messages of errors.
        deadline: In the event loop's time.

    Raises:
        Unavailable: The connection broke, the deadline passed, or a line is longer than
            MAX_LINE_BYTES.
    """
    buffer = bytearray()
    while True:
        with translate(what):
            async with asyncio.timeout_at(deadline):
                chunk = await content.readany()
        if not chunk:
            return
        buffer += chunk
        if b"\n" in chunk:
            *lines, buffer = buffer.split(b"\n")
            for line in lines:
                yield bytes(line)
        if len(buffer) > MAX_LINE_BYTES:
            raise Unavailable(f"{what}: a line is longer than {MAX_LINE_BYTES} bytes", status=0)
