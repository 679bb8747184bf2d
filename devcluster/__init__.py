"""A real Kubernetes control plane and edge sites behind NAT, on one machine, as plain processes.

cli          commands and their help
cluster      one cluster: its layout, its state, its lock
startup      up: every step skipped where its result is there already
teardown     down: nothing stays but logs
power        a site's machine loses its power, and boots again
status       what runs, for people
parts        the processes of a cluster by name
errors       what can go wrong
environment  what a shell needs to use the cluster
binaries     Go programs (control plane, kubectl, etcd, kubelet), built once and cached
requirements rights and packages of the machine
layout       names, addresses and paths of one cluster
state        what runs, on disk
processes    start, recognise and end processes that outlive the command
progress     what the user sees of a long step
netns        do something inside a network namespace
networks     network namespaces, NAT routers, cutting and healing a site's link
mounts       the shared mount of a machine's root, and what is left mounted below it
cgroups      control groups of pods, made, found and removed
pki          keys and certificates
cluster_pki  which of them a cluster has
kubeconfig   kubeconfig files
api          JSON calls to the API server
servers      command lines of etcd and the control plane
containerd   a machine's own containerd
images       OCI images made from what the machine has
sites        a site's provider and edge: configuration, rights, commands
metrics_api  metrics-server, registered as the metrics API
service_accounts  credentials of ServiceAccounts
cloud_node   a real kubelet beside the sites, to compare them with
joining      how a site's edge and its provider get their certificates
knock        ask a TLS port for a path and say how it answers
stage        show commands and their output
terminal     a command under a pseudo-terminal
demo         what `make demo` shows
demo_volumes its part about configuration, volumes and a reboot
"""
