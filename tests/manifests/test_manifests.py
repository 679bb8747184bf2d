"""The manifests, as kubectl's kustomize builds them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
Json = dict[str, Any]

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is missing")


def build(folder: Path) -> list[Json]:
    """Return the objects of a kustomization."""
    outcome = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    return [item for item in yaml.safe_load_all(outcome.stdout) if item]


@pytest.fixture
def objects(tmp_path: Path) -> dict[str, Json]:
    """Return the objects of a site with a name full of dashes, by kind and name."""
    shutil.copytree(MANIFESTS, tmp_path / "manifests")
    overlay = tmp_path / "manifests/overlays/site-a/kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("site=site-a", "site=my-far-site-7"))
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in build(overlay.parent)}


@needs_kubectl
def test_one_literal_names_the_site_everywhere(objects: dict[str, Json]) -> None:
    """Nothing is left of the placeholder, and the ConfigMap is not applied."""
    assert "SITE" not in json.dumps(objects)
    assert not [key for key in objects if key.startswith("ConfigMap/")]
    assert objects["Namespace/edgelet-my-far-site-7"]["metadata"]["labels"] == {
        "edgelet.dev/site": "my-far-site-7"
    }
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
    own = objects["Role/edgelet-provider"]["rules"]
    assert all(rule["resourceNames"] and rule["verbs"] == ["get", "update"] for rule in own)
    named = {name for rule in own for name in rule["resourceNames"]}
    assert named == {"edgelet-site-ca", "edgelet-join-tokens", "edgelet-writer"}
    existing = {key.split("/")[1] for key in objects if key.startswith(("Secret/", "Lease/"))}
    assert named == existing


@needs_kubectl
def test_empty_objects_stay_empty(objects: dict[str, Json]) -> None:
    """Data in the manifest would overwrite the provider's on the next apply."""
    for name in ("Secret/edgelet-site-ca", "Secret/edgelet-join-tokens"):
        assert not {"data", "stringData"} & set(objects[name])
    assert "spec" not in objects["Lease/edgelet-writer"]


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
    """They tolerate the taint, select the role, and ask for nothing that is not served yet."""
    assert spec["nodeSelector"] == {"node-role.kubernetes.io/edge": ""}
    assert [item["key"] for item in spec["tolerations"]] == ["edgelet.dev/site"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
