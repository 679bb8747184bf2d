"""Volumes: what pods mount, made ready, kept up to date and taken away.

volume_manager.py   VolumeManager: all volumes of a pod: mount, mounted, unmount
plugin.py           VolumePlugin: what every kind of volume offers
unsupported.py      UnsupportedPlugin: refuses every other kind
volume_plugins.py   all kinds, put together
config_map.py       ConfigMapPlugin: keys of a ConfigMap as files
secret.py           SecretPlugin: keys of a Secret as files in memory
downward_api.py     DownwardApiPlugin: what a pod is told of itself, as files
projected.py        ProjectedPlugin: several of these in one folder, and tokens
empty_dir.py        EmptyDirPlugin: scratch space, on disk or in memory
host_path.py        HostPathPlugin: files and folders of the machine
local_path.py       LocalPathPlugin: folders of the machine that are PersistentVolumes
mount_options.py    words of mountOptions as flags
nfs.py              NfsPlugin: folders of a server, by the machine's own mount program
persistent_claim.py PersistentClaimPlugin: what a claim is bound to, by the plugins above
persistent_source.py  SourceMounter: what those offer that mount what a claim is bound to
image_volume.py     ImageVolumePlugin: images that the runtime mounts
unsupported.py      UnsupportedPlugin: all other kinds, refused by name
referenced_objects.py  ConfigMaps and Secrets as the edge has them
payload.py          P  what the files of a volume hold
projected_files.py  a folder of such files, on disk or in memory
atomic_writer.py    replaces all files of a folder at once
ownership.py        gives a volume to a pod's fsGroup
mount_table.py      P  what is mounted where, out of mountinfo
mount_syscalls.py   mount(2) and umount2(2)
path_resolution.py  openat2(2): paths that cannot lead out of a folder
path_walk.py        the same before Linux 5.6
subpath.py          mounts a part of a volume, and nothing outside of it
tree_removal.py     removes what pods wrote, and nothing beside it
"""
