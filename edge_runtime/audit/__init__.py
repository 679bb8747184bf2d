"""Who called into a pod, from where, what for, and how it ended: on this machine's own disk.

audit_record  AuditRecord: one line of the log (pure)
audit_log     AuditLog: the file, its bounds, and what becomes of lines that it does not take
"""
