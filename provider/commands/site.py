"""``edgelet-provider site``: the machine that speaks for the site, and how to be rid of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from provider.commands.output import Output, moment, remark, show_fields, show_json
from provider.commands.site_access import SiteAccess, on_site
from provider.commands.site_options import (
    ConfigOption,
    KubeconfigOption,
    NamespaceOption,
    SiteOption,
    site_target,
)
from provider.commands.token import (
    ServerOption,
    TokenOutput,
    TokenOutputOption,
    TtlOption,
    check_server,
    parse_ttl_s,
    show_token,
    token_state,
)
from provider.kube.timestamps import utc_now

if TYPE_CHECKING:
    from provider.trust.issued_certificates import CertificateRecord, IssuedCertificates
    from provider.trust.join_tokens import TokenRecord
    from provider.trust.site_administration import NewToken, Revocation

app = typer.Typer(
    name="site", help="Show, revoke or replace the machine that speaks for the site.",
    no_args_is_help=True,
)  # fmt: skip


@app.command("show")
def show(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Text or JSON.")] = Output.TEXT,
) -> None:
    """Show the site's certificates, and which tokens could still be used.

    Example: edgelet-provider site show --site site-a
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)

    async def action(access: SiteAccess) -> tuple[IssuedCertificates, list[TokenRecord]]:
        return await access.trust.certificates(), await access.trust.list_tokens()

    certificates, tokens = on_site(target, action)
    now = utc_now()
    valid = [record.id for record in tokens if token_state(record, now) == "valid"]
    if output is Output.JSON:
        show_json({"site": target.site, **_json(certificates), "validTokens": valid})
        return
    show_fields(
        [
            ("Site", target.site),
            *_certificate_fields(certificates),
            ("Revoked", str(len(certificates.revoked))),
            ("Valid tokens", ", ".join(valid) or "none"),
        ]
    )


@app.command("revoke")
def revoke(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Revoke the site's certificates.

    Its connection is closed at once and taken no more until a machine joins with a new token. Its
    pods run on: from here nobody can stop a machine that is not to be trusted.

    Example: edgelet-provider site revoke --site site-a
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)

    async def action(access: SiteAccess) -> Revocation:
        return await access.trust.revoke_site(by=await access.caller())

    _tell(target.site, on_site(target, action))


@app.command("replace")
def replace(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    ttl: TtlOption = "24h",
    server: ServerOption = None,
    output: TokenOutputOption = TokenOutput.TEXT,
) -> None:
    """Revoke the site's certificates, and print a token for another machine.

    Example: edgelet-provider site replace --site site-a

    Example: edgelet-provider site replace --site a -o command --server edge.test:443
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)
    ttl_s = parse_ttl_s(ttl)
    check_server(server, output)

    async def action(access: SiteAccess) -> tuple[Revocation, NewToken]:
        return await access.trust.replace_site(by=await access.caller(), ttl_s=ttl_s)

    revocation, new = on_site(target, action)
    _tell(target.site, revocation)
    show_token(target, new, output=output, server=server)


def _tell(site: str, revocation: Revocation) -> None:
    if revocation.serials:
        remark(f"revoked of {site}: certificate {', '.join(revocation.serials)}")
    else:
        remark(f"{site} has no certificate that was not revoked before")
    if revocation.token_ids:
        remark(f"revoked with it: token {', '.join(revocation.token_ids)}")


def _certificate_fields(certificates: IssuedCertificates) -> list[tuple[str, str]]:
    if certificates.current is None:
        last = certificates.revoked[-1] if certificates.revoked else None
        state = (
            f"none: revoked at {moment(last.revoked_at)} by {last.revoked_by}"
            if last
            else "none: no machine has joined"
        )
        return [("Certificate", state)]
    fields = [("Certificate", _describe(certificates.current))]
    if certificates.previous is not None:
        fields.append(("Predecessor", f"{_describe(certificates.previous)}, until that is used"))
    return fields


def _describe(record: CertificateRecord) -> str:
    return (
        f"{record.serial}, by {record.proof} at {moment(record.issued_at)}, "
        f"valid until {moment(record.not_after)}"
    )


def _json(certificates: IssuedCertificates) -> dict[str, Any]:
    return {
        "current": _record_json(certificates.current),
        "previous": _record_json(certificates.previous),
        "revoked": [
            {
                "serial": one.serial,
                "keyHash": one.key_hash,
                "revokedAt": moment(one.revoked_at),
                "revokedBy": one.revoked_by,
            }
            for one in certificates.revoked
        ],
    }


def _record_json(record: CertificateRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "serial": record.serial,
        "keyHash": record.key_hash,
        "notBefore": moment(record.not_before),
        "notAfter": moment(record.not_after),
        "proof": record.proof,
        "issuedAt": moment(record.issued_at),
        "certificate": record.certificate,
    }
