# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that several parts must agree on: paths on a node, roles, the database of our own, the hand-over lock."""

from __future__ import annotations

import re
from pathlib import Path

#: The first major version with what we rest on: ALTER SYSTEM that is granted, pg_ident_file_mappings, postgres -C of a
#: setting that is computed. What came later is left out where it is not there: docs/reference/platforms.md.
OLDEST_VERSION = 15

#: The home of postgres, the data volume of a container; below it a directory for each major version, as Debian has it.
DATA_ROOT = Path("/var/lib/postgresql")
#: The numbers of the two repositories that a cluster may have.
FIRST_REPOSITORY, SECOND_REPOSITORY = 1, 2
#: pgBackRest's own default of ``repo1-path``.
REPOSITORY_DIR = Path("/var/lib/pgbackrest")
#: Where a container's data volume is mounted, by the kind of node.
VOLUMES = {"postgres": DATA_ROOT, "pgbackrest": REPOSITORY_DIR, "redis": Path("/var/lib/redis")}
SOCKET_DIR = Path("/var/run/postgresql")
CONFIG_DIR = Path("/etc/relevo")
CONFIG_FILE = CONFIG_DIR / "postgresql.conf"
HBA_FILE = CONFIG_DIR / "pg_hba.conf"
IDENT_FILE = CONFIG_DIR / "pg_ident.conf"
PGBACKREST_CONF = Path("/etc/pgbackrest/pgbackrest.conf")
REPLICATION_CONF = CONFIG_DIR / "conf.d" / "90-replication.conf"
PASSFILE = CONFIG_DIR / "pgpass"
CA_FILE = CONFIG_DIR / "tls" / "ca.crt"
CERTIFICATE = CONFIG_DIR / "tls" / "node.crt"
PRIVATE_KEY = CONFIG_DIR / "tls" / "node.key"
MARKER_DIR = DATA_ROOT / "relevo"
#: The start guard's latest verdict, for status.yml and for who waits for a start.
GUARD_STATUS = MARKER_DIR / "guard-status.json"
#: Restored servers beside the cluster. In a container it is in its own layer: they go with it, the repository does not.
SCRATCH_DIR = DATA_ROOT / "scratch"
#: How the names of the scratch instances of drills end; nobody can give one such a name.
DRILL = "_drill"
#: Where tables that are restored wait for their load. It is gone when that has ended.
RESTORE_DIR = DATA_ROOT / "restore"
#: The comment of a database until all of it is loaded.
UNFINISHED_RESTORE = "relevo: this restore has not ended"
LOG_DIR = DATA_ROOT / "log"
#: On the repository host, wherever its repository is. What is below /run does not outlive a machine's restart.
OPERATION_LOCK_DIR = Path("/run/relevo/operation-lock")
#: When a service was last told to read its files.
READING_DIR = Path("/run/relevo/reading")

OWN_DATABASE = "relevo"
#: PostgreSQL's own, where the inventory gives no ``postgresql_port``; Redis's and pgBackRest's likewise.
PORT = 5432
REDIS_PORT = 6379
PGBACKREST_PORT = 8432
#: Where HAProxy leads to the primary, and to the standbys.
PROXY_PORT, PROXY_READ_ONLY_PORT = 5000, 5001
REPLICATION_ROLE = "relevo_replication"
REWIND_ROLE = "relevo_rewind"
MONITOR_ROLE = "relevo_monitor"
HANDOVER_ROLE = "relevo_handover"
OWN_ROLES = (REPLICATION_ROLE, REWIND_ROLE, MONITOR_ROLE, HANDOVER_ROLE)
#: HAProxy's checks log in as it, with a certificate: it has no password, and no right but to connect.
CHECK_ROLE = "relevo_check"

#: What Ansible puts in place of a secret that a module returns. Before 0.1.0 it was given to servers as a password.
PUBLIC_WORD = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"

#: The two keys of the advisory lock that a hand-over holds, in the database of our own ("RELE", 1).
HANDOVER_LOCK = (0x52454C45, 1)

#: NAMEDATALEN - 1, the longest name of a slot.
MAX_SLOT_NAME = 63


def version_fault(version: object) -> str:
    """Why a value cannot be ``postgresql_version``; empty when it can."""
    if re.fullmatch(r"[0-9]+", str(version)) and int(str(version)) >= OLDEST_VERSION:
        return ""
    return f"postgresql_version is {version}. Give a major version alone, {OLDEST_VERSION} or newer."


def data_directory(version: str) -> Path:
    """Where the data of a major version are, on every kind of node."""
    return DATA_ROOT / version / "main"


def bin_directory(version: str) -> Path:
    """Where Debian's packages put the programs of a major version."""
    return Path("/usr/lib/postgresql") / version / "bin"


def slot_name(node: str) -> str:
    """The physical slot of a standby: its inventory name with what a slot's name may not hold replaced.

    PostgreSQL allows ``a`` to ``z``, digits and underscores (ReplicationSlotValidateName in slot.c). Two names may come
    to the same slot: ``inventory_check`` refuses such a cluster.
    """
    return re.sub(r"[^a-z0-9_]", "_", node.lower())


def with_port(address: str, port: int | str) -> str:
    """Both in one word: an IPv6 address has colons of its own, and stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


_UNLIMITED = ("statement_timeout", "lock_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")
#: A standby answers no session that is serializable, our catalog's patterns have backslashes, and roles are made on a
#: server that is read-only for others. The space is libpq's own to be escaped.
_OURS = (
    r"default_transaction_isolation=read\ committed",
    "default_transaction_read_only=off",
    "standard_conforming_strings=on",
)
#: The first major version that has them; an older one refuses a session that asks for one.
TRANSACTION_TIMEOUT_SINCE = EVENT_TRIGGERS_SINCE = 17


def unlimited(version: int = OLDEST_VERSION, superuser: bool = False) -> str:
    """Options of every session of ours: what a server, a database or a role sets is meant for applications, and our
    own waits have deadlines. ``version``: the server's major version; without it, what all of them know.
    ``superuser``: what nobody else may ask for, too. Quotes and files that take backslashes for their own need each of
    them twice."""
    newer = ("transaction_timeout=0",) if version >= TRANSACTION_TIMEOUT_SINCE else ()
    # Somebody's trigger at login that writes would refuse us on every standby. What a server says is read.
    theirs = ("lc_messages=C", *(("event_triggers=off",) if version >= EVENT_TRIGGERS_SINCE else ()))
    settings = (*(f"{name}=0" for name in _UNLIMITED), *newer, *_OURS, *(theirs if superuser else ()))
    return " ".join(f"-c {setting}" for setting in settings)


#: Options of our sessions at other nodes: the server ends one after 45 s whose host has lost its power, and what that
#: held, as the lock of a hand-over, is free. Not for a copy, whose reader may be that slow: the last one counts a full
#: window as silence.
KEPT_ALIVE = (
    "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=45000"
)
