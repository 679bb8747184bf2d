"""Which service account tokens an edge may have, and how they are asked for. Pure.

An edge has tokens of its own pods only, and of these the ones that a volume of the pod projects:
its service account, one of its audiences, for as long as it says there. NodeRestriction holds the
provider to the same, on clusters that are new enough (ServiceAccountNodeAudienceRestriction, 1.33);
it is not left to that.

Source: kubernetes pkg/volume/projected/projected.go, ``collectData``;
plugin/pkg/admission/noderestriction/admission.go, ``admitServiceAccount``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from provider.kube.timestamps import format_time
from tunnel.sync import TokenPut, token_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunnel.sync import TokenWant

Json = dict[str, Any]

DEFAULT_SERVICE_ACCOUNT: Final = "default"
# Source: kubernetes pkg/apis/core/v1/defaults.go ``SetDefaults_ServiceAccountTokenProjection``.
DEFAULT_EXPIRY_S: Final = 3600


def why_refused(want: TokenWant, pod: Json) -> str:
    """Return why the edge may not have this token of its pod, "" if it may."""
    spec = pod.get("spec") or {}
    service_account = spec.get("serviceAccountName") or DEFAULT_SERVICE_ACCOUNT
    if want.service_account != service_account:
        return f"the pod's service account is {service_account!r}, no other"
    if (tuple(want.audiences), want.expiry_s) not in set(_projections(spec)):
        return "no volume of the pod projects a token of this audience and life"
    return ""


def compute_token_request(want: TokenWant, pod: Json) -> Json:
    """Return the body of the TokenRequest, bound to the pod."""
    metadata = pod["metadata"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": want.audiences,
            "expirationSeconds": want.expiry_s,
            "boundObjectRef": bound,
        },
    }


def compute_token_put(want: TokenWant, answer: Json) -> TokenPut:
    """Return the token as the edge gets it.

    The API server may give a shorter life than was asked for, and says so in ``spec``. Like a
    kubelet we reckon the time of issue from that: ours may be another clock.

    Raises:
        ValueError: The answer holds no token; the message does not show what it does hold.
    """
    try:
        token, expiry = answer["status"]["token"], answer["status"]["expirationTimestamp"]
        life = timedelta(seconds=int(answer["spec"]["expirationSeconds"]))
        issued_at = format_time(datetime.fromisoformat(expiry) - life)
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise ValueError(f"the API server's answer is no token: {type(exc).__name__}") from None
    if not isinstance(token, str) or not token:
        raise ValueError("the API server's answer is no token")
    return TokenPut(key=token_key(want), token=token, expiry=expiry, issued_at=issued_at)


def _projections(spec: Json) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield audiences and life of each token that a volume projects."""
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if (projection := source.get("serviceAccountToken")) is not None:
                audience = projection.get("audience")
                expiry_s = projection.get("expirationSeconds") or DEFAULT_EXPIRY_S
                yield (audience,) if audience else (), expiry_s
