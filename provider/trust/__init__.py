"""Who may speak for the site: its CA, join tokens, certificates, and the Secrets that hold them.

site_trust            SiteTrust: all that the front doors know of trust
site_administration   SiteAdministration: what the commands of an operator change
settings              TrustSettings, Report
secret_store          SecretStore: read, compare-and-swap and watch the site's Secrets
authority_store       the CA in its Secret, made by whoever comes first
edge_credentials      EdgeCredentials: the CA in memory, the edge port's TLS context
accepted_certificates AcceptedCertificates: who may open a tunnel, from memory
certificate_issuer    CertificateIssuer: a certificate for a token, a predecessor or an old key
authority             the CA: make, rotate with an overlap, sign (pure)
authority_secret      the Secret that holds it, as values (pure)
serving_certificate   the edge port's server certificate (pure)
certificate_request   what a CSR may ask for (pure)
presented_certificate a certificate as it was shown, and proof of its key (pure)
secret_document       SecretDocument: a field of a Secret that holds JSON (pure)
issued_certificates   which certificates there are, and which is accepted (pure)
certificate_grants    who may have a new one (pure)
join_tokens           the join tokens, and which key used which (pure)
join_request          what a token's JWT is worth here (pure)
token_signature       a token's JWT: sign and check (pure)
kubelet_serving       KubeletServing: the kubelet port's serving certificate
kubelet_request       the request for it at the cluster
kubelet_certificate   what it must be (pure)
kubelet_client_ca     who signs the certificates of the cluster's clients
kubelet_tls           the kubelet port's TLS context
errors                the errors
"""
