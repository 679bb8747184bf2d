"""The site's page: how link, pods and certificates do, for a person and for a script.

status_page    StatusPage: answers /edgelet/ and /edgelet/status.json, and looks at the link
pod_usage      PodUsage: what pods use, asked of the edge when somebody looks
link_history   LinkHistory: the link over the last hours (pure)
site_view      SiteView: all that the page shows, as a value (pure)
html_page      the page (pure)
chart          the link's picture in it (pure)
amounts        quantities and times as people read them (pure)
"""
