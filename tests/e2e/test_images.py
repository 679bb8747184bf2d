"""Real pulls from a registry that asks who comes: with right, wrong and no credentials."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.pods import container, pod
from tests.e2e.registry import PROGRAM, Registry, pull_secret, running_registry
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Json, Kubectl


@pytest.fixture(scope="module")
def registry(
    cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry beside the site, and a Secret for it."""
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"the machine has no {PROGRAM}: make deps installs it")
    kubectl.apply(pull_secret("right"), pull_secret("wrong", password="wrong"))
    with running_registry(cluster, tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def late(cluster: Cluster, kubectl: Kubectl, registry: Registry) -> None:
    """A pod whose Secret came after its first pull; the next one comes after its back-off."""
    kubectl.apply(make(cluster.site, "late", registry.push("team/late:1"), "late"))
    refused(kubectl, "late")
    kubectl.apply(pull_secret("late"))


def make(site: str, name: str, image: str, *secrets: str, policy: str = "IfNotPresent") -> Json:
    """Return a pod of an image, with pull secrets."""
    main = container(image=image, imagePullPolicy=policy)
    return pod(name, main, site=site, imagePullSecrets=[{"name": each} for each in secrets])


def waiting(kubectl: Kubectl, name: str) -> Json:
    """Return why a pod's container waits."""
    (status,) = kubectl.json("get", "pod", name)["status"]["containerStatuses"]
    found: Json = status["state"].get("waiting") or {}
    return found


def messages(kubectl: Kubectl, name: str, reason: str) -> list[str]:
    """Return the messages of a pod's events of that reason."""
    selector = f"involvedObject.name={name},reason={reason}"
    events = kubectl.json("get", "events", "--field-selector", selector)["items"]
    return [each["message"] for each in events]


def refused(kubectl: Kubectl, name: str) -> str:
    """Wait until a pod's image cannot be pulled, and return the event's message."""
    eventually(
        lambda: waiting(kubectl, name).get("reason") in {"ErrImagePull", "ImagePullBackOff"},
        what="the pull fails",
        timeout_s=60,
    )
    found: list[str] = eventually(
        lambda: [each for each in messages(kubectl, name, "Failed") if "Failed to pull" in each],
        what="the event",
        timeout_s=30,
    )
    return found[0]


def test_right_credentials_bring_the_image(
    cluster: Cluster, kubectl: Kubectl, registry: Registry
) -> None:
    """By tag, and by digest; the status tells which image it is."""
    image = registry.push("team/right:1")
    digest = f"{image.rpartition(':')[0]}@{registry.digest('team/right:1')}"
    for name, wanted in (("by-tag", image), ("by-digest", digest)):
        kubectl.apply(make(cluster.site, name, wanted, "right", policy="Always"))
        kubectl.wait("condition=Ready", f"pod/{name}")
        (status,) = kubectl.json("get", "pod", name)["status"]["containerStatuses"]
        assert status["imageID"]
        pulled = eventually(
            lambda name=name: messages(kubectl, name, "Pulled"),  # type: ignore[misc]
            what="the event",
            timeout_s=30,
        )
        assert pulled[0].startswith(f'Successfully pulled image "{wanted}" in ')
        assert "Image size: " in pulled[0]


@pytest.mark.parametrize("secrets", [(), ("wrong",)])
def test_without_the_right_credentials_it_is_refused(
    cluster: Cluster, kubectl: Kubectl, registry: Registry, secrets: tuple[str, ...]
) -> None:
    """In the runtime's words, and backed off."""
    name = "-".join(("refused", *secrets))
    image = registry.push(f"team/{name}:1")
    kubectl.apply(make(cluster.site, name, image, *secrets))
    message = refused(kubectl, name)
    assert message.startswith(f'Failed to pull image "{image}": ')
    assert "401" in message or "authorization failed" in message
    eventually(
        lambda: waiting(kubectl, name).get("reason") == "ImagePullBackOff",
        what="it is backed off",
        timeout_s=30,
    )
    assert waiting(kubectl, name)["message"].startswith(
        f'Back-off pulling image "{image}": ErrImagePull: '
    )
    eventually(
        lambda: f'Back-off pulling image "{image}"' in messages(kubectl, name, "BackOff"),
        what="the event",
        timeout_s=30,
    )


def test_image_that_is_not_there(cluster: Cluster, kubectl: Kubectl, registry: Registry) -> None:
    """404, although the credentials are right."""
    del registry
    kubectl.apply(make(cluster.site, "absent", "127.0.0.1:5000/team/absent:1", "right"))
    assert "not found" in refused(kubectl, "absent")


def test_image_of_one_pod_is_not_anothers(
    cluster: Cluster, kubectl: Kubectl, registry: Registry
) -> None:
    """What one pod's credentials brought is not there for a pod without."""
    image = registry.push("team/private:1")
    kubectl.apply(make(cluster.site, "owner", image, "right"))
    kubectl.wait("condition=Ready", "pod/owner")
    kubectl.apply(make(cluster.site, "thief", image, policy="Never"))
    eventually(
        lambda: waiting(kubectl, "thief").get("reason") == "ErrImageNeverPull",
        what="it is told that there is no such image",
        timeout_s=30,
    )
    kubectl.apply(make(cluster.site, "other", image))
    refused(kubectl, "other")
    kubectl.apply(make(cluster.site, "friend", image, "right", policy="Never"))
    kubectl.wait("condition=Ready", "pod/friend")
    eventually(
        lambda: (
            messages(kubectl, "friend", "Pulled")
            == [
                f'Container image "{image}" already present on machine '
                "and can be accessed by the pod"
            ]
        ),
        what="the event",
        timeout_s=30,
    )


@pytest.mark.usefixtures("late")
def test_secret_that_comes_late_lets_the_pod_start(kubectl: Kubectl) -> None:
    """Until then a warning tells what is missing."""
    assert messages(kubectl, "late", "FailedToRetrieveImagePullSecret") == [
        "Unable to retrieve some image pull secrets (late); "
        "attempting to pull the image may not succeed."
    ]
    kubectl.wait("condition=Ready", "pod/late", timeout_s=120)
