"""A registry of the test's own beside the site's containerd, behind a user name and a password.

It listens on loopback in the site's network namespace: containerd speaks plain HTTP to loopback
without being told to.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from devcluster.images import busybox_archive
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.cluster import Cluster

Json = dict[str, Any]

PORT = 5000
HOST = f"127.0.0.1:{PORT}"
USER, PASSWORD = "me", "right"
# bcrypt of PASSWORD, the only form that the registry takes.
_HTPASSWD = "me:$2b$04$cxumqU9e1StKgWcfOG/XN.dPD0.E6dJR85t7.5qgIxTGf2XPqV9vK\n"
_START_TIMEOUT_S = 20.0
_HEAD = """
import http.client, sys
host, path, token = sys.argv[1:]
kinds = ("oci.image.manifest.v1", "oci.image.index.v1", "docker.distribution.manifest.v2")
accept = ", ".join(f"application/vnd.{kind}+json" for kind in kinds)
connection = http.client.HTTPConnection(host, timeout=10)
connection.request("HEAD", path, headers={"Accept": accept, "Authorization": f"Basic {token}"})
answer = connection.getresponse()
print(answer.status, answer.headers.get("Docker-Content-Digest", ""))
"""
PROGRAM = "docker-registry"


class Registry:
    """A registry that runs."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._archive = folder / "image.tar"

    def push(self, name: str) -> str:
        """Put an image of its own under a name of the registry; return its full name.

        It is no other image's double: whoever pulls an image must show from then on that he may
        have it, under all its names, also under those of images that were always there.
        """
        image = f"{HOST}/{name}"
        self._archive.write_bytes(busybox_archive([image], labels={"pushed-as": name}))
        self._cluster.ctr("images", "import", "--no-unpack", str(self._archive))
        self._ctr_in_site("images", "push", "--plain-http", "--user", f"{USER}:{PASSWORD}", image)
        self.remove_local(image)
        return image

    def remove_local(self, image: str) -> None:
        """Take an image of that name away from the site."""
        self._cluster.ctr("images", "rm", "--sync", image)

    def digest(self, name: str) -> str:
        """Return the digest of what the registry has under ``repository:tag``."""
        repository, _, tag = name.partition(":")
        answer = _ask(self._cluster, f"/v2/{repository}/manifests/{tag}")
        assert answer.startswith("200 "), answer
        return answer.split()[1]

    def _ctr_in_site(self, *args: str) -> None:
        address = self._cluster.environment["DEVCLUSTER_CONTAINERD_ADDRESS"]
        ctr = ["ctr", "--address", address, "--namespace", "k8s.io", *args]
        done = subprocess.run(
            [*_in_site(self._cluster), *ctr],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def pull_secret(name: str, *, password: str = PASSWORD, host: str = HOST) -> Json:
    """Return a Secret with credentials for the registry."""
    config = {"auths": {host: {"username": USER, "password": password}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(json.dumps(config).encode()).decode()},
    }


@contextlib.contextmanager
def running_registry(cluster: Cluster, folder: Path) -> Iterator[Registry]:
    """Run a registry whose data is in a folder; it ends with the block."""
    (folder / "htpasswd").write_text(_HTPASSWD)
    config = folder / "config.yml"
    config.write_text(
        json.dumps(
            {
                "version": 0.1,
                "log": {"level": "warn"},
                "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
                "http": {"addr": HOST, "secret": "of no use to a single registry"},
                "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
            }
        )
    )
    program = shutil.which(PROGRAM)
    assert program is not None
    log = (folder / "registry.log").open("wb")
    with (
        log,
        subprocess.Popen(
            [*_in_site(cluster), program, "serve", str(config)], stdout=log, stderr=log
        ) as process,
    ):
        try:
            eventually(lambda: _answers(cluster), what="the registry", timeout_s=_START_TIMEOUT_S)
            yield Registry(cluster, folder)
        finally:
            process.terminate()


def _answers(cluster: Cluster) -> bool:
    return _ask(cluster, "/v2/").startswith("200")


def _ask(cluster: Cluster, path: str) -> str:
    """Ask the registry from within the site; return status and digest."""
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    done = subprocess.run(
        [*_in_site(cluster), sys.executable, "-c", _HEAD, HOST, path, token],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout


def _in_site(cluster: Cluster) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{cluster.edge_netns}"]
