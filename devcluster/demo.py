"""What `make demo` shows: a machine that the cloud cannot dial, used like any other node.

Each command stands above its output and can be run again by hand after
`eval "$(python -m devcluster env)"`. What a command has to give is checked, so that the demo's exit
status says whether all of it was seen.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import environment
from devcluster.cluster_pki import API_SERVER_CLIENT_NAME
from devcluster.demo_volumes import show_configuration, show_reboot
from devcluster.layout import EDGE_ADDRESS, EDGE_PORT, KUBELET_PORT, SiteLayout
from devcluster.pki import Subject, ensure_authority, ensure_certificate, key_pair
from devcluster.progress import Progress
from devcluster.stage import Stage
from devcluster.startup import UpOptions, up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devcluster.cluster import Cluster

EXAMPLES = "manifests/examples"
MB = 1_000_000
SHORT_CUT_S = 12.0
TUNNEL_CONDITION = (
    'jsonpath=\'{.status.conditions[?(@.type=="EdgeletTunnelReady")].status}{"\\n"}\''
)


def main(argv: Sequence[str] | None = None) -> int:
    """Bring a cluster up, show everything, and return 0 only if all was as it should be."""
    parser = argparse.ArgumentParser(prog="python -m devcluster demo", description=__doc__)
    parser.add_argument(
        "--cut-s",
        type=float,
        default=SHORT_CUT_S,
        help="seconds that the link is cut for; from about 55 on the cluster itself sees it "
        "(%(default)s)",
    )
    arguments = parser.parse_args(argv)
    progress = Progress()
    cluster = up(UpOptions(), progress)
    progress.note(f"up: {progress.summary()}")
    site = cluster.sites[0]
    stage = Stage(_environment(cluster, site))
    _apply_examples(stage)
    _show_node(stage, site)
    _show_deployment(stage)
    _show_logs(stage)
    _show_exec(stage)
    _show_terminal(stage)
    _show_other_streams(stage)
    show_configuration(stage, site)
    _show_joining(stage, site)
    _show_isolation(stage, site)
    _show_refusals(stage, site)
    _show_survival(stage, site, cut_s=arguments.cut_s)
    show_reboot(stage, site)
    _show_nothing_left(stage)
    return _summarize(stage)


def _environment(cluster: Cluster, site: SiteLayout) -> dict[str, str]:
    """Return the shell's environment; `python` is the one that runs this."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, **environment.variables(cluster, site, path=path)}


def _summarize(stage: Stage) -> int:
    stage.section("Not in the demo")
    print("make test    all of the above as tests, with a cut of 90 s, and the unit tests")
    print("make check   format, lint, types, import contracts")
    print("make bench   figures beside their baselines")
    print("make down    takes the cluster down; until then: kubectl -n demo get pods")
    stage.section("Summary")
    for failure in stage.failures:
        print(f"FAILED: {failure}")
    print(f"{stage.shown - len(stage.failures)} of {stage.shown} commands gave what they should")
    return 1 if stage.failures else 0


def _apply_examples(stage: Stage) -> None:
    stage.section("Four examples")
    stage.show("kubectl delete namespace demo --ignore-not-found --timeout=60s", timeout_s=75)
    stage.show("kubectl create namespace demo")
    stage.eventually("kubectl -n demo get serviceaccount default", expects="default", timeout_s=20)
    stage.show(f"kubectl -n demo apply -f {EXAMPLES}/", expects=["deployment.apps/web created"])


def _show_node(stage: Stage, site: SiteLayout) -> None:
    stage.section("The machine is a Node")
    stage.show("kubectl get nodes", expects=[site.name, "Ready", "agent,edge"])
    stage.show(
        f"kubectl describe node {site.name}",
        expects=["KubeletReady", f"edgelet.dev/site={site.name}:NoSchedule", "containerd://"],
    )


def _show_deployment(stage: Stage) -> None:
    stage.section("A Deployment runs on it")
    stage.show(
        "kubectl -n demo rollout status deployment/web --timeout=60s",
        expects=["successfully rolled out"],
        timeout_s=75,
    )
    stage.show("kubectl -n demo get deployment web", expects=["3/3"])
    stage.show("kubectl -n demo wait --for=condition=Ready pod/talker pod/echo --timeout=30s")
    stage.show("kubectl -n demo get pods -o wide", expects=["Running"])


def _show_logs(stage: Stage) -> None:
    stage.section("kubectl logs")
    stage.eventually("kubectl -n demo logs talker", expects="line 4", timeout_s=20)
    stage.show("kubectl -n demo logs talker --tail=3", expects=["line"])
    stage.show("kubectl -n demo logs talker --since=2s --timestamps", expects=["Z line"])
    stage.show("kubectl -n demo logs talker -f --tail=1 | head -n 3", expects=["line"])
    stage.show("kubectl -n demo exec talker -- kill -USR1 1; true")
    stage.eventually(
        "kubectl -n demo get pod talker --no-headers", expects="Running   1", timeout_s=20
    )
    stage.show("kubectl -n demo logs talker --previous --tail=2", expects=["crashing"])
    stage.show("kubectl -n demo logs nobody", expects=['"nobody" not found'], fails=True)
    stage.show("kubectl -n demo logs talker -c nothing", expects=["nothing"], fails=True)


def _show_exec(stage: Stage) -> None:
    stage.section("kubectl exec")
    stage.show("kubectl -n demo exec talker -- sh -c 'exit 3'", fails=True, expects=["code 3"])
    stage.show("kubectl -n demo exec talker -- sh -c 'echo out; echo err >&2' 2>/dev/null")
    with tempfile.TemporaryDirectory() as scratch:
        blob = f"{scratch}/blob"
        made = stage.show(f"head -c {20 * MB} /dev/urandom > {blob}; sha256sum < {blob}")
        stage.show(
            f"kubectl -n demo exec -i talker -- sha256sum < {blob}", expects=[made.split()[0]]
        )
    made = stage.show(
        "kubectl -n demo exec talker -- sh -c "
        f"'head -c {100 * MB} /dev/urandom > /tmp/blob; sha256sum < /tmp/blob'"
    )
    stage.show(
        "time kubectl -n demo exec talker -- cat /tmp/blob | sha256sum", expects=made.split()[:1]
    )


def _show_terminal(stage: Stage) -> None:
    stage.section("kubectl exec -it, under a real pseudo-terminal")
    stage.type_into(
        ["kubectl", "-n", "demo", "exec", "-it", "talker", "--", "sh"],
        prompt="# ",
        typed=[
            ("stty size", "24 80"),
            ("resize 40 100", ""),
            ("sleep 1; stty size", "40 100"),
            ("exit", "exit"),
        ],
    )


def _show_other_streams(stage: Stage) -> None:
    stage.section("kubectl attach, cp, port-forward")
    stage.show(
        "printf 'one\\ntwo\\nquit\\n' | kubectl -n demo attach -i echo",
        expects=["got one", "got quit"],
    )
    with tempfile.TemporaryDirectory() as scratch:
        stage.show("kubectl cp README.md demo/talker:/tmp/README.md")
        stage.show(
            f"kubectl cp demo/talker:/tmp/README.md {scratch}/copy && cmp README.md {scratch}/copy "
            "&& echo the same",
            expects=["the same"],
        )
    stage.show(
        "coproc kubectl -n demo port-forward deployment/web :8080; read -ru ${COPROC[0]} line; "
        'echo "$line"; port=${line#*127.0.0.1:}; '
        'busybox wget -qO- "http://127.0.0.1:${port%% *}/"; kill $COPROC_PID',
        expects=["Forwarding from", "hello from the edge"],
    )


def _show_joining(stage: Stage, site: SiteLayout) -> None:
    stage.section("The machine joined with a token, and no second one does")
    provider = "nsenter --net=/run/netns/$DEVCLUSTER_CLOUD_NETNS python -m provider"
    config = f"--config $DEVCLUSTER_DIR/sites/{site.name}/provider.yaml"
    stage.show(f"{provider} site show {config}", expects=["by join"])
    with tempfile.TemporaryDirectory() as scratch:
        another = f"{scratch}/another-machine.yaml"
        Path(another).write_text(f"rootDirectory: {scratch}/edgelet\n")
        stage.show(
            f"{provider} token create --ttl 1m {config} | "
            "nsenter --net=/run/netns/$DEVCLUSTER_EDGE_NETNS "
            f"python -m edge_runtime join --config {another} "
            f"--server {site.provider_address}:{EDGE_PORT} --token-file -",
            fails=True,
            expects=["the site has a machine"],
        )
    stage.show(f"{provider} token list {config}", expects=["0 of 1"])


def _show_isolation(stage: Stage, site: SiteLayout) -> None:
    stage.section("The cloud cannot dial the machine")
    cloud = "nsenter --net=/run/netns/$DEVCLUSTER_CLOUD_NETNS"
    edge = "nsenter --net=/run/netns/$DEVCLUSTER_EDGE_NETNS"
    stage.show(f"{edge} ss -ltn", expects=["127.0.0.1"])
    for address in (EDGE_ADDRESS, site.router_address):
        stage.show(
            f"for port in 22 80 443 {KUBELET_PORT} {EDGE_PORT}; do {cloud} timeout 0.5 bash -c "
            f'"exec 3<>/dev/tcp/{address}/$port" 2>/dev/null && echo $port is open; '
            f"done; echo {address}: that is all",
            expects=[f"{address}: that is all"],
        )
    stage.show(f"{edge} ss -tn state established dst {site.provider_address}", expects=[":"])


def _show_refusals(stage: Stage, site: SiteLayout) -> None:
    stage.section("Nobody else is let in")
    knock = "python -m devcluster.knock"
    kubelet = f"{knock} https://{site.provider_address}:{KUBELET_PORT}/pods"
    tunnel = f"{knock} https://{site.provider_address}:{EDGE_PORT}/tunnel"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        other = ensure_authority(key_pair(folder, "other-ca"), "another CA")
        subject = Subject(common_name=API_SERVER_CLIENT_NAME, client=True)
        pair = ensure_certificate(key_pair(folder, "other"), subject, issuer=other)
        shown = f"{pair.certificate_file} {pair.key_file}"
        stage.show(kubelet, fails=True, expects=["401 Unauthorized"])
        stage.show(f"{kubelet} {shown}", fails=True, expects=["refused"])
        stage.show(tunnel, fails=True, expects=["refused"])
        stage.show(f"{tunnel} {shown}", fails=True, expects=["refused"])


def _show_survival(stage: Stage, site: SiteLayout, *, cut_s: float) -> None:
    stage.section("Pods outlive the edge process, the provider and the link")
    pods = (
        "kubectl -n demo get pods -l app=web --no-headers -o custom-columns="
        "'N:.metadata.name,C:.status.containerStatuses[0].containerID,"
        "R:.status.containerStatuses[0].restartCount'"
    )
    before = stage.show(pods)
    for part, number in (("edge", "KILL"), ("provider", "TERM")):
        stop = f"python -m devcluster stop {part} {site.name} --signal {number}"
        if part == "edge":
            # As systemd would: until an edge is back its silence may be a cut that heals.
            stop = f"{stop}; python -m devcluster start {part} {site.name}"
        stage.show(
            f"(sleep 1; {stop}) & kubectl -n demo exec talker -- sleep 60; "
            'status=$?; wait; echo "kubectl ended with $status"; exit $status',
            fails=True,
            expects=["rror"],
        )
        stage.show(f"python -m devcluster start {part} {site.name}")
        stage.eventually(
            "kubectl -n demo exec talker -- echo works again", expects="works again", timeout_s=20
        )
    _show_cut(stage, site, cut_s=cut_s)
    stage.show(pods, expects=[line for line in before.splitlines() if line])


def _show_cut(stage: Stage, site: SiteLayout, *, cut_s: float) -> None:
    stage.show(f"python -m devcluster link cut {site.name}")
    cut_at = time.monotonic()
    stage.eventually(
        f"kubectl get node {site.name} -o {TUNNEL_CONDITION}", expects="False", timeout_s=30
    )
    stage.show(
        "kubectl -n demo exec talker -- true", fails=True, expects=[f"{site.name} is offline since"]
    )
    while time.monotonic() - cut_at < cut_s:
        time.sleep(0.2)
    stage.show("kubectl get nodes; kubectl -n demo get pods,endpointslices")
    stage.show(f"python -m devcluster link heal {site.name}")
    stage.eventually(
        "kubectl -n demo exec talker -- echo works again", expects="works again", timeout_s=20
    )
    stage.eventually("kubectl get nodes", expects=" Ready", timeout_s=10)
    stage.eventually("kubectl -n demo get deployment web", expects="3/3", timeout_s=10)


def _show_nothing_left(stage: Stage) -> None:
    stage.section("Scaled to none, nothing is left in containerd")
    stage.show("kubectl -n demo scale deployment/web --replicas=0")
    stage.show("kubectl -n demo wait --for=delete pod -l app=web --timeout=30s")
    selector = "'labels.\"app\"==web'"
    left = stage.show(
        "ctr --address $DEVCLUSTER_CONTAINERD_ADDRESS --namespace k8s.io containers ls -q "
        f"{selector} | wc -l"
    )
    if left.strip() != "0":
        stage.failures.append("containers of scaled-down pods are left")
