"""Who may speak for the site: its CA, join tokens, certificates, and the Secrets that hold them.

site_trust            SiteTrust: all that the front doors know of trust
site_administration   SiteAdministration: what the commands of an operator change
secret_store          SecretStore: read, compare-and-swap and watch the site's Secrets
authority             the CA: make, rotate with an overlap, sign (pure)
authority_secret      the Secret that holds it, as values (pure)
serving_certificate   the edge port's server certificate (pure)
edge_tls              TLS contexts of the edge port, from memory
certificate_request   what a CSR may ask for (pure)
join_tokens           the join tokens, and which key used which (pure)
token_signature       a token's JWT: sign and check (pure)
issued_certificates   which certificate is accepted, and who may have a new one (pure)
recovery              proof of an expired certificate's key (pure)
kubelet_*             the kubelet port's serving certificate and client CA
errors                the errors
"""
