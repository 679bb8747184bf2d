"""Which tokens an edge may have: those that its pods' volumes project."""

from __future__ import annotations

from typing import Any

import pytest

from provider.pods.token_request import compute_token_put, compute_token_request, why_refused
from tunnel.sync import TokenPut, TokenWant, token_key

Json = dict[str, Any]


def make_pod(*projections: Json, service_account: str | None = "sa") -> Json:
    """Return a pod that projects these tokens."""
    sources = [{"serviceAccountToken": {"path": "token", **each}} for each in projections]
    spec: Json = {"volumes": [{"name": "t", "projected": {"sources": sources}}, {"name": "e"}]}
    if service_account:
        spec["serviceAccountName"] = service_account
    return {"metadata": {"namespace": "ns", "name": "p", "uid": "u"}, "spec": spec}


def make_want(
    *audiences: str, service_account: str = "sa", expiry_s: int = 3607, pod_uid: str = "u"
) -> TokenWant:
    """Return what an edge wants."""
    return TokenWant(
        pod_uid=pod_uid,
        service_account=service_account,
        audiences=list(audiences),
        expiry_s=expiry_s,
    )


@pytest.mark.parametrize(
    ("projection", "want"),
    [
        ({"expirationSeconds": 3607}, make_want()),
        ({"expirationSeconds": 3607, "audience": ""}, make_want()),
        ({}, make_want(expiry_s=3600)),
        ({"expirationSeconds": 600, "audience": "vault"}, make_want("vault", expiry_s=600)),
    ],
)
def test_what_the_pod_projects_is_given(projection: Json, want: TokenWant) -> None:
    """Without an audience the API server's own is meant, without a life an hour."""
    assert why_refused(want, make_pod(projection)) == ""


@pytest.mark.parametrize(
    ("want", "words"),
    [
        (make_want(service_account="admin"), "the pod's service account is 'sa', no other"),
        (make_want("vault"), "no volume of the pod projects"),
        (make_want(expiry_s=86400), "no volume of the pod projects"),
        (make_want("a", "b"), "no volume of the pod projects"),
        (make_want("b", expiry_s=3607), "no volume of the pod projects"),
    ],
)
def test_all_else_is_refused(want: TokenWant, words: str) -> None:
    """Also a life or an audience that only another of its projections has."""
    pod = make_pod({"expirationSeconds": 3607}, {"audience": "b", "expirationSeconds": 600})
    assert words in why_refused(want, pod)


def test_a_pod_without_a_token_volume_gets_none() -> None:
    """It said that it wants none."""
    assert why_refused(make_want(), {"metadata": {}, "spec": {"serviceAccountName": "sa"}})


def test_a_pod_that_names_no_account_has_the_default_one() -> None:
    """As an API server without the admission plugin leaves it."""
    pod = make_pod({"expirationSeconds": 3607}, service_account=None)
    assert why_refused(make_want(service_account="default"), pod) == ""


def test_the_request_is_bound_to_the_pod() -> None:
    """By its UID: a namesake's is another one."""
    request = compute_token_request(make_want("vault", expiry_s=600), make_pod())
    assert request["kind"] == "TokenRequest"
    assert request["spec"] == {
        "audiences": ["vault"],
        "expirationSeconds": 600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"},
    }


def make_answer(life_s: int = 3607, **status: object) -> Json:
    """Return a TokenRequest with its answer."""
    given = {"token": "t", "expirationTimestamp": "2026-01-01T01:00:07Z"}
    return {"spec": {"expirationSeconds": life_s}, "status": given | status}


def test_the_answer_tells_when_it_was_issued() -> None:
    """From the life that was given, which may be shorter than what was asked for."""
    assert compute_token_put(make_want(), make_answer(life_s=607)) == TokenPut(
        key=token_key(make_want()),
        token="t",
        expiry="2026-01-01T01:00:07Z",
        issued_at="2026-01-01T00:50:00Z",
    )


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": None},
        make_answer(token=""),
        make_answer(token=7),
        make_answer(expirationTimestamp="soon"),
        make_answer(expirationTimestamp=None),
        make_answer(life_s=1 << 60),
        {**make_answer(), "spec": {}},
    ],
)
def test_an_answer_without_a_token_is_an_error_that_shows_nothing_of_it(answer: Json) -> None:
    """There might be a token in it."""
    with pytest.raises(ValueError, match="answer is no token") as caught:
        compute_token_put(make_want(), answer)
    assert caught.value.__cause__ is None
    assert "soon" not in str(caught.value)
