"""A cluster's coming: every step is skipped where its result is there already."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import (
    binaries,
    cloud_node,
    containerd,
    images,
    joining,
    metrics_api,
    mounts,
    networks,
    servers,
    service_accounts,
    sites,
)
from devcluster.api import APIServer
from devcluster.cluster import Cluster, locked
from devcluster.cluster_pki import ClusterPKI, ensure_cluster_pki
from devcluster.errors import DevclusterError, Unprepared
from devcluster.kubeconfig import write_client_kubeconfig
from devcluster.layout import (
    CLOUD_NODE,
    EDGE_PORT,
    ETCD_PORT,
    KUBELET_PORT,
    MAX_SITES,
    MachineLayout,
    SiteLayout,
    default_root,
)
from devcluster.parts import Parts
from devcluster.requirements import require_packages, require_rights
from devcluster.sites import kubectl
from devcluster.state import State, load_state
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from devcluster.progress import Progress

DEFAULT_SITE = SiteName("site-a")
API_TIMEOUT_S = 120.0
SERVER_TIMEOUT_S = 60.0
NODE_TIMEOUT_S = 60.0
METRICS_TIMEOUT_S = 60.0
# Folders that programs of the cluster make and never remove, parents first.
_SIDE_EFFECTS = (
    "/run/netns",
    "/run/containerd",
    "/run/containerd/s",
    "/run/containerd/fifo",
    "/run/containerd/runc",
    "/run/containerd/runc/k8s.io",
    "/var/lib/cni",
    "/var/lib/cni/results",
    "/var/lib/cni/cache",
    *map(str, cloud_node.COMPILED_IN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `up` is asked for.

    Attributes:
        sites: Sites to have besides those that are there; empty for those, or one.
        edgelet: Start providers and edges too.
        kubelet: Have a real kubelet in the cloud too, as node ``cloud``.
        metrics_server: Have metrics-server too.
        install_packages: Install missing packages instead of naming them.
    """

    sites: tuple[SiteName, ...] = ()
    edgelet: bool = True
    kubelet: bool = False
    metrics_server: bool = False
    install_packages: bool = False


def up(options: UpOptions, progress: Progress) -> Cluster:
    """Bring a cluster up; what runs is kept, what died is started again.

    Raises:
        Unprepared: The machine lacks something; the text says what to run.
        DevclusterError: A step failed.
    """
    require_rights()
    require_packages(install=options.install_packages)
    root = default_root()
    with locked(root):
        state = load_state(root / "state.json")
        if state is None:
            # The logs that are there are those of the cluster before.
            shutil.rmtree(root / "logs", ignore_errors=True)
            missing = [folder for folder in _SIDE_EFFECTS if not Path(folder).exists()]
            state = State(network=networks.free_network(), created_folders=missing)
        _add_sites(state, options.sites)
        state.edgelet = options.edgelet
        state.kubelet = state.kubelet or options.kubelet
        state.metrics_server = state.metrics_server or options.metrics_server
        cluster = Cluster(root, state)
        cluster.parts.save()
        _Startup(cluster, progress).run()
    return cluster


def _add_sites(state: State, wanted: tuple[SiteName, ...]) -> None:
    if CLOUD_NODE in wanted:
        raise Unprepared(f"a site cannot be called {CLOUD_NODE}: that is the kubelet's node")
    for name in wanted or (() if state.sites else (DEFAULT_SITE,)):
        if name not in state.sites:
            state.sites.append(name)
    if len(state.sites) > MAX_SITES:
        raise Unprepared(
            f"{len(state.sites)} sites are too many: a cluster has at most {MAX_SITES}"
        )


class _Startup:
    """The steps of one `up`, in the order of `run`."""

    def __init__(self, cluster: Cluster, progress: Progress) -> None:
        self._cluster = cluster
        self._layout = cluster.layout
        self._sites = cluster.sites
        self._parts = cluster.parts
        self._progress = progress

    def run(self) -> None:
        """Take every step that is needed."""
        step = self._progress.step
        programs = [binaries.ETCD, binaries.CONTROL_PLANE, binaries.KUBECTL]
        programs += [binaries.KUBELET] if self._cluster.state.kubelet else []
        programs += [binaries.METRICS_SERVER] if self._cluster.state.metrics_server else []
        binaries.provide(programs, links=self._layout.bin, progress=self._progress)
        with step("certificates"):
            pki = ensure_cluster_pki(self._layout)
            self._write_kubeconfigs(pki)
        with step("networks"):
            networks.open_cloud(self._layout)
            for site in self._sites:
                networks.open_site(site)
            if self._cluster.state.kubelet:
                networks.open_cloud_node(self._layout.cloud_node)
        admin = pki.clients["admin"]
        api = APIServer(self._layout, authority=pki.authority, admin=admin)
        with step("etcd"):
            self._start_etcd()
        # The API server takes seconds to be ready; the sites' containerds come up meanwhile.
        command = servers.kube_apiserver(self._layout, pki, kubelet=self._cluster.state.kubelet)
        self._parts.start("kube-apiserver", command)
        with step("containerd and images"):
            self._start_containerds()
        with step("API server"):
            self._parts.wait_ready("kube-apiserver", api.is_ready, timeout_s=API_TIMEOUT_S)
        with step("controller manager and scheduler"):
            self._start_controllers(pki, api)
        if self._cluster.state.kubelet:
            with step("kubelet"):
                self._start_kubelet(pki, api)
        if self._cluster.state.edgelet:
            with step("providers and edges"):
                self._start_edgelet(pki, api)
            with step("nodes Ready"):
                self._wait_nodes(api)
        if self._cluster.state.metrics_server:
            with step("metrics-server"):
                self._start_metrics_server(pki, api)

    def _write_kubeconfigs(self, pki: ClusterPKI) -> None:
        for name, client in pki.clients.items():
            folder = self._layout.kubeconfigs
            file = self._layout.kubeconfig if name == "admin" else folder / name
            write_client_kubeconfig(
                file, server=self._layout.server, authority=pki.authority, client=client
            )

    def _start_etcd(self) -> None:
        process = self._parts.start("etcd", servers.etcd(self._layout))
        self._parts.wait_ready(
            "etcd", lambda: servers.listens(process, ETCD_PORT), timeout_s=SERVER_TIMEOUT_S
        )

    def _start_containerds(self) -> None:
        archives = images.make_images(self._layout.images)
        machines = self._cluster.machines
        for machine in machines:
            machine.root.mkdir(parents=True, exist_ok=True)
            mounts.share(machine.root)
            name = Parts.of_machine("containerd", machine)
            if self._parts.running(name) is None:
                config_file = containerd.write_config(machine)
                self._parts.start(name, containerd.command(machine, config_file))
        for machine in machines:
            name = Parts.of_machine("containerd", machine)
            ready = functools.partial(containerd.answers, machine)
            self._parts.wait_ready(name, ready, timeout_s=SERVER_TIMEOUT_S)
            containerd.import_images(machine, archives)

    def _start_controllers(self, pki: ClusterPKI, api: APIServer) -> None:
        manager = self._parts.start(
            "kube-controller-manager", servers.kube_controller_manager(self._layout, pki)
        )
        scheduler = self._parts.start("kube-scheduler", servers.kube_scheduler(self._layout))
        for name, process, port in (
            ("kube-controller-manager", manager, servers.CONTROLLER_MANAGER_PORT),
            ("kube-scheduler", scheduler, servers.SCHEDULER_PORT),
        ):
            self._parts.wait_ready(
                name, functools.partial(servers.listens, process, port), timeout_s=SERVER_TIMEOUT_S
            )
        # Without it the first pod of a fresh cluster is refused.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._parts.wait_ready(
            "kube-controller-manager",
            lambda: api.get(account) is not None,
            timeout_s=SERVER_TIMEOUT_S,
        )
        sites.allow_api_server(self._layout)

    def _start_kubelet(self, pki: ClusterPKI, api: APIServer) -> None:
        node = self._layout.cloud_node
        name = Parts.of_machine("kubelet", node)
        if self._parts.running(name) is None:
            cloud_node.prepare(node, pki)
            self._parts.start(name, cloud_node.command(node))
        self._parts.wait_ready(
            name, functools.partial(node_is_ready, api, node), timeout_s=NODE_TIMEOUT_S
        )

    def _start_metrics_server(self, pki: ClusterPKI, api: APIServer) -> None:
        cluster, name = self._layout, metrics_api.NAME
        if self._parts.running(name) is None:
            kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(metrics_api.objects(cluster)))
            service_accounts.write_credentials(
                cluster,
                api,
                namespace=metrics_api.NAMESPACE,
                account=name,
                authority=pki.authority,
                kubeconfig=metrics_api.kubeconfig(cluster),
            )
            self._parts.start(name, metrics_api.command(cluster, pki))
        self._parts.wait_ready(
            name, functools.partial(serves, api, metrics_api.API), timeout_s=METRICS_TIMEOUT_S
        )

    def _start_edgelet(self, pki: ClusterPKI, api: APIServer) -> None:
        sites.apply_manifests(self._layout, self._sites)
        for site in self._sites:
            if self._parts.running(Parts.of_machine("provider", site)) is None:
                sites.write_provider_credentials(self._layout, site, api, pki)
            sites.write_configs(site)
            start_provider(self._parts, site)
        for site in self._sites:
            joining.join(site)
            start_edge(self._parts, site)
        for site in self._sites:
            self._parts.wait_ready(
                Parts.of_machine("provider", site),
                functools.partial(joining.approve_kubelet_certificate, site, pki.authority),
                timeout_s=SERVER_TIMEOUT_S,
            )

    def _wait_nodes(self, api: APIServer) -> None:
        for site in self._sites:
            edge = Parts.of_machine("edge", site)
            self._parts.wait_ready(
                edge, functools.partial(node_is_ready, api, site), timeout_s=NODE_TIMEOUT_S
            )


def start_provider(parts: Parts, site: SiteLayout) -> None:
    """Start a site's provider and wait until it listens on both ports."""
    name = Parts.of_machine("provider", site)
    process = parts.start(name, sites.provider_command(site), environment=sites.ENVIRONMENT)
    parts.wait_ready(
        name,
        lambda: all(servers.listens(process, port) for port in (KUBELET_PORT, EDGE_PORT)),
        timeout_s=SERVER_TIMEOUT_S,
    )


def start_edge(parts: Parts, site: SiteLayout) -> None:
    """Start a site's edge runtime."""
    name = Parts.of_machine("edge", site)
    parts.start(name, sites.edge_command(site), environment=sites.ENVIRONMENT)


def serves(api: APIServer, path: str) -> bool:
    """Tell whether the API server answers for a path that another program serves."""
    try:
        return api.get(path) is not None
    except DevclusterError:
        return False  # registered, and not yet reached


def node_is_ready(api: APIServer, machine: MachineLayout) -> bool:
    """Tell whether the machine's Node says that it is Ready."""
    node = api.get(f"/api/v1/nodes/{machine.name}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
