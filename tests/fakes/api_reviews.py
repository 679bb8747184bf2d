"""Reviews that an API server answers and keeps not: whose token it is, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(slots=True)
class Reviews:
    """Who is known, and who may do what.

    Attributes:
        tokens: Bearer token → the user that it is of, as ``{"username": …, "groups": […]}``.
        audiences: Bearer token → the audiences that it is for; the API server's own where absent.
        allowed: (user, verb, subresource of the node); everything else is denied.
        denied: Users for whom an authorizer says no, whatever another one says.
        caller: Who asks who he is.
        errors: Bearer token or user → what goes wrong with its review (``status.error``,
            ``status.evaluationError``).
    """

    tokens: dict[str, Json] = field(default_factory=dict)
    audiences: dict[str, list[str]] = field(default_factory=dict)
    allowed: set[tuple[str, str, str]] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    caller: str = "jane"
    errors: dict[str, str] = field(default_factory=dict)

    def answer(self, collection: str, body: Json) -> Json | None:
        """Return the review with its status, or None when the collection holds no reviews."""
        if collection == TOKEN_REVIEWS:
            return body | {"status": self._token_status(body["spec"])}
        if collection == SELF_REVIEWS:
            return body | {"status": {"userInfo": {"username": self.caller}}}
        if collection == ACCESS_REVIEWS:
            return body | {"status": self._access_status(body["spec"])}
        return None

    def _token_status(self, spec: Json) -> Json:
        token = spec["token"]
        if token in self.errors:
            return {"authenticated": False, "error": self.errors[token]}
        user = self.tokens.get(token)
        valid_for = self.audiences.get(token, ["https://kubernetes.default.svc"])
        wanted = spec.get("audiences") or valid_for
        audiences = [audience for audience in wanted if audience in valid_for]
        if user is None or not audiences:
            return {"authenticated": False, "error": "[invalid bearer token]"}
        return {"authenticated": True, "user": user, "audiences": audiences}

    def _access_status(self, spec: Json) -> Json:
        user, resource = spec["user"], spec.get("resourceAttributes") or {}
        if user in self.errors:
            return {"allowed": False, "evaluationError": self.errors[user]}
        asked = (user, resource.get("verb", ""), resource.get("subresource", ""))
        allowed = resource.get("resource") == "nodes" and asked in self.allowed
        return {"allowed": allowed} | ({"denied": True} if user in self.denied else {})
