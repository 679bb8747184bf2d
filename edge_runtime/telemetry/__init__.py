"""What the process tells of itself.

logging  structured lines on standard error
"""
