"""What the provider tells about itself.

logging     one line per event on stderr
"""
