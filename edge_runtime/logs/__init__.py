"""Logs of containers, as the runtime writes them.

cri_log.py     the CRI log format: lines, partial lines, what of them was asked for; pure
log_time.py    times as a log has them; pure
since_filter.py  SinceFilter: which lines are of a time or later; pure
descriptor.py  log files and their folders: opened safely, closed when nobody uses them
log_file.py    one log file: read in pieces, searched from its end and by time
compressed_log.py  one that rotation compressed, read as if it were not
log_folder.py  LogFolder: what rotation left of a log, in order
log_chain.py   LogChain: the files of one log that are still to be read
log_change.py  what inotify tells of a log's folder; pure
log_watch.py   LogWatch: waits until a log changes
log_reader.py  read_logs: a container's log as bytes, followed while it grows
log_rotation.py  LogRotation: puts large logs aside before they grow without end
log_files.py   the files of one log: put aside, compressed, dropped
node_log_folder.py  NodeLogFolder: the machine's own log folder
journal.py     Journal: the machine's journal, as journalctl prints it
termination_message.py  what a container said last: its message, or the end of its log
"""
