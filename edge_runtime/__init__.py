"""The edge runtime: a small kubelet that runs a site's pods through CRI (DESIGN §6 lists its folders)."""
