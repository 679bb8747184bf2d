"""Approving the certificate of a kubelet port: this Node's own requests, and nobody else's."""

from __future__ import annotations

from typing import Any

from devcluster.joining import KUBELET_SERVING, pending_requests

Json = dict[str, Any]


def signing_request(name: str, **spec: str) -> Json:
    """Return a request of site-a's Node that nobody decided on, with changes."""
    asked = {"signerName": KUBELET_SERVING, "username": "system:node:site-a"} | spec
    return {"metadata": {"name": name}, "spec": asked, "status": {}}


def test_only_what_this_node_asked_for_and_nobody_decided_on() -> None:
    """Others' requests and other signers are left to whom they concern."""
    decided = signing_request("decided")
    decided["status"] = {"conditions": [{"type": "Denied"}]}
    without_status = signing_request("fresh")
    del without_status["status"]
    requests = [
        signing_request("ours"),
        signing_request("of-another", username="system:node:site-b"),
        signing_request("of-a-client", signerName="kubernetes.io/kube-apiserver-client-kubelet"),
        decided,
        without_status,
    ]
    assert pending_requests(requests, node="site-a") == ["ours", "fresh"]
