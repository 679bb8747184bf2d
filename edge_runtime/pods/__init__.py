"""A small kubelet: desired pods in, sandboxes, containers and statuses out.

pod_manager.py      PodManager: desired pods, persisted, handed to the workers; what is gone
pod_work.py         PodWork: where one pod stands between sync and gone, pure
pod_workers.py      PodWorkers: one worker per UID, the newest update wins, failures stay alone
pod_worker.py       PodWorker: where one pod stands and what is remembered of it
pod_steps.py        PodSteps: one step with one pod: synced, stopped, cleared away
pod_sync.py         PodSync: makes one pod's sandbox and containers as desired
sync_times.py       when a pod is synced again, and how long it may be active, pure
pod_resize.py       PodResizer: gives running containers what is newly allocated
pod_evictions.py    PodEvictions: the pods that eviction may end, and how
pod_launch.py       PodLauncher: starts sandbox and containers, one after the other
sync_memory.py      SyncMemory: what a worker remembers between syncs
status_updater.py   StatusUpdater: computes statuses and keeps them
pod_sandbox.py      SandboxMaker: configuration, folders, cgroup and network of a sandbox
sandbox_isolation.py SandboxIsolation: runtime handler and own users of a pod
user_namespaces.py  UserNamespaces: ranges of ids, one to a pod
object_keys.py      which objects a pod's variables and volumes are made of, pure
pod_wakes.py        PodWakes: pods are looked at again once such an object changed
environment.py      a container's environment out of what it refers to, pure
service_variables.py variables that tell where Services are, pure
container_environment.py ContainerEnvironment: waits for what that is made of
container_start.py  ContainerStarter: create, start and postStart hook of one container
container_configuration.py ContainerConfiguration: what the runtime is asked for of it
pod_termination.py  PodTermination: stops a pod, and removes all that is left of it
container_removal.py ContainerRemover: kills and removes what of a pod is not to go on
container_reset.py  ContainerResetter: takes all containers away so that a pod starts anew
container_stop.py   ContainerStopper: preStop hook, turn and stop signal of one container
restored_pod.py     a pod whose object is gone, as far as its containers tell, pure
hooks.py            Hooks: what pods ask of the lifecycle hooks of their containers
lifecycle_hooks.py  LifecycleHooks: commands, HTTP requests and pauses around a container's life
pod_files.py        log folders and log links of pods
pod_settings.py     PodSettings: what of machine and configuration decides how pods run
interruption.py     unless: give up a call when something more urgent came up
probers.py          Probers: what pods ask of the probes of their containers
pod_events.py       texts of events, as a kubelet words them
pod_volumes.py      PodVolumes: no container starts before its pod's volumes are ready
container_mounts.py ContainerMounts: what a container mounts of its pod's volumes
pod_mounts.py       PodMounts: files that the edge itself mounts into containers
deferred_cleaning.py DeferredCleaning: clears away what died while no pod starts
orphans.py          what the runtime has of pods that nobody wants
"""
