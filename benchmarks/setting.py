"""What the measurements share: kubectl, the API server, the site's containerd."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import load_kube_config

from devcluster import environment
from devcluster.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from devcluster.layout import SiteLayout

Json = dict[str, Any]
NAMESPACE = "bench"
IN = ("--namespace", NAMESPACE)
KUBECTL_TIMEOUT_S = 180
WATCH_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A devcluster that is up, its first site, and the environment that kubectl needs."""

    site: SiteLayout
    variables: Mapping[str, str]

    @classmethod
    def of(cls, cluster: Cluster) -> Setting:
        """Return the setting of a cluster's first site."""
        site = cluster.sites[0]
        path = os.environ.get("PATH", os.defpath)
        values = environment.variables(cluster, site, path=path)
        return cls(site=site, variables={**os.environ, **values})

    @property
    def cri_endpoint(self) -> str:
        """The site's CRI socket."""
        return f"unix://{self.site.containerd_socket}"

    def process(self, part: str) -> psutil.Process:
        """Return a part's process of now: an edge may have been started again meanwhile.

        Args:
            part: ``provider``, ``edge`` or ``kubelet_cloud``.
        """
        cluster = Cluster.require()
        values = environment.variables(cluster, self.site, path=os.defpath)
        return psutil.Process(int(values[f"DEVCLUSTER_{part.upper()}_PID"]))

    def kubectl(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run kubectl and return its output.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        done = subprocess.run(
            ["kubectl", *args],
            input=stdin,
            stdout=subprocess.PIPE,
            env=dict(self.variables),
            timeout=KUBECTL_TIMEOUT_S,
            check=True,
        )
        return done.stdout

    def kubectl_s(self, *args: str) -> float:
        """Run kubectl and return how many seconds it took, from start to exit."""
        started = time.perf_counter()
        self.kubectl(*args)
        return time.perf_counter() - started

    def pod(self, name: str, *, node: str = "") -> Json:
        """Return a busybox pod, ready to be created, for a node or else the site."""
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": node or self.site.name},
                "tolerations": [{"operator": "Exists"}],
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "main",
                        "image": "docker.io/library/busybox:latest",
                        "imagePullPolicy": "IfNotPresent",
                        "command": [
                            "sh",
                            "-c",
                            "trap 'exit 0' TERM; while :; do sleep 9 & wait; done",
                        ],
                    }
                ],
            },
        }

    @asynccontextmanager
    async def api_session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a session with the API server as the administrator; a call has 60 s."""
        configuration = Configuration()
        await load_kube_config(
            config_file=self.variables["KUBECONFIG"], client_configuration=configuration
        )
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        assert configuration.cert_file is not None, "the administrator has a certificate"
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
        async with aiohttp.ClientSession(
            base_url=configuration.host,
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=WATCH_TIMEOUT_S),
        ) as session:
            yield session

    def create_namespace(self) -> None:
        """Make the benchmark's namespace anew; its service account is there afterwards."""
        self.delete_namespace()
        self.kubectl("create", "namespace", NAMESPACE)
        self.kubectl(*IN, "wait", "--for=create", "serviceaccount/default", "--timeout=30s")

    def delete_namespace(self) -> None:
        """Delete the benchmark's namespace and wait until its pods are gone."""
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")

    def start_shell_pod(self, name: str) -> Json:
        """Create a pod, wait until it is Ready, and return it as the API has it."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(self.pod(name)).encode())
        self.kubectl(*IN, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        found: Json = json.loads(self.kubectl(*IN, "get", "pod", name, "-o", "json"))
        return found


def devcluster(*args: str) -> None:
    """Run a command of the devcluster.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    subprocess.run([sys.executable, "-m", "devcluster", *args], timeout=60, check=True)
