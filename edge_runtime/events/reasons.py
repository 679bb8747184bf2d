"""Reasons of pod events.

Source: kubernetes pkg/kubelet/events/event.go (1.36).
"""

from __future__ import annotations

NORMAL = "Normal"
WARNING = "Warning"

CREATED = "Created"
STARTED = "Started"
FAILED = "Failed"
KILLING = "Killing"
FAILED_POST_START_HOOK = "FailedPostStartHook"
DEADLINE_EXCEEDED = "DeadlineExceeded"
BACK_OFF = "BackOff"
PULLING = "Pulling"
PULLED = "Pulled"
ERR_IMAGE_NEVER_PULL = "ErrImageNeverPull"
INSPECT_FAILED = "InspectFailed"
FAILED_TO_RETRIEVE_IMAGE_PULL_SECRET = "FailedToRetrieveImagePullSecret"  # noqa: S105  # a reason
SANDBOX_CHANGED = "SandboxChanged"
FAILED_CREATE_POD_SANDBOX = "FailedCreatePodSandBox"
FAILED_CREATE_POD_CONTAINER = "FailedCreatePodContainer"
FAILED_MOUNT = "FailedMount"
FAILED_SYNC = "FailedSync"
FAILED_KILL_POD = "FailedKillPod"
EXCEEDED_GRACE_PERIOD = "ExceededGracePeriod"
FAILED_PRE_STOP_HOOK = "FailedPreStopHook"
LIFECYCLE_HTTP_FALLBACK = "LifecycleHTTPFallback"
UNHEALTHY = "Unhealthy"
PROBE_WARNING = "ProbeWarning"
NETWORK_NOT_READY = "NetworkNotReady"
DNS_CONFIG_FORMING = "DNSConfigForming"
MISSING_CLUSTER_DNS = "MissingClusterDNS"
EVICTED = "Evicted"
PREEMPTING = "Preempting"
RESIZE_STARTED = "ResizeStarted"
RESIZE_COMPLETED = "ResizeCompleted"
RESIZE_DEFERRED = "ResizeDeferred"
RESIZE_ERROR = "ResizeError"
# Ours: the machine's owner forbids what the pod asks for, so it ends without having run.
FORBIDDEN_BY_POLICY = "ForbiddenByEdgePolicy"
# Ours, of the Node: the machine lets nobody have a low score, so important pods are not spared.
OOM_SCORE_ADJ_FORBIDDEN = "OOMScoreAdjForbidden"
# Ours: the pod asks for what this edgelet cannot do yet, so it is not run at all.
UNSUPPORTED = "UnsupportedByEdgelet"
