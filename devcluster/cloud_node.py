"""A real kubelet in the cloud, node ``cloud``: what a site is compared with.

It has a machine of its own: a network namespace, a containerd of the same version, root folders and
a part of the cgroup tree. Two folders are compiled into a kubelet (the device plugins' and the one
of links to containers' logs); its private mount namespace puts folders of its own in their places.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import cgroups
from devcluster.layout import KUBELET_PORT, CloudNodeLayout
from devcluster.pki import KeyPair, Subject, ensure_certificate, key_pair
from devcluster.processes import in_netns

if TYPE_CHECKING:
    from devcluster.cluster_pki import ClusterPKI

TAINT = {"key": "devcluster.edgelet.dev/kubelet", "effect": "NoSchedule"}
# pkg/kubelet/kuberuntime/legacy.go, and DevicePluginPath of k8s.io/kubelet's deviceplugin API.
COMPILED_IN = (Path("/var/log/containers"), Path("/var/lib/kubelet"))
# Mounts made in the private namespace stay there, except below the machine's root folder, which is
# a shared mount: containerd has to see the kubelet's volumes.
_PRIVATE_FOLDERS = """
own=$1; shift
for folder in "$@"; do
  shift
  [ "$folder" = -- ] && break
  mount --make-private "$(stat -c %m "$folder")" && mount --bind "$own$folder" "$folder" || exit
done
exec "$@"
"""


def config(node: CloudNodeLayout, *, authority: KeyPair, serving: KeyPair) -> dict[str, object]:
    """Return the KubeletConfiguration: defaults, but for places, rights and this machine's lacks.

    Args:
        node: Whose.
        authority: Signed the API server's client certificate.
        serving: The kubelet's own; the API server verifies it.
    """
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": KUBELET_PORT,
        "authentication": {"x509": {"clientCAFile": str(authority.certificate_file)}},
        "tlsCertFile": str(serving.certificate_file),
        "tlsPrivateKeyFile": str(serving.key_file),
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "podLogsDir": str(node.root / "log/pods"),
        "volumePluginDir": str(node.root / "kubelet/volume-plugins"),
        "cgroupRoot": node.cgroup_root,
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        # Root without CAP_SYS_RESOURCE may not lower its own score.
        "oomScoreAdj": 0,
        "failSwapOn": False,
        # The machine's rules are its own affair.
        "makeIPTablesUtilChains": False,
        "registerWithTaints": [TAINT],
    }


def prepare(node: CloudNodeLayout, pki: ClusterPKI) -> None:
    """Write the configuration and make the folders and cgroups that a kubelet expects."""
    for folder in ("kubelet", "log/pods", *(f"own{place}" for place in COMPILED_IN)):
        (node.root / folder).mkdir(parents=True, exist_ok=True)
    for place in COMPILED_IN:
        place.mkdir(parents=True, exist_ok=True)
    cgroups.make(node.cgroup_root)
    serving = ensure_certificate(
        key_pair(node.cluster.pki, "kubelet-serving"),
        Subject(common_name=f"system:node:{node.name}", addresses=(node.address,), server=True),
        issuer=pki.authority,
    )
    document = config(node, authority=pki.authority, serving=serving)
    _config_file(node).write_text(json.dumps(document, indent=2) + "\n")


def command(node: CloudNodeLayout) -> list[str]:
    """Return the kubelet's command line, in the machine's namespace."""
    places = map(str, COMPILED_IN)
    private = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _PRIVATE_FOLDERS]
    return [
        *in_netns(node.netns),
        *private,
        "kubelet",
        f"{node.root}/own",
        *places,
        "--",
        str(node.cluster.bin / "kubelet"),
        f"--config={_config_file(node)}",
        f"--kubeconfig={node.cluster.kubeconfigs / 'kubelet'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={node.root / 'kubelet'}",
        f"--cert-dir={node.root / 'kubelet/pki'}",
    ]


def _config_file(node: CloudNodeLayout) -> Path:
    return node.root / "kubelet.json"
