"""What an operator does about a site's trust: ``edgelet-provider token | site | ca``.

They change the site's Secrets; the running provider watches these and acts. What is heavy is
imported when a command needs it: ``--help`` is there at once.

token            token create, list, revoke
site             site show, revoke, replace
ca               ca show, rotate
site_options     which site, and how it is reached: options, configuration, pod
site_access      one action on a site's trust, with every failure as one sentence
config_file      the configuration file, from disk to values
output           how results are printed
durations        lengths of time as people write them
failure          how a command ends without success
"""
