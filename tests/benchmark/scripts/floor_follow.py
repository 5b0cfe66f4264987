"""After the barest hand-over: make the old primary a standby. Arguments: its own name, and that of the new primary.

What it leaves is what our own rejoin leaves, so that the next hand-over of the pair, by whichever of the two, finds the
same. It is not part of what is measured.
"""

import sys
from pathlib import Path

sys.path.insert(0, "/etc/relevo/lib")

from relevo._address import Node
from relevo._names import slot_name
from relevo._server import Server, primary_conninfo
from relevo._wait import wait_until

own, primary = sys.argv[1:]
server = Server()
# The archiver may go on after the last WAL was written.
wait_until(lambda: server.postmaster_pid() is None, "the old primary's processes to end", 90, interval=0.02)
server.write_replication_conf(primary_conninfo(Node(primary, primary), own), slot_name(own))
server.become_standby_at_next_start()
Path("/etc/service/postgresql/supervise/control").write_text("u")
server.wait_ready(60, standby=True)
