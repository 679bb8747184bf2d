"""The edge runtime: a small kubelet that runs a site's pods through CRI, reached through a tunnel."""
