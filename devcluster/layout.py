"""Names, addresses and paths of one cluster: all that is derived and nothing that is done.

One folder holds a cluster; a hash of its path goes into every name outside of it (network
namespaces, cgroups, the run folder, the host's veth), so that clusters of several checkouts live
on one machine. Inside a namespace, names and addresses are the same for every cluster and every
site.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from tunnel.identity import SiteName

PROJECT_ROOT = Path(__file__).resolve().parent.parent

EDGE_ADDRESS = "192.168.77.2"
EDGE_ROUTER_ADDRESS = "192.168.77.1"
EDGE_NETWORK_BITS = 24
SERVICE_NETWORK = "10.97.0.0/16"
KUBERNETES_SERVICE_ADDRESS = "10.97.0.1"
API_PORT = 6443
ETCD_PORT = 2379
KUBELET_PORT = 10250
EDGE_PORT = 10443
HEALTH_PORT = 10248
METRICS_PORT = 4443
MAX_SITES = 80
CLOUD_NODE = SiteName("cloud")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineLayout:
    """Names, addresses and paths of one machine with a containerd: a site's, or a kubelet's.

    Attributes:
        cluster: Whose machine it is.
        name: Also the Node's name.
        index: Gives its pods a range of their own.
    """

    cluster: ClusterLayout
    name: SiteName
    index: int

    @property
    def netns(self) -> str:
        """The machine's network namespace."""
        return f"{self.cluster.prefix}-{self.name}"

    @property
    def pod_network(self) -> str:
        """Addresses of its pods, /24."""
        return f"10.88.{self.index}.0/24"

    @property
    def root(self) -> Path:
        """The machine's root folder, a shared mount while the cluster is up."""
        return self.cluster.root / "sites" / self.name

    @property
    def run(self) -> Path:
        """Sockets and containerd's volatile state.

        A short path, since sun_path holds 108 bytes (unix(7)) and a site name up to 63 of them.
        """
        return self.cluster.run / self.name

    @property
    def containerd_socket(self) -> Path:
        """CRI and containerd API of the machine."""
        return self.run / "containerd.sock"

    @property
    def cgroup_root(self) -> str:
        """Parent of every pod's cgroup, as a path below each hierarchy's mount."""
        return f"/{self.netns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLayout(MachineLayout):
    """An edge site; `index` counts them from 1, in the order they were added."""

    @property
    def edge_netns(self) -> str:
        """Network namespace of the machine behind NAT."""
        return self.netns

    @property
    def nat_netns(self) -> str:
        """Network namespace of the router in front of it."""
        return f"{self.netns}-nat"

    @property
    def provider_address(self) -> str:
        """The site's provider in the cloud: what the Node publishes."""
        return self.cluster.cloud_address(10 + self.index)

    @property
    def router_address(self) -> str:
        """Outer address of the site's NAT router, all that the cloud sees of the site."""
        return self.cluster.cloud_address(100 + self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudNodeLayout(MachineLayout):
    """The machine of a real kubelet, in the cloud's network, to compare sites with.

    No site can have a dot in its name, so that none can have this machine's names.
    """

    @property
    def netns(self) -> str:
        """The machine's network namespace."""
        return f"{self.cluster.prefix}.node"

    @property
    def root(self) -> Path:
        """The machine's root folder, a shared mount while the cluster is up."""
        return self.cluster.root / "cloud-node"

    @property
    def run(self) -> Path:
        """Sockets and containerd's volatile state."""
        return self.cluster.run / "cloud.node"

    @property
    def address(self) -> str:
        """The machine in the cloud's network: what the Node publishes."""
        return self.cluster.cloud_address(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLayout:
    """Names, addresses and paths of a cluster.

    Attributes:
        root: The cluster's folder, absolute.
        network: First three parts of the cloud's /24, such as ``10.98.0``.
    """

    root: Path
    network: str

    @property
    def prefix(self) -> str:
        """Start of every name outside of the folder; 14 characters."""
        return f"edgelet-{self.identity}"

    @property
    def identity(self) -> str:
        """Six hexadecimal digits that tell this folder from others."""
        return hashlib.blake2b(os.fsencode(self.root), digest_size=3).hexdigest()

    @property
    def run(self) -> Path:
        """Sockets and volatile state of all sites."""
        return Path("/run") / self.prefix

    @property
    def cloud_netns(self) -> str:
        """Network namespace of the control plane and the providers."""
        return f"{self.prefix}-cloud"

    @property
    def host_link(self) -> str:
        """The host's end of the veth into the cloud (names have at most 15 characters)."""
        return f"edgelet{self.identity}"

    def cloud_address(self, host: int) -> str:
        """Return an address of the cloud's network."""
        return f"{self.network}.{host}"

    @property
    def host_address(self) -> str:
        """The host in the cloud's network."""
        return self.cloud_address(1)

    @property
    def api_address(self) -> str:
        """API server, etcd and the other servers of the control plane."""
        return self.cloud_address(2)

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.api_address}:{API_PORT}"

    @property
    def pki(self) -> Path:
        """Keys and certificates of the cluster."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.root / "logs"

    @property
    def bin(self) -> Path:
        """Links to the programs in use."""
        return self.root / "bin"

    @property
    def images(self) -> Path:
        """OCI archives."""
        return self.root / "images"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def kubeconfigs(self) -> Path:
        """Kubeconfigs of the servers."""
        return self.root / "kubeconfigs"

    @property
    def state_file(self) -> Path:
        """What runs."""
        return self.root / "state.json"

    @property
    def cloud_node(self) -> CloudNodeLayout:
        """The machine of the real kubelet, whether there is one or not."""
        return CloudNodeLayout(cluster=self, name=CLOUD_NODE, index=0)

    def site(self, name: SiteName, *, index: int) -> SiteLayout:
        """Return the layout of one site."""
        return SiteLayout(cluster=self, name=name, index=index)


def default_root() -> Path:
    """Return the cluster's folder: ``DEVCLUSTER_DIR``, else the project's ``.devcluster``."""
    return Path(os.environ.get("DEVCLUSTER_DIR") or PROJECT_ROOT / ".devcluster").absolute()
