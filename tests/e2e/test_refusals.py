"""Must show 7: who has no credential of ours gets nothing, on either port of the provider."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from devcluster.layout import EDGE_PORT
from tests.e2e.api_server import client_pair
from tests.e2e.tls import REFUSED_IN_THE_HANDSHAKE, Endpoint, ask, request
from tunnel.protocol import TUNNEL_PATH, TUNNEL_SUBPROTOCOL

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster

KUBELET_PATHS = (
    "/healthz",
    "/pods",
    "/runningpods/",
    "/containerLogs/default/p/c",
    "/exec/default/p/c?command=id&output=1",
    "/no/such/path",
)


@pytest.fixture(scope="module")
def kubelet_port(cluster: Cluster) -> Endpoint:
    """The port that the Node publishes."""
    status = cluster.node()["status"]
    return Endpoint(
        netns=cluster.cloud_netns,
        address=status["addresses"][0]["address"],
        port=status["daemonEndpoints"]["kubeletEndpoint"]["Port"],
    )


@pytest.fixture(scope="module")
def edge_port(kubelet_port: Endpoint, cluster: Cluster) -> Endpoint:
    """The port that the edge dials."""
    return Endpoint(
        netns=kubelet_port.netns,
        address=kubelet_port.address,
        port=EDGE_PORT,
        server_name=f"provider.{cluster.site}.edgelet.internal",
    )


def pair_of_another_ca(common_name: str, organization: str) -> bytes:
    """Return a client certificate with the right names, of a CA that nobody here trusts."""
    issued = trustme.CA().issue_cert(
        "client.invalid", common_name=common_name, organization_name=organization
    )
    return issued.private_key_and_cert_chain_pem.bytes()


def upgrade(path: str, *, protocol: str = TUNNEL_SUBPROTOCOL) -> bytes:
    """Return a WebSocket upgrade for the tunnel."""
    return request(
        "GET",
        path,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=base64.b64encode(secrets.token_bytes(16)).decode(),
        Sec_WebSocket_Protocol=protocol,
        Edgelet_Instance=secrets.token_hex(16),
    )


@pytest.mark.parametrize("path", KUBELET_PATHS)
def test_the_kubelet_port_says_401_without_a_credential(kubelet_port: Endpoint, path: str) -> None:
    """Every path, known or not: the answer tells nothing but that."""
    status, answer = ask(kubelet_port, request("GET", path))
    assert status == 401
    assert answer.rstrip().endswith(b"Unauthorized")


def test_the_kubelet_port_says_401_to_a_bad_token(kubelet_port: Endpoint) -> None:
    """The API server does not know it."""
    wanted = request("GET", "/pods", Authorization="Bearer let-me-in")
    assert ask(kubelet_port, wanted)[0] == 401


def test_the_kubelet_port_refuses_a_certificate_of_another_ca(kubelet_port: Endpoint) -> None:
    """The names are right and the issuer is not: refused in the handshake, or with 401."""
    pair = pair_of_another_ca("kube-apiserver-kubelet-client", "system:masters")
    status, _ = ask(kubelet_port, request("GET", "/pods"), pair=pair)
    assert status in {REFUSED_IN_THE_HANDSHAKE, 401}


def test_the_kubelet_port_lets_in_whom_the_cluster_allows(
    cluster: Cluster, kubelet_port: Endpoint
) -> None:
    """As a kubelet: a master may do everything, the scheduler is known and may do nothing here."""
    administrator = Path(cluster.environment["KUBECONFIG"])
    pair = client_pair(str(administrator))
    assert ask(kubelet_port, request("GET", "/pods"), pair=pair)[0] == 200
    scheduler = client_pair(str(administrator.parent / "kubeconfigs/kube-scheduler"))
    status, answer = ask(kubelet_port, request("GET", "/pods"), pair=scheduler)
    assert status == 403
    assert b"user=system:kube-scheduler, verb=get, resource=nodes" in answer


def test_the_kubelet_port_looks_tokens_up(cluster: Cluster, kubelet_port: Endpoint) -> None:
    """A ServiceAccount's token is known, and its rights are asked for."""
    token = cluster.kubectl.ok("create", "token", "default").strip()
    status, answer = ask(kubelet_port, request("GET", "/pods", Authorization=f"Bearer {token}"))
    assert status == 403
    assert b"user=system:serviceaccount:default:default" in answer


def test_the_edge_port_gives_no_tunnel_without_a_certificate(edge_port: Endpoint) -> None:
    """No 101: refused in the handshake or with a 4xx."""
    status, _ = ask(edge_port, upgrade(TUNNEL_PATH))
    assert status == REFUSED_IN_THE_HANDSHAKE or 400 <= status < 500


def test_the_edge_port_gives_no_tunnel_to_another_ca(cluster: Cluster, edge_port: Endpoint) -> None:
    """The site's own names on a certificate of another CA give no tunnel either."""
    pair = pair_of_another_ca(f"system:node:{cluster.site}", "system:nodes")
    status, _ = ask(edge_port, upgrade(TUNNEL_PATH), pair=pair)
    assert status == REFUSED_IN_THE_HANDSHAKE or 400 <= status < 500


def test_the_edge_port_gives_no_tunnel_to_a_client_of_the_cluster(
    cluster: Cluster, edge_port: Endpoint
) -> None:
    """The cluster's CA is not the site's CA: an administrator's certificate opens nothing here."""
    pair = client_pair(cluster.environment["KUBECONFIG"])
    status, _ = ask(edge_port, upgrade(TUNNEL_PATH), pair=pair)
    assert status == REFUSED_IN_THE_HANDSHAKE or 400 <= status < 500


def test_after_all_refusals_the_site_still_answers(cluster: Cluster) -> None:
    """None of the above disturbed the tunnel that is up."""
    path = f"/api/v1/nodes/{cluster.site}/proxy/healthz"
    assert cluster.kubectl.ok("get", "--raw", path).strip() == "ok"
    assert cluster.node_condition("Ready") == "True"
