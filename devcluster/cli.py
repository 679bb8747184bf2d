"""Commands and their help.

Exit status: 0 done, 1 a step failed, 2 the machine or the command line is not ready.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from devcluster import environment, networks, power, status
from devcluster.cluster import Cluster, locked
from devcluster.errors import DevclusterError
from devcluster.parts import Parts
from devcluster.progress import Progress
from devcluster.startup import UpOptions, start_edge, start_provider, up
from devcluster.teardown import down
from tunnel.errors import IdentityError
from tunnel.identity import SiteName, parse_site_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    _Command = Callable[[argparse.Namespace], int]
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - has no public name
# A draining provider gives its streams 10 s.
STOP_GRACE_S = 30.0
_STARTERS = {"provider": start_provider, "edge": start_edge}
_EXAMPLES = """examples:
  python -m devcluster up                         a control plane and one site, site-a
  python -m devcluster up --sites site-a,site-b   two sites with the same addresses behind NAT
  eval "$(python -m devcluster env)"              kubectl and KUBECONFIG for this shell
  kubectl get nodes
  python -m devcluster link cut site-a            the site is off the net; heal brings it back
  python -m devcluster stop edge site-a --signal KILL
  python -m devcluster start edge site-a
  python -m devcluster power off site-a           the machine loses its power: only files stay
  python -m devcluster power on site-a            containerd is up again; start edge is the rest
  python -m devcluster down                       nothing is left but .devcluster/logs

DEVCLUSTER_DIR is the cluster's folder, .devcluster at the project's root by default; each folder
is a cluster of its own. Where KUBEBUILDER_ASSETS is set, programs found there are used instead of
building ours.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        exit_status: int = arguments.command(arguments)
    except DevclusterError as exc:
        print(f"devcluster: {exc}", file=sys.stderr)
        return exc.exit_status
    except KeyboardInterrupt:
        print("devcluster: interrupted; run the same command again to go on", file=sys.stderr)
        return 128 + signal.SIGINT
    return exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m devcluster",
        description="A real Kubernetes control plane and edge sites behind NAT, on this machine.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_up(commands)
    _add(commands, "down", _down, "take everything down; only logs stay")
    _add(commands, "status", _status, "what runs; exit status 1 where a part is missing")
    env = _add(commands, "env", _env, 'shell exports: eval "$(python -m devcluster env)"')
    env.add_argument("--site", help="the site that DEVCLUSTER_SITE names (the first)")
    for name, command, text in (
        ("start", _start, "start a site's provider or edge"),
        ("stop", _stop, "end a site's provider or edge"),
    ):
        part = _add(commands, name, command, text)
        part.add_argument("part", choices=sorted(_STARTERS))
        part.add_argument("site")
        if name == "stop":
            part.add_argument("--signal", choices=("TERM", "KILL"), default="TERM")
    link = _add(commands, "link", _link, "cut or heal a site's link")
    link.add_argument("action", choices=("cut", "heal"))
    link.add_argument("site")
    link.add_argument(
        "--how",
        choices=[how.value for how in networks.Cut],
        default=networks.Cut.DROP.value,
        help="drop: packets vanish at the router; down: the edge loses its carrier (%(default)s)",
    )
    machine = _add(commands, "power", _power, "take a site's machine its power, or boot it again")
    machine.add_argument("action", choices=("off", "on"))
    machine.add_argument("site")
    demo = _add(commands, "demo", _demo, "show what edgelet does, on a cluster brought up for it")
    demo.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _add(commands: _Commands, name: str, command: _Command, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _add_up(commands: _Commands) -> None:
    parser = _add(commands, "up", _up, "bring everything up; what runs is kept")
    parser.add_argument(
        "--sites",
        type=_site_names,
        default=(),
        metavar="A,B",
        help="sites to have, besides those that are there (site-a)",
    )
    parser.add_argument(
        "--no-edgelet",
        action="store_true",
        help="control plane, networks and containerd only: no provider and no edge is started",
    )
    parser.add_argument(
        "--with-kubelet",
        action="store_true",
        help="run a real kubelet too, node cloud, for comparisons; best given at the first up",
    )
    parser.add_argument(
        "--with-metrics-server",
        action="store_true",
        help="run metrics-server too, for kubectl top and HorizontalPodAutoscalers",
    )
    parser.add_argument(
        "--install-packages",
        action="store_true",
        help="install missing packages with apt-get instead of naming them",
    )


def _site_names(text: str) -> tuple[SiteName, ...]:
    try:
        return tuple(parse_site_name(name) for name in text.split(","))
    except IdentityError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _up(arguments: argparse.Namespace) -> int:
    progress = Progress()
    options = UpOptions(
        sites=arguments.sites,
        edgelet=not arguments.no_edgelet,
        kubelet=arguments.with_kubelet,
        metrics_server=arguments.with_metrics_server,
        install_packages=arguments.install_packages,
    )
    up(options, progress)
    progress.note(f"up: {progress.summary()}")
    print('eval "$(python -m devcluster env)" puts kubectl and KUBECONFIG into a shell')
    return 0


def _down(_: argparse.Namespace) -> int:
    progress = Progress()
    there = down(progress)
    progress.note(f"down: {progress.summary()}" if there else "nothing to take down")
    return 0


def _status(_: argparse.Namespace) -> int:
    cluster = Cluster.require()
    print(status.table(cluster))
    return 0 if status.is_complete(cluster) else 1


def _env(arguments: argparse.Namespace) -> int:
    cluster = Cluster.require()
    site = cluster.site(arguments.site or cluster.state.sites[0])
    values = environment.variables(cluster, site, path=os.environ.get("PATH", os.defpath))
    print(environment.exports(values), end="")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    cluster = Cluster.require()
    with locked(cluster.layout.root):
        cluster = Cluster.require()
        _STARTERS[arguments.part](cluster.parts, cluster.site(arguments.site))
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    cluster = Cluster.require()
    with locked(cluster.layout.root):
        cluster = Cluster.require()
        name = Parts.of_machine(arguments.part, cluster.site(arguments.site))
        number = signal.Signals[f"SIG{arguments.signal}"]
        cluster.parts.stop([name], number=number, grace_s=STOP_GRACE_S)
    return 0


def _link(arguments: argparse.Namespace) -> int:
    site = Cluster.require().site(arguments.site)
    if arguments.action == "cut":
        networks.cut_link(site, networks.Cut(arguments.how))
    else:
        networks.heal_link(site)
    return 0


def _power(arguments: argparse.Namespace) -> int:
    cluster = Cluster.require()
    with locked(cluster.layout.root):
        cluster = Cluster.require()
        act = power.lose_power if arguments.action == "off" else power.boot
        act(cluster.parts, cluster.site(arguments.site))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    # Late, since it is the one command that needs more than a cluster.
    demo = importlib.import_module("devcluster.demo")
    shown: int = demo.main(arguments.rest)
    return shown
