"""Logs of containers, as the runtime writes them.

cri_log.py     the CRI log format: lines, partial lines, what of them was asked for; pure
log_file.py    one log file: opened safely, read in pieces, searched from its end
log_rotation.py  LogRotation: puts large log files aside, and drops the oldest
termination_message.py  what a container said last: its message, or the end of its log
log_reader.py  read_logs: a container's log as bytes, followed while it grows
"""
