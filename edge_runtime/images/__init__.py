"""Images of containers.

image_name.py     references to images: what is one, and its default tag; pure
pull_policy.py    whether to pull, and how long to wait after a failure; pure
image_manager.py  ImageManager: make sure that a container's image is there
"""
