"""What the provider tells about itself.

logging          one line per event on stderr
metrics          ProviderMetrics: what is counted, for Prometheus
sync_traffic     SyncTraffic: what the sync stream costs, by type of message
site_figures     SiteFigures: how the site does, read when somebody collects
plain_text       text of others, without what speaks to terminals (pure)
lasting_problem  LastingProblem: what is tried again and again is said once
"""
