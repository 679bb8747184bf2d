"""Images of containers.

image_name.py         references to images: what is one, its default tag, its repository; pure
pull_policy.py        whether to pull, and how long to wait after a failure; pure
keyring.py            credentials of pull secrets, and which ones fit an image; pure
pull_secrets.py       PullSecrets: the pull secrets of a pod
pull_verification.py  whether a pod may use an image that is there; pure
image_pull_manager.py ImagePullManager: whose credentials opened which image
image_puller.py       ImagePuller: pull with the credentials that fit, a few at a time
image_manager.py      ImageManager: make sure that a container's image is there
image_eviction.py     which images may go, and in which order; pure
image_gc.py           ImageGC: remove unused images before the disk is full
image_settings.py     ImageSettings: how images are handled on this machine
"""
