"""What an image says of its containers: who they run as, and which signal ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devcluster.images import busybox_archive
from tests.e2e.pods import container, pod
from tests.e2e.told import becomes, containers, tells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
NUMBERED, NAMED, SIGNALLED = (
    f"docker.io/e2e/{name}:1" for name in ("numbered-user", "named-user", "stop-signal")
)
IMAGES: dict[str, Json] = {
    NUMBERED: {"User": "1234"},
    NAMED: {"User": "nobody"},
    SIGNALLED: {"StopSignal": "SIGUSR1"},
}
TOLD = "".join(f"trap 'echo got {name}; exit 0' {name}; " for name in ("TERM", "USR1", "USR2"))
REPEATING = TOLD + "while :; do sleep 3600 & wait $!; done"


@pytest.fixture(scope="module", autouse=True)
def applied(
    cluster: Cluster, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The images, and all pods in one call."""
    archive = tmp_path_factory.mktemp("images") / "image.tar"
    for image, settings in IMAGES.items():
        archive.write_bytes(busybox_archive([image], settings=settings))
        cluster.ctr("images", "import", str(archive))
    site = cluster.site
    non_root: Json = {"securityContext": {"runAsNonRoot": True}}
    told: Json = {"lifecycle": {"stopSignal": "SIGUSR2"}}
    kubectl.apply(
        pod("numbered", container(image=NUMBERED), site=site, **non_root),
        pod("named", container(image=NAMED), site=site),
        pod("named-refused", container(image=NAMED), site=site, **non_root),
        pod("image-signal", container(image=SIGNALLED, script=REPEATING), site=site),
        pod("own-signal", container(image=SIGNALLED, script=REPEATING, **told), site=site,
            os={"name": "linux"}),
    )  # fmt: skip
    yield
    cluster.ctr("images", "rm", *IMAGES)


def test_the_images_user_is_taken(kubectl: Kubectl) -> None:
    """A number is good enough for runAsNonRoot, a name is where nobody asks for that."""
    kubectl.wait("condition=Ready", "pod/numbered", "pod/named")
    assert kubectl.ok("exec", "numbered", "--", "id", "-u").strip() == "1234"
    assert kubectl.ok("exec", "named", "--", "id", "-u").strip() == "65534"


def test_a_name_may_be_roots(kubectl: Kubectl) -> None:
    """With runAsNonRoot it is refused, with a kubelet's reason, message and event."""
    expected = (
        "container has runAsNonRoot and image has non-numeric user (nobody), "
        "cannot verify user is non-root"
    )
    told = becomes(
        kubectl,
        "named-refused",
        lambda told: (
            containers(told)["main"]["state"].get("waiting", {}).get("reason")
            == "CreateContainerConfigError"
        ),
    )
    assert expected in containers(told)["main"]["state"]["waiting"]["message"]
    tells(kubectl, "named-refused", "Failed", f"Error: {expected}")


def test_the_images_signal_ends_a_container(kubectl: Kubectl) -> None:
    """Not SIGTERM."""
    assert last_words(kubectl, "image-signal") == "got USR1"


def test_a_signal_of_the_containers_own_ends_it(cluster: Cluster, kubectl: Kubectl) -> None:
    """It outweighs the image's, where the runtime can."""
    spec = kubectl.json("get", "pod", "own-signal")["spec"]["containers"][0]
    if "stopSignal" not in spec.get("lifecycle", {}):
        pytest.skip("this API server has no lifecycle.stopSignal (gate ContainerStopSignals)")
    words = last_words(kubectl, "own-signal")
    if words == "got USR1":
        version = cluster.node()["status"]["nodeInfo"]["containerRuntimeVersion"]
        pytest.skip(f"{version} knows no signal but the image's")
    assert words == "got USR2"


def last_words(kubectl: Kubectl, name: str) -> str:
    """Delete a pod and return what it prints when it is told to end."""
    kubectl.wait("condition=Ready", f"pod/{name}")
    with kubectl.running("logs", "--follow", name) as log:
        kubectl.ok("delete", "pod", name, "--wait=false")
        return log.line(containing="got", timeout_s=20).text
