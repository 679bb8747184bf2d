"""Site names, the certificates that carry them, and join tokens."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.errors import IdentityError
from tunnel.identity import (
    JoinToken,
    ca_pin,
    claimed_site,
    is_pinned,
    node_user_name,
    parse_join_token,
    parse_site_name,
    provider_dns_name,
    site_of_peer_certificate,
    site_of_subject,
)


@pytest.mark.parametrize("text", ["a", "site-a", "0", "a" * 63, "x--y"])
def test_labels_are_site_names(text: str) -> None:
    """What is a DNS label is a site name, and stands in all derived names."""
    site = parse_site_name(text)
    assert node_user_name(site) == f"system:node:{text}"
    assert provider_dns_name(site) == f"provider.{text}.edgelet.internal"


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "a\n", "ä", "a b", "system:node:a"]
)
def test_other_texts_are_refused(text: str) -> None:
    """Nothing but a label becomes part of a user name or a DNS name."""
    with pytest.raises(IdentityError):
        parse_site_name(text)


@given(st.text(max_size=70))
def test_only_labels_pass(text: str) -> None:
    """The pattern has no hole at its ends."""
    is_label = re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", text) and len(text) <= 63
    if is_label:
        assert parse_site_name(text) == text
    else:
        with pytest.raises(IdentityError):
            parse_site_name(text)


def test_the_subject_names_the_site() -> None:
    """One common name and exactly the node group."""
    subject = {"commonName": ["system:node:site-a"], "organizationName": ["system:nodes"]}
    assert site_of_subject(subject) == "site-a"


@pytest.mark.parametrize(
    "subject",
    [
        {},
        {"commonName": ["system:node:a"]},
        {"commonName": ["a"], "organizationName": ["system:nodes"]},
        {"commonName": ["system:node:a"], "organizationName": ["system:masters"]},
        {"commonName": ["system:node:a"], "organizationName": ["system:nodes", "system:masters"]},
        {"commonName": ["system:node:a", "system:node:b"], "organizationName": ["system:nodes"]},
        {"commonName": ["system:node:"], "organizationName": ["system:nodes"]},
        {"commonName": ["system:node:a.b"], "organizationName": ["system:nodes"]},
    ],
)
def test_other_subjects_name_no_site(subject: dict[str, list[str]]) -> None:
    """A second name or group could mean more than one identity."""
    with pytest.raises(IdentityError):
        site_of_subject(subject)


def _peer_certificate(*attributes: tuple[str, str]) -> dict[str, Any]:
    # The shape of ssl.SSLSocket.getpeercert(): a tuple of RDNs, each a tuple of name-value pairs.
    return {"subject": tuple((attribute,) for attribute in attributes), "serialNumber": "01"}


def test_the_peer_certificate_names_the_site() -> None:
    """The shape that ssl gives is read."""
    certificate = _peer_certificate(
        ("organizationName", "system:nodes"), ("commonName", "system:node:site-a")
    )
    assert site_of_peer_certificate(certificate) == "site-a"


@pytest.mark.parametrize(
    "certificate",
    [
        None,
        {},
        _peer_certificate(("commonName", "system:node:a")),
        _peer_certificate(
            ("organizationName", "system:nodes"),
            ("commonName", "system:node:a"),
            ("commonName", "system:node:b"),
        ),
    ],
)
def test_a_peer_without_a_site_is_refused(certificate: dict[str, Any] | None) -> None:
    """No certificate (None), no subject, or two names."""
    with pytest.raises(IdentityError):
        site_of_peer_certificate(certificate)


PIN = "0123456789abcdef" * 4


def test_a_join_token_is_read_back() -> None:
    """What is printed is what is accepted, with the white space that copying adds."""
    token = JoinToken(ca_pin=PIN, jwt="aa.b-b.c_c")
    assert parse_join_token(f" {token}\n") == token


@pytest.mark.parametrize(
    "text",
    [
        "",
        PIN,
        f"{PIN}.",
        f"{PIN}.a.b",
        f"{PIN}.a.b.c.d",
        f"{PIN[1:]}.a.b.c",
        f"{PIN.upper()}.a.b.c",
        f"{PIN}.a b.c.d",
        f"{PIN}..b.c",
        f"{PIN}.a.b.{'c' * 2048}",
    ],
)
def test_another_shape_is_no_join_token(text: str) -> None:
    """The refusal tells the form, and never repeats what may be a secret."""
    with pytest.raises(IdentityError, match="edgelet-provider token create") as caught:
        parse_join_token(text)
    assert not text or text not in str(caught.value)


def test_a_token_is_not_shown_by_accident() -> None:
    """Logs and tracebacks use repr."""
    assert "secret" not in repr(JoinToken(ca_pin=PIN, jwt="a.b.secret"))


def test_a_pin_names_one_certificate() -> None:
    """Any other certificate has another hash."""
    assert is_pinned(b"certificate", pin=ca_pin(b"certificate"))
    assert not is_pinned(b"another", pin=ca_pin(b"certificate"))


def token_with(payload: bytes) -> JoinToken:
    """Make a token of these claims."""
    return JoinToken(
        ca_pin=PIN, jwt=f"a.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.c"
    )


def test_a_token_names_its_site() -> None:
    """The edge asks for that site's provider."""
    assert claimed_site(token_with(json.dumps({"site": "site-a", "exp": 1}).encode())) == "site-a"


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b'{"site": 1}', b'{"site": "Site A"}', b"\xff", b"[" * 1200]
)
def test_a_damaged_token_is_said(payload: bytes) -> None:
    """Whatever its claims are."""
    with pytest.raises(IdentityError):
        claimed_site(token_with(payload))
