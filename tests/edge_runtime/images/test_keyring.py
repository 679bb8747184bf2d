"""Which credentials fit which image; the cases are those of the kubelet's own keyring."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.images.image_name import ImageNameError
from edge_runtime.images.keyring import KeyringError, find_credentials


def secret(entries: object, *, legacy: bool = False, raw: bytes | None = None) -> dict[str, Any]:
    """Return a pull secret with these entries."""
    kind, key = ("dockercfg", ".dockercfg") if legacy else ("dockerconfigjson", ".dockerconfigjson")
    text = raw or json.dumps(entries if legacy else {"auths": entries}).encode()
    return {
        "metadata": {"namespace": "ns", "name": "s", "uid": "u"},
        "type": f"kubernetes.io/{kind}",
        "data": {key: base64.b64encode(text).decode()},
    }


def passwords(image: str, *locations: str, legacy: bool = False) -> list[str]:
    """Return the locations whose credentials fit, most specific first."""
    entries = {each: {"username": "me", "password": each} for each in locations}
    found = find_credentials(image, [secret(entries, legacy=legacy)])
    return [each.auth.password for each in found]


@pytest.mark.parametrize(
    ("location", "image", "fits"),
    [
        ("r.io", "r.io/x", True),
        ("https://r.io", "r.io/x:1", True),
        ("http://r.io/", "r.io/x", True),
        ("https://r.io/v1/", "r.io/x", True),
        ("https://r.io/v2/team", "r.io/team/x", True),
        ("r.io/team", "r.io/team/x", True),
        ("r.io/team", "r.io/other/x", False),
        ("r.io:5000", "r.io:5000/x", True),
        ("r.io", "r.io:5000/x", False),
        ("r.io:5000", "r.io/x", False),
        ("*.r.io", "a.r.io/x", True),
        ("*.r.io", "r.io/x", False),
        ("*.r.io", "a.b.r.io/x", False),
        ("a*.r.io:5000", "abc.r.io:5000/x", True),
        ("*", "localhost/x", True),
        ("10.0.0.1:5000", "10.0.0.1:5000/x", True),
        ("[::1]:5000", "[::1]:5000/x", True),
        ("https://index.docker.io/v1/", "busybox", True),
        ("https://index.docker.io/v1/", "team/x", True),
        ("https://index.docker.io/v1/", "docker.io/team/x", True),
        ("index.docker.io", "r.io/x", False),
        ("docker.io", "busybox:1", True),
        ("https://[broken", "r.io/x", False),
        ("", "r.io/x", False),
    ],
)
def test_location_and_image(location: str, image: str, *, fits: bool) -> None:
    """Host, port and the beginning of the path; wildcards within one part of the host's name."""
    assert passwords(image, location) == ([location] if fits else [])
    assert passwords(image, location, legacy=True) == ([location] if fits else [])


def test_most_specific_comes_first() -> None:
    """All that fit are worth a try."""
    locations = ("r.io", "r.io/team", "*.io", "other.io")
    assert passwords("r.io/team/x", *locations) == ["r.io/team", "r.io", "*.io"]


def test_default_registry_counts_only_when_nothing_else_fits() -> None:
    """docker.io is named in two ways."""
    index = "https://index.docker.io/v1/"
    assert passwords("busybox", "docker.io", index) == ["docker.io"]


@pytest.mark.parametrize("auth", ["bWU6YTpi", "bWU6YTpiYw==", "bWU6YTpiYw"])
def test_auth_field_overrides(auth: str) -> None:
    """With padding or without; the password may hold colons."""
    entry = {"username": "other", "password": "other", "auth": auth}
    (found,) = find_credentials("r.io/x", [secret({"r.io": entry})])
    assert found.auth.username == "me"
    assert found.auth.password.startswith("a:b")
    assert found.auth.password not in repr(found)


def test_equal_credentials_have_one_hash() -> None:
    """Whatever Secret they are in."""
    one = secret({"r.io": {"username": "me", "password": "p"}})
    two = secret({"https://r.io": {"auth": base64.b64encode(b"me:p").decode()}}, legacy=True)
    first, second = find_credentials("r.io/x", [one, two])
    assert first.hash == second.hash
    other = secret({"r.io": {"username": "me", "password": "q"}})
    assert find_credentials("r.io/x", [other])[0].hash != first.hash


def test_other_secrets_count_for_nothing() -> None:
    """Of another type, without data, or with nothing in it."""
    opaque = secret({"r.io": {}}) | {"type": "Opaque"}
    empty = secret({}) | {"data": None}
    assert find_credentials("r.io/x", [opaque, empty, secret(None), secret({})]) == ()


@pytest.mark.parametrize(
    "raw", [b"{", b"5", b'{"auths": 5}', b'{"auths": {"r.io": {"auth": "!"}}}']
)
def test_what_cannot_be_read_is_not_repeated(raw: bytes) -> None:
    """Only the name of the Secret is told."""
    with pytest.raises(KeyringError, match=r"^pull secret ns/s is no valid \.dockerconfigjson$"):
        find_credentials("r.io/x", [secret({}, raw=raw)])


@given(raw=st.binary(max_size=64), location=st.text(max_size=32))
def test_any_content_is_read_or_refused(raw: bytes, location: str) -> None:
    """Nothing else comes out."""
    entries = {location: {"username": "me", "password": "p"}}
    find_credentials("r.io/team/x:1", [secret(entries)])
    with contextlib.suppress(KeyringError):
        find_credentials("r.io/x", [secret({}, raw=raw or b"{}")])


def test_no_image_has_no_credentials() -> None:
    """The caller looked at the name before."""
    with pytest.raises(ImageNameError):
        find_credentials("UPPER", [])
