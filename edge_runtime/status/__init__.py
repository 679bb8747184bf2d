"""The status of every pod as the edge knows it.

pod_start_times.py PodStartTimes: how long pods take until they run
status_manager.py  StatusManager: newest status and sequence by pod, on disk before it is told
"""
