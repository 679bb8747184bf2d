"""Events about pods, as `kubectl describe` shows them.

correlation.py     EventCorrelation: which events are the same, which are too many
event_recorder.py  EventRecorder: the outbox, on disk until the API holds each event
reasons.py         names of the reasons
"""
