"""What the edge must not forget: one SQLite file, one thread that writes it.

database.py         Database: the file, its lock, the writer thread, commits shared by many
schema.py           tables, as migrations
aes_gcm.py          AES-256-GCM by Python's own OpenSSL
sealing.py          Sealer: encrypts values, each bound to its row
sealing_key.py      where the key is: in a file, or with the TPM
sealed_rows.py      seals what is not, under the present key, at each start
token_store.py      TokenStore: service account tokens, sealed
errors.py           StoreError tree
pod_store.py        PodStore: desired pods, and tombstones of those that are gone
object_store.py     ObjectStore: what pods refer to, such as Secrets
service_store.py    ServiceStore: the Services of namespaces, for environments
pull_record_store.py PullRecordStore: whose credentials opened which image
status_store.py     StatusStore: the newest status of each pod and its sequence
local_pod_state.py  LocalPodState: restart counts and back-offs
allocation_store.py AllocationStore: which pods were admitted, and with which resources
node_store.py       NodeStore: the edge's own Node as the cloud last told it
changes.py          ChangeFeed: tells readers what was persisted, the latest only
event_store.py      EventStore: events that the API does not hold yet
"""
