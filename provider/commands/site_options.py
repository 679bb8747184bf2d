"""Which site a command is about and how its Secrets are reached: options, files, or the pod itself.

site         --site, else the configuration's, else that of the pod's namespace (edgelet-SITE)
namespace    --namespace, else the configuration's, else edgelet-SITE
API server   --kubeconfig, else the configuration's, else the pod's own service account
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provider.commands.failure import BadInput
from provider.config import ConfigError
from tunnel.errors import IdentityError
from tunnel.identity import SiteName, parse_site_name

if TYPE_CHECKING:
    from provider.config import Config

# Where a pod finds its own namespace; one site's provider lives in a namespace of its own.
POD_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NAMESPACE_PREFIX = "edgelet-"

SiteOption = Annotated[
    str | None,
    typer.Option("--site", metavar="NAME", help="The site; without it the configuration's."),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Take the options below from this provider's."
    ),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="The API server; in a pod not needed."),
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Of the site; else edgelet-SITE."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTarget:
    """The site that a command is about.

    Attributes:
        site: Its name.
        namespace: Where its Secrets are.
        kubeconfig: How to reach the API server; None inside a cluster.
    """

    site: SiteName
    namespace: str
    kubeconfig: Path | None


def site_target(
    *,
    site: str | None,
    config: Path | None,
    kubeconfig: Path | None,
    namespace: str | None,
    namespace_file: Path = POD_NAMESPACE_FILE,
) -> SiteTarget:
    """Put together what the options say; an option wins over the configuration.

    Raises:
        BadInput: The configuration cannot be used, or no site or a site of no valid name is given.
    """
    values = read_configuration(config) if config is not None else None
    name = site or (values.site_name if values else None) or _site_of_pod(namespace_file)
    if name is None:
        raise BadInput("which site? Give --site NAME or --config FILE")
    try:
        checked = parse_site_name(name)
    except IdentityError as exc:
        raise BadInput(str(exc)) from exc
    # Another site's namespace is no default for this one.
    configured = values if values is not None and values.site_name == name else None
    if kubeconfig is None and values is not None and values.kubeconfig is not None:
        kubeconfig = Path(values.kubeconfig)
    return SiteTarget(
        site=checked,
        namespace=namespace
        or (configured.site_namespace if configured else f"{NAMESPACE_PREFIX}{checked}"),
        kubeconfig=kubeconfig,
    )


def read_configuration(config: Path) -> Config:
    """Read and check the configuration file.

    Raises:
        BadInput: It cannot be used.
    """
    from provider.commands.config_file import read_config

    try:
        return read_config(config)
    except ConfigError as exc:
        raise BadInput(str(exc)) from exc


def _site_of_pod(namespace_file: Path) -> str | None:
    try:
        namespace = namespace_file.read_text(encoding="utf-8").strip()
    except OSError:
        return None  # no pod
    site = namespace.removeprefix(NAMESPACE_PREFIX)
    return site if site != namespace else None
