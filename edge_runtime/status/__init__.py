"""The status of every pod as the edge knows it.

status_manager.py  StatusManager: newest status and sequence by pod, on disk before it is told
"""
