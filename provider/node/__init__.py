"""The site's Node: what the cluster sees of the machine, and whether it answers.

node_object      what the Node should be, and the patches that make it so (pure)
edge_claims      what an edge may say of its machine (pure)
quantity         quantities as numbers (pure)
node_controller  keeps the Node like that
node_lease       renews the Lease while the edge answers
link             what this package needs to know of the link to the edge
"""
