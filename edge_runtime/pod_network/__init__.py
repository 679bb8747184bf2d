"""Names and addresses as a pod's containers see them; pure.

dns_config.py       a pod's resolv.conf
pod_hostname.py     a pod's host name and domain
hosts_file.py       contents of a pod's /etc/hosts
"""
