"""The part of the demo about configuration and volumes: live, and back after a reboot."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devcluster.layout import SiteLayout
    from devcluster.stage import Stage

EXEC = "kubectl -n demo exec configured --"


def show_configuration(stage: Stage, site: SiteLayout) -> None:
    """Show what a pod is told, a change that it sees, and that its Secret is sealed on disk."""
    stage.section("ConfigMaps, Secrets and tokens")
    stage.show("kubectl -n demo wait --for=condition=Ready pod/configured --timeout=30s")
    stage.show(f"{EXEC} sh -c 'echo $GREETING from $NODE'", expects=[f"hello from {site.name}"])
    stage.show(f"{EXEC} sh -c 'cd /etc/word && cat word && stat -f -c %T .'", expects=["tmpfs"])
    stage.show(
        f"{EXEC} ls /var/run/secrets/kubernetes.io/serviceaccount",
        expects=["ca.crt", "namespace", "token"],
    )
    stage.show(
        "kubectl -n demo patch configmap greeting --type=merge "
        """--patch='{"data":{"text":"good morning"}}'"""
    )
    stage.eventually(f"{EXEC} cat /etc/greeting/text", expects="good morning", timeout_s=15)
    stage.show(
        f"grep -c 'open sesame' $DEVCLUSTER_DIR/sites/{site.name}/edgelet/edgelet.db*",
        fails=True,
        expects=["edgelet.db:0"],
    )


def show_reboot(stage: Stage, site: SiteLayout) -> None:
    """Show a machine that loses its power while the cloud is away, and has all its pods again."""
    stage.section("A power cut while the cloud is away")
    selector = "'labels.\"io.kubernetes.container.name\"==configured'"
    ctr = "ctr --address $DEVCLUSTER_CONTAINERD_ADDRESS --namespace k8s.io"
    stage.show(f"{EXEC} sh -c 'echo kept > /scratch/said'")
    stage.show(f"python -m devcluster link cut {site.name}")
    stage.show(f"python -m devcluster power off {site.name}")
    stage.show(f"python -m devcluster power on {site.name}; {ctr} tasks ls")
    stage.show(f"python -m devcluster start edge {site.name}")
    stage.eventually(
        f'{ctr} tasks ls -q | grep -c -F "$({ctr} containers ls -q {selector})"',
        expects="1",
        timeout_s=30,
    )
    stage.show(f"python -m devcluster link heal {site.name}")
    stage.eventually(f"{EXEC} cat /etc/greeting/text", expects="good morning", timeout_s=20)
    stage.show(f"{EXEC} cat /scratch/said /etc/word/word", expects=["kept", "open sesame"])
