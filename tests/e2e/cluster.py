"""The devcluster as the tests see it: its environment, its parts, its link, its containerd."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from devcluster.layout import default_root
from devcluster.state import load_state
from tests.e2e.kubectl import Kubectl
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "devcluster"]
BRING_UP_TIMEOUT_S = (
    3000  # a cold Go build takes 5 minutes on two cores, and far more on a busy one
)
Json = dict[str, Any]


class Cluster:
    """A devcluster that is up, and its first site."""

    def __init__(self) -> None:
        self.environment = read_environment()
        self.site = self.environment["DEVCLUSTER_SITE"]
        self.cloud_netns = self.environment["DEVCLUSTER_CLOUD_NETNS"]
        self.edge_netns = self.environment["DEVCLUSTER_EDGE_NETNS"]
        self.kubectl = Kubectl(self.environment)

    def stop(self, part: str, *, signal: str) -> None:
        """Send a signal to the site's `provider` or `edge` and wait until the process is gone."""
        devcluster("stop", part, self.site, "--signal", signal)

    def start(self, part: str) -> None:
        """Start the site's `provider` or `edge` again."""
        devcluster("start", part, self.site)

    def restart_containerd(self) -> None:
        """Kill the site's containerd, and start it again once it is gone; an edge too if none is.

        Both get the configuration that the devcluster writes now.
        """
        process = psutil.Process(int(self.environment["DEVCLUSTER_CONTAINERD_PID"]))
        process.kill()
        process.wait(timeout=20)
        devcluster("up")
        self.environment = read_environment()

    def cut_link(self, *, how: str) -> None:
        """Cut the site's link: `down` the interface, or `drop` every packet silently."""
        devcluster("link", "cut", self.site, "--how", how)

    def heal_link(self) -> None:
        """Heal the site's link."""
        devcluster("link", "heal", self.site)

    def ctr(self, *args: str) -> str:
        """Ask containerd itself, in the namespace that holds Kubernetes' containers."""
        address = self.environment["DEVCLUSTER_CONTAINERD_ADDRESS"]
        done = subprocess.run(
            ["ctr", "--address", address, "--namespace", "k8s.io", *args],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def container_ids(self, namespace: str) -> set[str]:
        """Return the ids of all containers and sandboxes that containerd has of a namespace."""
        selector = f'labels."io.kubernetes.pod.namespace"=={namespace}'
        return set(self.ctr("containers", "ls", "-q", selector).split())

    def task_ids(self) -> set[str]:
        """Return the ids of all containers and sandboxes that have a process."""
        return set(self.ctr("tasks", "ls", "-q").split())

    def allocated_addresses(self) -> set[str]:
        """Return the pod addresses that the network plugin has given out and not taken back."""
        networks = Path(self.environment["DEVCLUSTER_SITE_ROOT"]) / "cni-addresses"
        return {path.name for path in networks.glob("*/*") if path.name[0].isdigit()}

    def node(self) -> Json:
        """Return the site's Node."""
        return self.kubectl.json("get", "node", self.site)

    def node_condition(self, kind: str) -> str:
        """Return the status of one of the Node's conditions, `Missing` if it is not there."""
        for condition in self.node()["status"]["conditions"]:
            if condition["type"] == kind:
                return str(condition["status"])
        return "Missing"


@contextlib.contextmanager
def edge_configured(
    cluster: Cluster,
    fields: Mapping[str, object],
    *,
    around: contextlib.AbstractContextManager[object] | None = None,
) -> Iterator[None]:
    """Run the site's edge with other fields in its configuration file while the block runs.

    Args:
        cluster: Whose first site.
        fields: What the file says besides.
        around: What is entered and left while no edge runs.
    """
    file = Path(cluster.environment["DEVCLUSTER_SITE_ROOT"], "edge.yaml")
    before = file.read_text()
    added = "".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items())
    cluster.stop("edge", signal="TERM")
    try:
        with around or contextlib.nullcontext():
            file.write_text(before + added)
            try:
                _start_edge(cluster)
                yield
            finally:
                cluster.stop("edge", signal="TERM")
    finally:
        file.write_text(before)
        _start_edge(cluster)


def _start_edge(cluster: Cluster) -> None:
    cluster.start("edge")
    # The Node may still be Ready from before: only the edge itself can answer.
    healthz = f"/api/v1/nodes/{cluster.site}/proxy/healthz"
    eventually(
        lambda: cluster.kubectl.run("get", "--raw", healthz).status == 0,
        what=f"the edge {cluster.site} answers",
        timeout_s=60,
    )


def devcluster(*args: str, timeout_s: float = 120) -> str:
    """Run `python -m devcluster` to the end and return what it printed.

    Raises:
        AssertionError: It ended with another status than 0.
    """
    done = subprocess.run(
        [*COMMAND, *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"devcluster {' '.join(args)}: {done.stdout}{done.stderr}"
    return done.stdout


def read_environment() -> dict[str, str]:
    """Return this process's environment with the devcluster's exports applied by a shell."""
    script = 'eval "$("$0" -m devcluster env)" && exec "$0" -c "$1"'
    dump = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, dump],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    decoded: dict[str, str] = json.loads(done.stdout)
    return decoded


def exists() -> bool:
    """Tell whether there is a devcluster in this checkout's folder, whole or not."""
    return load_state(default_root() / "state.json") is not None


def bring_up(*options: str) -> str:
    """Bring the devcluster up, or start what it lacks; progress goes to our own output.

    Args:
        options: Of `up`, such as ``--with-kubelet``.

    Returns:
        What went wrong, empty if nothing did.
    """
    return _run_aloud("up", *options)


def take_down() -> str:
    """Take the devcluster down; return what went wrong, empty if nothing did."""
    return _run_aloud("down")


def _run_aloud(verb: str, *options: str) -> str:
    started = time.monotonic()
    done = subprocess.run(
        [*COMMAND, verb, *options],
        cwd=ROOT,
        timeout=BRING_UP_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        check=False,
    )
    took_s = time.monotonic() - started
    if done.returncode == 0:
        return ""
    return f"devcluster {verb} ended with {done.returncode} after {took_s:.0f} s"
