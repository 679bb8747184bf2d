"""Volumes: what pods mount, made ready, kept up to date and taken away.

volume_manager.py   VolumeManager: all volumes of a pod: mount, mounted, unmount
plugin.py           VolumePlugin: what every kind of volume offers
mount_table.py      P  what is mounted where, out of mountinfo
mount_syscalls.py   mount(2) and umount2(2)
path_resolution.py  openat2(2): paths that cannot lead out of a folder
tree_removal.py     removes what pods wrote, and nothing beside it
"""
