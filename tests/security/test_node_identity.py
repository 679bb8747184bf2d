"""Must show 4: what a provider may do with the API server, asked of the API server itself.

Each call is made with the credentials of site-a's provider, as its Node (by impersonation, as the
provider does) or as its ServiceAccount.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import shutil
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from provider.pods.tolerations import compute_tolerations
from tests.e2e.pods import pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]

pytestmark = pytest.mark.e2e

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
OTHER_NODE = "another-node"
SILENCE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
AUDIENCE = "vault"
OWNERS = ("mine", "theirs", "nobodys")
JSON_BODY = {"Content-Type": "application/json"}
DRY_RUN = "dryRun=All"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said."""

    status: int
    text: str


class Caller:
    """Plain HTTPS with the provider's token, as whom the headers say."""

    def __init__(self, kubeconfig: Path, headers: dict[str, str]) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        url = urlsplit(cluster["server"])
        self._host, self._port = str(url.hostname), url.port
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        token = Path(document["users"][0]["user"]["tokenFile"]).read_text().strip()
        self._headers = {"Authorization": f"Bearer {token}", **headers}

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one request."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._tls, timeout=30
        )
        merge = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={**JSON_BODY, **self._headers, **merge, **(headers or {})},
            )
            answer = connection.getresponse()
            return Answer(status=answer.status, text=answer.read().decode())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def as_self(cluster: Cluster) -> Caller:
    """The provider's ServiceAccount."""
    return Caller(_kubeconfig(cluster), {})


@pytest.fixture(scope="module")
def as_node(cluster: Cluster) -> Caller:
    """The site's Node, as the provider acts."""
    return Caller(
        _kubeconfig(cluster),
        {"Impersonate-User": f"system:node:{cluster.site}", "Impersonate-Group": "system:nodes"},
    )


def _kubeconfig(cluster: Cluster) -> Path:
    return Path(cluster.environment["DEVCLUSTER_SITE_ROOT"]) / "provider.kubeconfig"


@pytest.fixture(scope="module")
def space(kubectl: Kubectl) -> str:
    """The path of the module's namespace."""
    return f"/api/v1/namespaces/{kubectl.namespace}"


@pytest.fixture(scope="module", autouse=True)
def both_nodes(cluster: Cluster, kubectl: Kubectl) -> Iterator[None]:
    """A pod with objects of its own on the site's node, and one on a node that is another's."""
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": OTHER_NODE}},
        *(item for name in OWNERS for item in _objects(name, kubectl.namespace)),
        _pod("mine", cluster.site),
        _pod("theirs", OTHER_NODE),
    )
    yield
    kubectl.ok("delete", "node", OTHER_NODE)
    kubectl.ok("delete", "pod", "mine", "theirs", "--grace-period=0", "--force")
    for name in OWNERS:
        kubectl.ok("delete", "pvc", name, "--wait=false")
        kubectl.ok("delete", "pv", _volume(name, kubectl.namespace), "--wait=false")


def _volume(name: str, namespace: str) -> str:
    return f"{namespace}-{name}"


def _objects(name: str, namespace: str) -> list[Json]:
    """Return a ConfigMap, a Secret, a claim and the volume that it is bound to."""
    storage = {"storageClassName": "", "accessModes": ["ReadWriteOnce"]}
    volume = {
        "capacity": {"storage": "1Mi"},
        # Nothing is there: whoever runs the pod mounts nothing.
        "hostPath": {"path": "/nowhere/edgelet", "type": "Directory"},
        "claimRef": {"namespace": namespace, "name": name},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    claim = {
        "volumeName": _volume(name, namespace),
        "resources": {"requests": {"storage": "1Mi"}},
    }
    return [
        _object("Secret", name, stringData={"key": "value"}),
        _object("ConfigMap", name, data={"key": "value"}),
        _object("PersistentVolume", _volume(name, namespace), spec=volume | storage),
        _object("PersistentVolumeClaim", name, spec=claim | storage),
    ]


def _object(kind: str, name: str, **fields: Json) -> Json:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def _pod(name: str, node: str) -> Json:
    token = {"serviceAccountToken": {"path": "token", "audience": AUDIENCE}}
    volumes = [
        {"name": "secret", "secret": {"secretName": name}},
        {"name": "token", "projected": {"sources": [token, {"configMap": {"name": name}}]}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": name}},
    ]
    return pod(name, site=node, nodeName=node, volumes=volumes)


def assert_refused(answer: Answer, *texts: str) -> None:
    """The API server answered 403, with these words."""
    assert answer.status == 403, answer
    for text in texts:
        assert text in answer.text, answer


@pytest.mark.parametrize("resource", ["secrets", "configmaps", "persistentvolumeclaims"])
def test_what_its_own_pods_refer_to_and_nothing_else(
    as_node: Caller, space: str, resource: str
) -> None:
    """The Node authorizer knows which objects the node's pods refer to."""
    eventually(
        lambda: as_node.call("GET", f"{space}/{resource}/mine").status == 200,
        what="the authorizer knows the pod",
        timeout_s=20,
    )
    for name in ("theirs", "nobodys"):
        assert_refused(as_node.call("GET", f"{space}/{resource}/{name}"), "no relationship found")
    assert_refused(as_node.call("GET", f"{space}/{resource}"))
    assert_refused(as_node.call("DELETE", f"{space}/{resource}/mine"))


def test_the_volume_of_its_own_claim_and_no_other(
    as_node: Caller, kubectl: Kubectl, space: str
) -> None:
    """Once it is bound; neither may be watched, not even by name."""
    volumes = "/api/v1/persistentvolumes"
    own = _volume("mine", kubectl.namespace)
    eventually(
        lambda: as_node.call("GET", f"{volumes}/{own}").status == 200,
        what="the authorizer knows the volume",
        timeout_s=20,
    )
    claim = json.loads(as_node.call("GET", f"{space}/persistentvolumeclaims/mine").text)
    assert claim["spec"]["volumeName"] == own
    other = _volume("theirs", kubectl.namespace)
    assert_refused(as_node.call("GET", f"{volumes}/{other}"), "no relationship found")
    for path in (
        f"{volumes}?fieldSelector=metadata.name%3D{own}",
        f"{space}/persistentvolumeclaims?fieldSelector=metadata.name%3Dmine",
    ):
        assert_refused(as_node.call("GET", f"{path}&watch=true&timeoutSeconds=1"))


@pytest.mark.parametrize("resource", ["secrets", "configmaps"])
def test_it_watches_what_its_own_pods_refer_to_by_name_alone(
    as_node: Caller, space: str, resource: str
) -> None:
    """As the provider does: lists and watches that name one object."""
    query = "fieldSelector=metadata.name%3D"
    eventually(
        lambda: as_node.call("GET", f"{space}/{resource}?{query}mine").status == 200,
        what="the authorizer knows the pod",
        timeout_s=20,
    )
    watch = f"{query}mine&watch=true&timeoutSeconds=1"
    assert as_node.call("GET", f"{space}/{resource}?{watch}").status == 200
    assert_refused(as_node.call("GET", f"{space}/{resource}?{query}theirs"))
    assert_refused(as_node.call("GET", f"{space}/{resource}?watch=true&timeoutSeconds=1"))


def test_services_of_any_namespace_but_no_change_of_them(as_node: Caller, space: str) -> None:
    """Containers' environments name them; a node may read all that there are."""
    for path in (f"{space}/services", "/api/v1/namespaces/default/services"):
        assert as_node.call("GET", path).status == 200
        assert as_node.call("GET", f"{path}?watch=true&timeoutSeconds=1").status == 200
    assert_refused(as_node.call("POST", f"{space}/services", {"metadata": {"name": "x"}}))


def test_its_own_node_and_no_other(cluster: Cluster, as_node: Caller) -> None:
    """NodeRestriction: status, labels and Leases of another Node are not its business."""
    ours, theirs = (f"/api/v1/nodes/{name}" for name in (cluster.site, OTHER_NODE))
    status = {"status": {"nodeInfo": {"machineID": "x"}}}
    assert as_node.call("PATCH", f"{ours}/status?{DRY_RUN}", status).status == 200
    assert_refused(as_node.call("PATCH", f"{theirs}/status?{DRY_RUN}", status), OTHER_NODE)
    labels = {"metadata": {"labels": {"example.com/zone": "x"}}}
    assert_refused(as_node.call("PATCH", f"{theirs}?{DRY_RUN}", labels))
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{OTHER_NODE}"
    assert_refused(as_node.call("PATCH", lease, {"spec": {"holderIdentity": "x"}}))
    role = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
    refused = as_node.call("PATCH", f"{ours}?{DRY_RUN}", role)
    assert_refused(refused, "is not allowed to modify labels")


def test_its_own_pods_and_no_others(as_node: Caller, space: str) -> None:
    """It sees its own pods, and writes the status of none that is bound elsewhere."""
    assert_refused(as_node.call("GET", "/api/v1/pods"))
    mine, theirs = (f"{space}/pods/{name}" for name in ("mine", "theirs"))
    status = {"status": {"message": "all is well"}}
    assert as_node.call("PATCH", f"{mine}/status?{DRY_RUN}", status).status == 200
    assert_refused(as_node.call("PATCH", f"{theirs}/status?{DRY_RUN}", status), "set to itself")
    assert_refused(as_node.call("DELETE", theirs), "set to itself")
    assert_refused(as_node.call("PATCH", mine, {"spec": {"activeDeadlineSeconds": 1}}))


def test_a_token_for_its_own_pods_and_no_others(
    as_node: Caller, kubectl: Kubectl, space: str
) -> None:
    """A token is bound to a pod, and that pod to this node and its spec to the audience."""
    path = f"{space}/serviceaccounts/default/token"

    def request(name: str, audience: str) -> Json:
        uid = kubectl.json("get", "pod", name)["metadata"]["uid"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid}
        return {"spec": {"audiences": [audience], "boundObjectRef": bound}}

    assert as_node.call("POST", path, request("mine", AUDIENCE)).status == 201
    assert_refused(as_node.call("POST", path, request("mine", "another")), "audience")
    refused = as_node.call("POST", path, request("theirs", AUDIENCE))
    assert_refused(refused, "different node")
    unbound: Json = {"spec": {"audiences": [AUDIENCE]}}
    assert_refused(as_node.call("POST", path, unbound), "not bound to a pod")


@pytest.mark.parametrize(
    ("user", "group"),
    [
        (f"system:node:{OTHER_NODE}", "system:nodes"),
        ("system:node:site-a", "system:masters"),
        ("kubernetes-admin", ""),
        ("system:serviceaccount:kube-system:node-controller", ""),
    ],
    ids=["another node", "masters", "the administrator", "a controller"],
)
def test_it_can_be_nobody_else(as_self: Caller, user: str, group: str) -> None:
    """RBAC lets the ServiceAccount impersonate one user and one group."""
    headers = {"Impersonate-User": user} | ({"Impersonate-Group": group} if group else {})
    refused = as_self.call("GET", "/api/v1/nodes", headers=headers)
    assert_refused(refused, "cannot impersonate")


def test_as_itself_it_has_four_secrets_and_a_lease(
    as_self: Caller, cluster: Cluster, space: str
) -> None:
    """By name, in its own namespace; it lists and creates nothing."""
    own = f"/api/v1/namespaces/edgelet-{cluster.site}"
    leases = f"/apis/coordination.k8s.io/v1/namespaces/edgelet-{cluster.site}/leases"
    for name in ("site-ca", "join-tokens", "site-certificates", "kubelet-serving"):
        path = f"{own}/secrets/edgelet-{name}"
        assert as_self.call("GET", path).status == 200
    assert as_self.call("GET", f"{leases}/edgelet-writer").status == 200
    assert as_self.call("GET", f"/api/v1/nodes/{cluster.site}").status == 200
    for method, path in (
        ("GET", f"{own}/secrets"),
        ("POST", f"{own}/secrets"),
        ("DELETE", f"{own}/secrets/edgelet-site-ca"),
        ("GET", "/api/v1/namespaces/edgelet-site-z/secrets/edgelet-site-ca"),
        ("GET", f"{space}/secrets/mine"),
        ("DELETE", f"{leases}/edgelet-writer"),
        ("POST", leases),
        ("GET", "/api/v1/nodes"),
        ("POST", "/api/v1/nodes"),
        ("GET", f"/api/v1/nodes/{OTHER_NODE}"),
        ("GET", f"{space}/pods"),
        ("PATCH", f"{space}/pods/mine"),
        ("POST", f"{own}/serviceaccounts/edgelet-provider/token"),
        ("GET", "/api/v1/namespaces/kube-system/configmaps"),
    ):
        assert_refused(as_self.call(method, path, None if method == "GET" else {}))


def silence_tolerations(found: Json) -> list[Json]:
    """Return the pod's tolerations of its node's silence."""
    return [t for t in found["spec"]["tolerations"] if t.get("key") in SILENCE_TAINTS]


def test_a_pod_of_the_site_tolerates_its_silence_once_and_for_ever(kubectl: Kubectl) -> None:
    """The policy replaced the 300 s that admission gives to every other pod."""
    unlimited = [{"effect": "NoExecute", "key": k, "operator": "Exists"} for k in SILENCE_TAINTS]
    assert silence_tolerations(kubectl.json("get", "pod", "mine")) == unlimited
    script = ("run", "plain", "--image=x", "--dry-run=server")
    plain = silence_tolerations(kubectl.json(*script))
    assert [item["tolerationSeconds"] for item in plain] == [300, 300]


def test_a_pod_that_asks_for_a_limit_gets_none(cluster: Cluster, kubectl: Kubectl) -> None:
    """Of several that match the first would count."""
    asked = pod("limited", site=cluster.site)
    asked["spec"]["tolerations"] += [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
        for key in SILENCE_TAINTS
    ]
    made = json.loads(
        kubectl.ok(
            *("create", "--dry-run=server", "-o", "json", "-f", "-"),
            stdin=json.dumps(asked).encode(),
        )
    )
    found = silence_tolerations(made)
    assert sorted(item["key"] for item in found) == sorted(SILENCE_TAINTS)
    assert not [item for item in found if "tolerationSeconds" in item]


def patch_rights(cluster: Cluster, folder: Path) -> list[Json]:
    """Return what the component patch-tolerations adds to the site's rights."""
    shutil.copytree(MANIFESTS, folder / "manifests")
    overlay = folder / "manifests/overlays/site-a"
    file = overlay / "kustomization.yaml"
    text = file.read_text().replace("site=site-a", f"site={cluster.site}")
    component = "- ../../site\n- ../../components/patch-tolerations\n"
    file.write_text(text.replace("- ../../site\n", component))
    built = yaml.safe_load_all(cluster.kubectl.ok("kustomize", str(overlay)))
    return [item for item in built if "edgelet-patch-tolerations" in item["metadata"]["name"]]


@contextmanager
def older_cluster(cluster: Cluster, folder: Path) -> Iterator[None]:
    """Take the mutating policy away and grant the patch, as in a cluster before 1.36."""
    kubectl = cluster.kubectl
    binding = kubectl.json("get", "mutatingadmissionpolicybinding", "edgelet-tolerations")
    rights = patch_rights(cluster, folder)
    kubectl.ok("delete", "mutatingadmissionpolicybinding", "edgelet-tolerations")
    try:
        kubectl.apply(*rights)
        yield
    finally:
        for item in rights:
            kubectl.ok("delete", item["kind"], item["metadata"]["name"], "--ignore-not-found")
        metadata = {"name": binding["metadata"]["name"]}
        kubectl.apply({**binding, "metadata": metadata})


def test_where_there_is_no_policy_the_provider_may_patch_tolerations_and_no_more(
    cluster: Cluster, kubectl: Kubectl, as_self: Caller, space: str, tmp_path: Path
) -> None:
    """What the provider computes is what the API server lets an update of a bound pod do."""
    with older_cluster(cluster, tmp_path):
        name = _limited_pod(cluster, kubectl)
        found, path = kubectl.json("get", "pod", name), f"{space}/pods/{name}"
        wanted = {"spec": {"tolerations": compute_tolerations(found)}}
        eventually(
            lambda: as_self.call("PATCH", path, wanted).status == 200,
            what="the right is known, and the API server takes the patch",
            timeout_s=20,
        )
        # Rights and policies reach the API server's checks by two ways; only a change is refused.
        tries = itertools.count()
        eventually(
            lambda: as_self.call("PATCH", path, _annotation("tried", next(tries))).status == 403,
            what="the policy is known",
            timeout_s=20,
        )
        after = kubectl.json("get", "pod", name)
        assert len(silence_tolerations(after)) == 2
        assert not [t for t in silence_tolerations(after) if "tolerationSeconds" in t]
        for patch in (
            {"metadata": {"labels": {"app": "evil"}}},
            {"metadata": {"annotations": {"a": "b"}}},
            {"spec": {"activeDeadlineSeconds": 1}},
            {"spec": {"containers": [found["spec"]["containers"][0] | {"image": "evil"}]}},
        ):
            refused = as_self.call("PATCH", path, patch)
            assert_refused(refused, "a provider may change a pod's tolerations only")
        refused = as_self.call("PATCH", f"{space}/pods/theirs", wanted)
        assert_refused(refused, "a provider may patch the pods of its own site only")


def _annotation(key: str, value: int) -> Json:
    return {"metadata": {"annotations": {key: str(value)}}}


def _limited_pod(cluster: Cluster, kubectl: Kubectl) -> str:
    """Make a pod whose tolerations admission left at 300 s, once the policy is gone."""
    names = iter(range(100))

    def made() -> str:
        name = f"older-{next(names)}"
        kubectl.apply(pod(name, site=cluster.site, nodeName=cluster.site))
        found = kubectl.json("get", "pod", name)
        return name if "tolerationSeconds" in silence_tolerations(found)[0] else ""

    return str(eventually(made, what="a pod without the policy", timeout_s=30))
