"""Volumes: what pods mount, made ready, kept up to date and taken away.

plugin.py           VolumePlugin: what every kind of volume offers
"""
