"""The manifests, as kubectl's kustomize builds them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from provider.config import parse_config

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
Json = dict[str, Any]

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing")


def build(folder: Path) -> list[Json]:
    """Return the objects of a kustomization."""
    outcome = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    return [item for item in yaml.safe_load_all(outcome.stdout) if item]


def build_site(folder: Path, *, components: str = "") -> dict[str, Json]:
    """Return the objects of a site with a name full of dashes, by kind and name."""
    shutil.copytree(MANIFESTS, folder / "manifests")
    overlay = folder / "manifests/overlays/site-a/kustomization.yaml"
    text = overlay.read_text().replace("site=site-a", "site=my-far-site-7")
    overlay.write_text(text.replace("- ../../site\n", f"- ../../site\n{components}"))
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in build(overlay.parent)}


@pytest.fixture
def objects(tmp_path: Path) -> dict[str, Json]:
    """Return the objects of a site as the overlay makes them."""
    return build_site(tmp_path)


@needs_kubectl
def test_one_literal_names_the_site_everywhere(objects: dict[str, Json]) -> None:
    """Nothing is left of the placeholder, and the ConfigMap is not applied."""
    assert "SITE" not in json.dumps(objects)
    assert [key for key in objects if key.startswith("ConfigMap/")] == [
        "ConfigMap/edgelet-provider"
    ]
    labels = objects["Namespace/edgelet-my-far-site-7"]["metadata"]["labels"]
    assert labels["edgelet.dev/site"] == "my-far-site-7"
    namespaces = {item["metadata"].get("namespace") for item in objects.values()}
    assert namespaces == {None, "edgelet-my-far-site-7", "kube-system"}
    for item in objects.values():
        for subject in item.get("subjects", ()):
            assert subject["namespace"] == "edgelet-my-far-site-7"


@needs_kubectl
def test_the_provider_may_do_exactly_this(objects: dict[str, Json]) -> None:
    """Every rule names its objects, and none creates, lists or deletes anything."""
    cluster = objects["ClusterRole/edgelet-my-far-site-7"]["rules"]
    assert [(rule["resources"], rule["resourceNames"], rule["verbs"]) for rule in cluster] == [
        (["nodes"], ["my-far-site-7"], ["get", "patch"]),
        (["users"], ["system:node:my-far-site-7"], ["impersonate"]),
        (["groups"], ["system:nodes"], ["impersonate"]),
    ]
    secrets, lease = objects["Role/edgelet-provider"]["rules"]
    assert secrets["verbs"] == ["get", "update", "watch"]
    assert secrets["resourceNames"] == [
        "edgelet-site-ca",
        "edgelet-join-tokens",
        "edgelet-site-certificates",
        "edgelet-kubelet-serving",
    ]
    assert (lease["verbs"], lease["resourceNames"]) == (["get", "update"], ["edgelet-writer"])
    named = {*secrets["resourceNames"], *lease["resourceNames"]}
    existing = {key.split("/")[1] for key in objects if key.startswith(("Secret/", "Lease/"))}
    assert named == existing


@needs_kubectl
def test_empty_objects_stay_empty(objects: dict[str, Json]) -> None:
    """Data in the manifest would overwrite the provider's on the next apply."""
    for key, item in objects.items():
        if key.startswith("Secret/"):
            assert not {"data", "stringData"} & set(item)
    assert "spec" not in objects["Lease/edgelet-writer"]


@needs_kubectl
def test_the_provider_takes_its_configuration(objects: dict[str, Json]) -> None:
    """What the ConfigMap says and what the pod's address adds is all that it needs."""
    text = objects["ConfigMap/edgelet-provider"]["data"]["provider.yaml"]
    config = parse_config(yaml.safe_load(text) | {"nodeAddress": "10.0.0.7"})
    assert config.site == "my-far-site-7"
    assert config.site_namespace == "edgelet-my-far-site-7"
    assert config.patch_tolerations is False
    ports = {item["name"]: item["containerPort"] for item in provider_container(objects)["ports"]}
    assert ports == {
        "kubelet": config.kubelet_port,
        "edge": config.edge_port,
        "health": config.health_port,
    }


@needs_kubectl
def test_the_provider_runs_with_little(objects: dict[str, Json]) -> None:
    """Not as root, nothing to write to, no Secret mounted, and an update that cannot hang."""
    spec = objects["Deployment/edgelet-provider"]["spec"]
    # A new provider is ready only when the old one has given up its Lease.
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 1
    pod = spec["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert [set(volume) for volume in pod["volumes"]] == [{"name", "configMap"}]
    container = provider_container(objects)
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert [item["name"] for item in container["env"]] == ["POD_IP"]


def provider_container(objects: dict[str, Json]) -> Json:
    """Return the Deployment's one container."""
    containers: list[Json] = objects["Deployment/edgelet-provider"]["spec"]["template"]["spec"][
        "containers"
    ]
    [container] = containers
    return container


@needs_kubectl
def test_patched_tolerations_are_a_component(tmp_path: Path) -> None:
    """It switches the patch on, and grants what it needs to this site's provider."""
    objects = build_site(tmp_path, components="- ../../components/patch-tolerations\n")
    assert "SITE" not in json.dumps(objects)
    text = objects["ConfigMap/edgelet-provider"]["data"]["provider.yaml"]
    config = parse_config(yaml.safe_load(text) | {"nodeAddress": "10.0.0.7"})
    assert (config.site, config.patch_tolerations) == ("my-far-site-7", True)
    binding = objects["ClusterRoleBinding/edgelet-patch-tolerations:my-far-site-7"]
    for item in (binding, objects["ClusterRoleBinding/edgelet-my-far-site-7"]):
        assert [subject["namespace"] for subject in item["subjects"]] == ["edgelet-my-far-site-7"]
    assert binding["roleRef"]["name"] == "edgelet-patch-tolerations"
    assert "ValidatingAdmissionPolicyBinding/edgelet-patch-tolerations" in objects


@needs_kubectl
def test_the_base_holds_the_tolerations_policy() -> None:
    """And nothing of any site."""
    kinds = [item["kind"] for item in build(MANIFESTS / "base")]
    assert kinds == ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"]


def pod_specs() -> list[Json]:
    """Return the pod specs of all examples."""
    documents = [
        item
        for path in sorted((MANIFESTS / "examples").glob("*.yaml"))
        for item in yaml.safe_load_all(path.read_text())
    ]
    specs = [item["spec"] for item in documents if item["kind"] == "Pod"]
    return specs + [
        item["spec"]["template"]["spec"] for item in documents if item["kind"] == "Deployment"
    ]


@pytest.mark.parametrize("spec", pod_specs(), ids=lambda spec: spec["containers"][0]["name"])
def test_examples_run_on_a_site_and_nowhere_else(spec: Json) -> None:
    """They tolerate the taint and select the role."""
    assert spec["nodeSelector"] == {"node-role.kubernetes.io/edge": ""}
    assert [item["key"] for item in spec["tolerations"]] == ["edgelet.dev/site"]
