"""References to images: what is one, its default tag, and its repository; pure.

Source: github.com/distribution/reference regexp.go, normalize.go, reference.go; kubernetes
pkg/util/parsers/parsers.go ``ParseImageName``.
"""

from __future__ import annotations

import re

_ALPHANUMERIC = r"[a-z0-9]+"
_SEPARATOR = r"(?:[._]|__|[-]+)"
_PATH_COMPONENT = rf"{_ALPHANUMERIC}(?:{_SEPARATOR}{_ALPHANUMERIC})*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?(?P<path>{_PATH})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_SHA256_DIGITS = 64
_SHA512_DIGITS = 128
_MAX_PATH_CHARACTERS = 255
# An image name is matched in linear time, but an endless one need not be matched at all.
_MAX_CHARACTERS = 4096
_DEFAULT_DOMAIN = "docker.io"


class ImageNameError(ValueError):
    """A text that is no reference to an image; the message is the kubelet's."""


def with_default_tag(image: str) -> str:
    """Return the reference with ``:latest`` where it has neither tag nor digest.

    Raises:
        ImageNameError: It is no reference.
    """
    try:
        match = _parse(image)
    except ImageNameError as exc:
        raise ImageNameError(f'couldn\'t parse image name "{image}": {exc}') from exc
    return image if match["tag"] or match["digest"] else f"{image}:latest"


def repository(image: str) -> str:
    """Return the full name without tag and digest: ``docker.io/library/busybox`` for ``busybox:1``.

    Raises:
        ImageNameError: It is no reference.
    """
    match = _parse(image)
    return match.string[: match.end("path")]


def without_tag(image: str) -> str:
    """Return the reference as it was written, without tag and digest.

    Raises:
        ImageNameError: It is no reference.
    """
    match = _parse(image)
    if match["digest"]:
        image = image.removesuffix(f"@{match['digest']}")
    return image.removesuffix(f":{match['tag']}") if match["tag"] else image


def _parse(image: str) -> re.Match[str]:
    if _IDENTIFIER.fullmatch(image):
        raise ImageNameError(
            f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
        )
    domain, remainder = _split_domain(image)
    remote = remainder.partition(":")[0]
    if remote != remote.lower():
        raise ImageNameError(
            f"invalid reference format: repository name ({remote}) must be lowercase"
        )
    match = None
    if len(image) <= _MAX_CHARACTERS:
        match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise ImageNameError("invalid reference format")
    if len(match["path"]) > _MAX_PATH_CHARACTERS:
        raise ImageNameError(
            f"repository name must not be more than {_MAX_PATH_CHARACTERS} characters"
        )
    _check_digest(match["digest"])
    return match


def _check_digest(digest: str | None) -> None:
    algorithm, _, digits = (digest or "").partition(":")
    expected = {"sha256": _SHA256_DIGITS, "sha384": 96, "sha512": _SHA512_DIGITS}
    if not algorithm:
        return
    if algorithm not in expected:
        raise ImageNameError("unsupported digest algorithm")
    if len(digits) != expected[algorithm]:
        raise ImageNameError("invalid checksum digest length")
    if digits != digits.lower():
        raise ImageNameError("invalid checksum digest format")


def _split_domain(image: str) -> tuple[str, str]:
    first, slash, rest = image.partition("/")
    if not slash:
        return _DEFAULT_DOMAIN, f"library/{image}"
    if first == "localhost" or "." in first or ":" in first or first != first.lower():
        domain = _DEFAULT_DOMAIN if first == "index.docker.io" else first
        return domain, rest if domain != _DEFAULT_DOMAIN or "/" in rest else f"library/{rest}"
    return _DEFAULT_DOMAIN, image
