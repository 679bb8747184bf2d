"""Pods of the site: desired state down, statuses up, and the deletion that only a node may finish.

desired_state    what the edge is told of a pod, and the revision that names it (pure)
edge_claims      what an edge may say of pods (pure)
status_patch     what to patch so that the API's status becomes the edge's (pure)
pod_controller   watches the node's pods and keeps the edge's desired state equal to the API's
edge_events      passes events of the edge on, where they are about what is its own
sync_session     what one session's edge has of pods, and what it is to be sent (pure)
sync_stream      the sync stream of one session, and the messages that wait for it
references       which objects a pod refers to (pure)
desired_objects  what the edge is told of objects and Services, and their revisions (pure)
object_watcher   keeps those objects and brings them to the edge
service_watcher  does the same with the Services of the pods' namespaces
token_request    which tokens an edge may have, and how they are asked for (pure)
service_tokens   asks for them
pod_dependencies these three, in one piece
status_writer    writes statuses and finishes deletions
tolerations      which tolerations let a pod stay while its site is away (pure)
toleration_patch patches them where no admission policy does
work_queue       keys that wait for a worker, each one worked at by one
"""
