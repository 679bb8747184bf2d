"""Registry credentials of pull secrets: what they hold, and which ones fit an image; pure.

Source: kubernetes pkg/credentialprovider/keyring.go, config.go, secrets/secrets.go.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from edge_runtime.images.image_name import repository
from edge_runtime.objects.runtime_config import RegistryAuth

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_runtime.objects.container import Json

_DEFAULT_REGISTRY = "index.docker.io"
_DEFAULT_REGISTRY_NAMES = ("docker.io", _DEFAULT_REGISTRY)
# Type of the Secret: the key of its data, and whether the entries are one level down.
_FORMATS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson", True),
    "kubernetes.io/dockercfg": (".dockercfg", False),
}


class KeyringError(ValueError):
    """A pull secret does not hold what its type promises; nothing of it is in the message."""


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class SecretSource:
    """The Secret that credentials come from."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullCredential:
    """One way to log in to a registry.

    Attributes:
        hash: Equal for equal credentials, whatever Secret they come from.
    """

    auth: RegistryAuth
    source: SecretSource
    hash: str = field(repr=False)


def find_credentials(image: str, secrets: Iterable[Json]) -> tuple[PullCredential, ...]:
    """Return the credentials that fit an image, the most specific first; several may be valid.

    Args:
        image: Any reference to it.
        secrets: The pod's pull secrets in their order; those of other types count for nothing.

    Raises:
        KeyringError: A secret cannot be read.
        ImageNameError: The reference is none.
    """
    target = repository(image)
    keyring: dict[str, list[PullCredential]] = {}
    for secret in secrets:
        for location, credential in _read_secret(secret):
            key = _keyring_key(location)
            if key is not None:
                keyring.setdefault(key, []).append(credential)
    # In reverse order of the text a longer path comes before its own beginning.
    found = [
        credential
        for key in sorted(keyring, reverse=True)
        if _is_match(key, target)
        for credential in keyring[key]
    ]
    if not found and target.partition("/")[0] in _DEFAULT_REGISTRY_NAMES:
        found = keyring.get(_DEFAULT_REGISTRY, [])
    return tuple(found)


def _read_secret(secret: Json) -> Iterator[tuple[str, PullCredential]]:
    metadata = secret.get("metadata") or {}
    source = SecretSource(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        uid=str(metadata.get("uid") or ""),
    )
    data_key, is_nested = _FORMATS.get(str(secret.get("type")), ("", False))
    encoded = (secret.get("data") or {}).get(data_key)
    if not encoded:
        return
    try:
        config: Any = msgspec.json.decode(base64.b64decode(encoded))
        entries = (config or {}).get("auths") if is_nested else config
        for location, entry in (entries or {}).items():
            yield location, _read_entry(entry or {}, source)
    except (ValueError, AttributeError, TypeError) as exc:
        # The text of the error may hold a password: it is not passed on.
        where = f"{source.namespace}/{source.name}"
        raise KeyringError(f"pull secret {where} is no valid {data_key}") from exc


def _read_entry(entry: Json, source: SecretSource) -> PullCredential:
    username, password = entry.get("username") or "", entry.get("password") or ""
    if auth := entry.get("auth"):
        username, password = _decode_auth(auth)
    # As the kubelet has it, which leaves out what is empty.
    identity = {"username": username, "password": password, "email": entry.get("email") or ""}
    hashed = msgspec.json.encode({key: value for key, value in identity.items() if value})
    return PullCredential(
        auth=RegistryAuth(username=str(username), password=str(password)),
        source=source,
        hash=hashlib.sha256(hashed).hexdigest(),
    )


def _decode_auth(auth: str) -> tuple[str, str]:
    padding = "=" * (-len(auth) % 4)
    try:
        text = base64.b64decode(auth + padding, validate=True).decode()
    except binascii.Error as exc:
        raise ValueError("auth is not base64") from exc
    username, colon, password = text.partition(":")
    if not colon:
        raise ValueError("auth is not username:password")
    return username, password


def _keyring_key(location: str) -> str | None:
    """Return host and path of where credentials are for; None for what is no location."""
    if not location.startswith(("https://", "http://")):
        location = f"https://{location}"
    try:
        url = urlsplit(location)
    except ValueError:
        return None
    host, path = url.netloc.rpartition("@")[2], unquote(url.path)
    if path.startswith(("/v1/", "/v2/")):
        path = path[len("/v1") :]
    return host if path == "/" else host + path


def _is_match(key: str, target: str) -> bool:
    """Return whether a key of the keyring is for a repository; the host may hold wildcards."""
    host, slash, path = key.partition("/")
    target_host, target_slash, target_path = target.partition("/")
    name, port = _split_port(host)
    target_name, target_port = _split_port(target_host)
    parts, target_parts = name.split("."), target_name.split(".")
    if port != target_port or len(parts) != len(target_parts):
        return False
    if not (target_slash + target_path).startswith(slash + path):
        return False
    return all(
        re.fullmatch(".*".join(map(re.escape, part.split("*"))), target_part)
        for part, target_part in zip(parts, target_parts, strict=True)
    )


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return host, ""
    return name.removeprefix("[").removesuffix("]"), port
