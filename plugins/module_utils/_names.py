# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that several parts must agree on: paths on a node, roles, the database of our own, the hand-over lock."""

from __future__ import annotations

from pathlib import Path

PGDATA = Path("/var/lib/postgresql/17/main")
PG_BINDIR = Path("/usr/lib/postgresql/17/bin")
SOCKET_DIR = Path("/var/run/postgresql")
CONFIG_DIR = Path("/etc/relevo")
CONFIG_FILE = CONFIG_DIR / "postgresql.conf"
REPLICATION_CONF = CONFIG_DIR / "conf.d" / "90-replication.conf"
PASSFILE = CONFIG_DIR / "pgpass"
CA_FILE = CONFIG_DIR / "tls" / "ca.crt"
MARKER_DIR = Path("/var/lib/postgresql/relevo")
#: On the repository host, wherever its repository is. What is below /run does not outlive a machine's restart.
OPERATION_LOCK_DIR = Path("/run/relevo/operation-lock")

OWN_DATABASE = "relevo"
REPLICATION_ROLE = "relevo_replication"
REWIND_ROLE = "relevo_rewind"
MONITOR_ROLE = "relevo_monitor"
HANDOVER_ROLE = "relevo_handover"

#: What Ansible puts in place of a secret that a module returns. Before 0.1.0 it was given to servers as a password.
PUBLIC_WORD = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

#: The two keys of the advisory lock that a hand-over holds, in the database of our own ("RELE", 1).
HANDOVER_LOCK = (0x52454C45, 1)


def slot_name(node: str) -> str:
    """The physical slot of a standby: its inventory name with what a slot's name may not hold replaced.

    PostgreSQL allows lower-case letters, digits and underscores (documentation, "Querying Replication Slots").
    """
    return "".join(character if character.isalnum() else "_" for character in node.lower())
