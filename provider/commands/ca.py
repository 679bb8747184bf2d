"""``edgelet-provider ca``: the site's certificate authority."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from provider.commands.durations import parse_duration_s
from provider.commands.failure import BadInput
from provider.commands.output import Output, moment, remark, show_fields, show_json
from provider.commands.site_access import SiteAccess, on_site
from provider.commands.site_options import (
    ConfigOption,
    KubeconfigOption,
    NamespaceOption,
    SiteOption,
    read_configuration,
    site_target,
)
from provider.commands.token import token_state
from provider.config import seconds
from provider.kube.timestamps import utc_now
from provider.trust.settings import DEFAULT_CERTIFICATE_LIFETIME_S, DEFAULT_RECOVERY_GRACE_S

if TYPE_CHECKING:
    from pathlib import Path

    from provider.trust.site_administration import AuthorityView, Rotation

app = typer.Typer(
    name="ca", help="Show or rotate the site's certificate authority.", no_args_is_help=True
)


class AuthorityOutput(enum.StrEnum):
    """The form in which the CA is printed."""

    TEXT = "text"
    JSON = "json"
    PEM = "pem"


@app.command("show")
def show(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    output: Annotated[
        AuthorityOutput, typer.Option("--output", "-o", help="Text, JSON or the certificates.")
    ] = AuthorityOutput.TEXT,
) -> None:
    """Show the site's CA. Its hash is the first part of every join token.

    Example: edgelet-provider ca show --site site-a

    Example: edgelet-provider ca show --site site-a --output pem
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)

    async def action(access: SiteAccess) -> AuthorityView:
        return await access.trust.authority()

    authority = on_site(target, action)
    match output:
        case AuthorityOutput.PEM:
            typer.echo(authority.certificate_pem + authority.previous_pem, nl=False)
        case AuthorityOutput.JSON:
            show_json(
                {
                    "site": target.site,
                    "caPin": authority.ca_pin,
                    "notAfter": moment(authority.not_after),
                    "certificate": authority.certificate_pem,
                    "previousCertificate": authority.previous_pem or None,
                    "overlapUntil": moment(authority.overlap_until),
                }
            )
        case AuthorityOutput.TEXT:
            overlap = moment(authority.overlap_until)
            show_fields(
                [
                    ("Site", target.site),
                    ("CA (SHA-256)", authority.ca_pin),
                    ("Valid until", str(moment(authority.not_after))),
                    ("Predecessor", f"trusted until {overlap}" if overlap else "none"),
                ]
            )


@app.command("rotate")
def rotate(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    certificate_lifetime: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="The provider's edgeCertificateLifetime, if not 30d."),
    ] = None,
    recovery_grace: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="The provider's edgeCertificateRecoveryGrace, if not 90d."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Although join tokens become void.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Although an earlier rotation's overlap lasts: see above."),
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="Text or JSON.")] = Output.TEXT,
) -> None:
    """Make a new CA.

    The old one is trusted until all that it signed has expired beyond recovery. Edges learn the
    new one when they renew; until then they trust it through the old one. Join tokens name the CA
    that they were made for: those that were not used become void.

    A second rotation while the first one's overlap lasts needs --force: an edge that was away
    since before the first one trusts neither and has to join again.

    Example: edgelet-provider ca rotate --site site-a --yes
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)
    lifetime_s, grace_s = _configured_s(config, certificate_lifetime, recovery_grace)

    async def action(access: SiteAccess) -> Rotation:
        now = utc_now()
        records = await access.trust.list_tokens()
        outstanding = [record.id for record in records if token_state(record, now) == "valid"]
        if outstanding and not yes:
            raise BadInput(
                f"rotating the CA makes {_tokens(outstanding)} of {target.site} void; "
                "say so with --yes"
            )
        return await access.trust.rotate_authority(
            certificate_lifetime_s=lifetime_s, recovery_grace_s=grace_s, force=force
        )

    _tell(target.site, on_site(target, action), output)


def _tell(site: str, rotation: Rotation, output: Output) -> None:
    if output is Output.JSON:
        show_json(
            {
                "site": site,
                "caPin": rotation.ca_pin,
                "overlapUntil": moment(rotation.overlap_until),
                "voidedTokens": list(rotation.voided_token_ids),
            }
        )
        return
    show_fields(
        [
            ("Site", site),
            ("CA (SHA-256)", rotation.ca_pin),
            ("Predecessor", f"trusted until {moment(rotation.overlap_until)}"),
        ]
    )
    if rotation.voided_token_ids:
        remark(f"void from now on: {_tokens(rotation.voided_token_ids)}")


def _tokens(ids: list[str] | tuple[str, ...]) -> str:
    return f"join token{'s' if len(ids) > 1 else ''} {', '.join(ids)}"


def _configured_s(
    config: Path | None, lifetime: str | None, grace: str | None
) -> tuple[float, float]:
    """Return certificate lifetime and recovery grace: option, else configuration, else default.

    Raises:
        BadInput: An option is no length of time, or the configuration cannot be used.
    """
    lifetime_s, grace_s = DEFAULT_CERTIFICATE_LIFETIME_S, DEFAULT_RECOVERY_GRACE_S
    if config is not None:
        values = read_configuration(config)
        lifetime_s = seconds(values.edge_certificate_lifetime)
        grace_s = seconds(values.edge_certificate_recovery_grace)
    if lifetime is not None:
        lifetime_s = parse_duration_s(lifetime, option="--certificate-lifetime")
    if grace is not None:
        grace_s = parse_duration_s(grace, option="--recovery-grace")
    return lifetime_s, grace_s
