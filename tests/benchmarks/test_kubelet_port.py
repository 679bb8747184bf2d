"""The measurement of the kubelet port asks what it says, against a stand-in of the API server."""

from __future__ import annotations

from benchmarks.kubelet_port import compare
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.kubelet_port import API_SERVER
from tunnel.identity import SiteName


async def test_cold_requests_ask_twice_and_warm_ones_nobody() -> None:
    """Otherwise the figures would be those of something else."""
    tokens = [f"token-{number}" for number in range(4)]
    async with FakeAPIServer() as server, server.client() as kube:
        for token in tokens:
            server.reviews.tokens[token] = {"username": token}
            server.reviews.allowed.add((token, "get", "pods"))
        server.reviews.allowed.add((API_SERVER, "get", "pods"))
        figures = await compare(
            kube.as_node, node_name=SiteName("site-a"), tokens=tokens, warm_requests=20
        )
        assert len(server.seen("create", "tokenreviews")) == 4
        # The certificate's user is one more who is asked about.
        assert len(server.seen("create", "subjectaccessreviews")) == 5
    assert [figure.name.split(", ")[2] for figure in figures] == [
        "bearer token",
        "bearer token",
        "the API server's certificate",
    ]
    assert all(figure.value > 0 and figure.baseline > 0 for figure in figures)
