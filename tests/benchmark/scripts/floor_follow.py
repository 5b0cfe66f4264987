"""After the barest hand-over: make the old primary a standby. Arguments: its own name, and that of the new primary.

What it leaves is what our own rejoin leaves, so that the next hand-over of the pair, by whichever of the two, finds the
same. It is not part of what is measured.
"""

import sys
from pathlib import Path

sys.path.insert(0, "/tmp/relevo-floor")

from ansible_collections.relevo.postgres.plugins.module_utils._names import slot_name
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server, primary_conninfo
from ansible_collections.relevo.postgres.plugins.module_utils._wait import wait_until

own, primary = sys.argv[1:]
server = Server()
# The archiver may go on after the last WAL was written.
wait_until(lambda: server.postmaster_pid() is None, "the old primary's processes to end", 90, interval=0.02)
server.write_replication_conf(primary_conninfo(Peer(primary, primary), own), slot_name(own))
server.become_standby_at_next_start()
Path("/etc/service/postgresql/supervise/control").write_text("u")
server.wait_ready(60, standby=True)
