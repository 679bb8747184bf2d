"""Service account tokens of the edge's pods: asked for, kept, renewed.

errors.py           TokenUnavailable
"""
