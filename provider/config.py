"""The provider's configuration file, as values.

Decoding is pure: the command line reads the file and hands over what YAML made of it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

import msgspec

from tunnel.errors import IdentityError
from tunnel.identity import SiteName, parse_site_name

# That of pyproject.toml, which is not there any more once edgelet is installed.
EDGELET_VERSION = "0.1.0"

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Duration = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,4}[smh]$")]
# Of a namespace: RFC 1123 §2.1.
Label = Annotated[str, msgspec.Meta(pattern="^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DNS_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.|$))+(?<!\.)")


class ConfigError(Exception):
    """The configuration is wrong; the message is one sentence and names the field."""


def _field_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Config(
    msgspec.Struct, frozen=True, kw_only=True, rename=_field_name, forbid_unknown_fields=True
):
    """Everything that can be configured; in the file the names are camelCase.

    Attributes:
        site_name: The one site that this process serves; also the Node's name.
        node_address: IP address that the Node publishes and the API server dials; a provider in a
            pod has it as ``--node-address``, and cannot run without.
        kubelet_port: TCP port of the kubelet API.
        kubelet_listen_address: Local IP address of it.
        edge_port: TCP port that the edge dials.
        edge_listen_address: Local IP address of it.
        health_port: TCP port of ``/healthz`` and ``/readyz``, plain HTTP; None for none.
        health_listen_address: Local IP address of it.
        kubeconfig: How to reach the API server; None inside a cluster.
        namespace: Where the site's Secrets are; None for ``edgelet-<site>``.
        edge_serving_names: DNS names or IP addresses that the edge port's certificate carries
            besides ``provider.<site>.edgelet.internal``.
        edge_certificate_lifetime: How long an edge's certificate is valid, as ``720h``.
        edge_certificate_recovery_grace: How long after its end the edge may still have a new one
            by proof of its old key.
        edge_serving_certificate_lifetime: How long the edge port's certificate is valid.
        session_resume_timeout: How long the calls of a site whose connection is cut wait for the
            next one, as ``120s`` or ``2m``; then they end with an error.
        register_with_taints: Whether the Node starts with the taint ``edgelet.dev/site``.
        patch_tolerations: Whether the provider itself gives the site's pods their unlimited
            tolerations; for clusters without MutatingAdmissionPolicy.
        kubelet_version: The version that the Node reports.
        log_level: How much is logged.
    """

    site_name: Text
    node_address: Text = ""
    kubelet_port: Port = 10250
    kubelet_listen_address: Text = "0.0.0.0"  # noqa: S104
    edge_port: Port = 10443
    edge_listen_address: Text = "0.0.0.0"  # noqa: S104
    health_port: Port | None = None
    health_listen_address: Text = "0.0.0.0"  # noqa: S104
    kubeconfig: Text | None = None
    namespace: Label | None = None
    edge_serving_names: tuple[Text, ...] = ()
    edge_certificate_lifetime: Duration = "720h"
    edge_certificate_recovery_grace: Duration = "2160h"
    edge_serving_certificate_lifetime: Duration = "2160h"
    session_resume_timeout: Duration = "120s"
    register_with_taints: bool = True
    patch_tolerations: bool = False
    kubelet_version: Text = "v1.36.3"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def site(self) -> SiteName:
        """The site's name, checked."""
        return parse_site_name(self.site_name)

    @property
    def site_namespace(self) -> str:
        """The namespace of the site's Secrets."""
        return self.namespace or f"edgelet-{self.site_name}"


def seconds(duration: str) -> float:
    """Turn a duration of the configuration into seconds."""
    return float(duration[:-1]) * _SECONDS[duration[-1]]


def with_node_address(config: Config, address: str | None) -> Config:
    """Return the configuration of a provider that is to run.

    Args:
        config: What the file says.
        address: What the command line says; it wins.

    Raises:
        ConfigError: Neither has an address, or it is none.
    """
    config = msgspec.structs.replace(config, node_address=address or config.node_address)
    if not config.node_address:
        raise ConfigError(
            "nodeAddress: missing, and there is no --node-address: what is the Node's?"
        )
    _check_values(config)
    return config


def parse_config(document: object) -> Config:
    """Turn what the file holds into a Config.

    Args:
        document: The decoded YAML.

    Raises:
        ConfigError: It is no mapping, a field is unknown, missing or of the wrong type, or a value
            cannot be.
    """
    if not isinstance(document, dict):
        raise ConfigError("the configuration must be a mapping of fields")
    try:
        config = msgspec.convert(document, Config)
    except msgspec.ValidationError as exc:
        raise ConfigError(_sentence(str(exc))) from exc
    _check_values(config)
    return config


def _check_values(config: Config) -> None:
    try:
        parse_site_name(config.site_name)
    except IdentityError as exc:
        raise ConfigError(f"siteName: {exc}") from exc
    addresses = ("node_address", "kubelet_listen_address", "edge_listen_address")
    for name in (*addresses, "health_listen_address"):
        if name == "node_address" and not config.node_address:
            continue
        try:
            ipaddress.ip_address(getattr(config, name))
        except ValueError as exc:
            raise ConfigError(
                f"{_field_name(name)}: {getattr(config, name)!r} is no IP address"
            ) from exc
    for name in config.edge_serving_names:
        if not _is_address(name) and not _DNS_NAME.fullmatch(name):
            raise ConfigError(f"edgeServingNames: {name!r} is neither a DNS name nor an IP address")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _sentence(message: str) -> str:
    """Turn msgspec's message, as "Expected `int`, got `str` - at `$.edgePort`", into ours."""
    what, _, where = message.partition(" - at `$.")
    what = what.replace("`", "")
    if where:
        return f"{where.rstrip('`')}: {what[0].lower()}{what[1:]}"
    # "Object contains unknown field `x`", "Object missing required field `x`"
    return what.removeprefix("Object ")
