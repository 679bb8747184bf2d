"""A second provider of the site, as a rolling update has one, and where the edge's dials go."""

from __future__ import annotations

import http.client
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import yaml

from devcluster import joining, sites
from devcluster.cluster import Cluster as Devcluster
from devcluster.layout import EDGE_PORT, HEALTH_PORT, PROJECT_ROOT, SiteLayout
from devcluster.netns import inside
from devcluster.pki import key_pair
from devcluster.processes import in_netns, part_environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# No site of a test's cluster has this one: sites count from 11.
SECOND_HOST = 90


def site_layout(name: str) -> SiteLayout:
    """Return the layout of a site of this checkout's devcluster."""
    return Devcluster.require().site(name)


class Provider:
    """A provider process with an address of its own; not started yet."""

    def __init__(self, site: SiteLayout, folder: Path) -> None:
        self._site = site
        self.address = site.cluster.cloud_address(SECOND_HOST)
        self._config = folder / "provider.yaml"
        self._log = folder / "provider.log"
        config = sites.provider_config(site)
        for field in ("kubeletListenAddress", "edgeListenAddress", "healthListenAddress"):
            config[field] = self.address
        del config["nodeAddress"]
        self._config.write_text(yaml.safe_dump(config))
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run it until the block is left, with its address in the cloud."""
        cloud = self._site.cluster.cloud_netns
        address = f"{self.address}/24"
        run([*in_netns(cloud), "ip", "addr", "replace", address, "dev", "br0"])
        command = sites.provider_command(self._site)
        command[-1] = str(self._config)
        try:
            with (
                self._log.open("wb") as log,
                subprocess.Popen(
                    [*command, "--node-address", self.address],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=part_environment(sites.ENVIRONMENT),
                    cwd=PROJECT_ROOT,
                ) as process,
            ):
                try:
                    yield process
                finally:
                    process.kill()
        finally:
            run([*in_netns(cloud), "ip", "addr", "del", address, "dev", "br0"])

    def log(self) -> str:
        """Return what it logged so far."""
        return self._log.read_text()


def readiness(site: SiteLayout, address: str) -> tuple[int, str]:
    """Ask a provider's /readyz as a kubelet does.

    Raises:
        AssertionError: It does not answer.
    """

    def ask() -> tuple[int, str]:
        connection = http.client.HTTPConnection(address, HEALTH_PORT, timeout=5)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip()
        except OSError as exc:
            raise AssertionError(f"{address} does not answer: {exc}") from exc
        finally:
            connection.close()

    return inside(site.cluster.cloud_netns, ask)


def approve(site: SiteLayout, address: str) -> bool:
    """Approve the certificate of a kubelet port; True once it is shown."""
    authority = key_pair(site.cluster.pki, "ca")
    return joining.approve_kubelet_certificate(site, authority, address=address)


@contextmanager
def dials_go_to(site: SiteLayout, address: str) -> Iterator[None]:
    """Send new connections for the site's edge port elsewhere, as a Service does.

    Connections that there are stay where they are.
    """
    rule = ["PREROUTING", "-p", "tcp", "-d", site.provider_address, "--dport", str(EDGE_PORT)]
    target = ["-j", "DNAT", "--to-destination", f"{address}:{EDGE_PORT}"]
    iptables = [*in_netns(site.cluster.cloud_netns), "iptables", "-t", "nat"]
    run([*iptables, "-A", *rule, *target])
    try:
        yield
    finally:
        run([*iptables, "-D", *rule, *target])
