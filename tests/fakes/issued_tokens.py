"""Service account tokens that an API server gives on request, all of them in one list."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class IssuedTokens:
    """What was asked for and given.

    Attributes:
        issued: Every TokenRequest as it was answered.
        max_life_s: No token lives longer, whatever was asked for.
        now: When tokens are issued.
        time_format: Of the moment when they expire.
        padding: Makes tokens as long as real ones where that matters.
    """

    issued: list[Json] = field(default_factory=list)
    max_life_s: int = 1 << 32
    now: datetime = _BEGIN
    time_format: str = "%Y-%m-%dT%H:%M:%SZ"
    padding: str = ""

    def issue(self, collection: str, name: str, body: Json) -> Json:
        """Answer a TokenRequest for a service account."""
        namespace = collection.split("/namespaces/")[1].split("/")[0]
        life_s = min(body["spec"]["expirationSeconds"], self.max_life_s)
        expiry = (self.now + timedelta(seconds=life_s)).strftime(self.time_format)
        answer = {
            **body,
            "metadata": {"namespace": namespace, "name": name},
            "spec": {**body["spec"], "expirationSeconds": life_s},
            "status": {
                "token": f"token-{len(self.issued)}.{namespace}.{name}{self.padding}",
                "expirationTimestamp": expiry,
            },
        }
        self.issued.append(answer)
        return answer
