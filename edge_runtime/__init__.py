"""The edge runtime: a small kubelet that runs pods through CRI, reached through a tunnel."""
