# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on this node that somebody else has set up: whether there is one, and what it says of itself.

It is asked with psql as its own user, which needs nothing of ours: no library, no role, no map of users.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._errors import RelevoError
from .adoption import RIVALS, Found
from .adoption_files import has_block
from .server import Server
from .service import unit_of

_PGBACKREST = _names.PGBACKREST_CONF
#: Where ``ALTER SYSTEM`` writes, which is read last.
_AUTO_CONF = "/postgresql.auto.conf"
#: One row, so that psql prints one document. The files' settings are in the order in which they are read.
_LOOK = """
SELECT json_build_object(
  'standby', pg_is_in_recovery(),
  'in_force', (SELECT json_object_agg(name, current_setting(name)) FROM pg_settings),
  'at_start', (SELECT json_agg(name) FROM pg_settings WHERE context = 'postmaster'),
  'defaults', (SELECT json_agg(name) FROM pg_settings WHERE setting IS NOT DISTINCT FROM boot_val),
  'files', (SELECT json_agg(json_build_array(lower(name), setting, sourcefile) ORDER BY seqno) FROM pg_file_settings),
  'hba', (SELECT json_agg(json_build_object('type', type, 'database', database, 'user_name', user_name, 'address',
            address, 'netmask', netmask, 'auth_method', auth_method, 'options', coalesce(options, '{}')) ORDER BY
            line_number) FROM pg_hba_file_rules WHERE error IS NULL),
  'maps', (SELECT json_agg(DISTINCT map_name) FROM pg_ident_file_mappings),
  'passwords', (SELECT json_agg(rolname) FROM pg_authid WHERE rolpassword IS NOT NULL),
  'free_slots', current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots),
  'own_database', EXISTS (SELECT FROM pg_database WHERE datname = $$OWN$$)
                  AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $$MONITOR$$))
""".replace("OWN", _names.OWN_DATABASE).replace("MONITOR", _names.MONITOR_ROLE)

#: Whether it has read our file since; the view of its files tells only what they say.
_READ = f"SELECT EXISTS (SELECT FROM pg_settings WHERE sourcefile = '{_names.CONFIG_FILE}')"


@dataclass(frozen=True)
class Holder:
    """Who listens at our port: another data directory's server, or (``foreign``) ours, which reads others' files."""

    elsewhere: str = ""
    foreign: bool = False
    down: bool = False


def psql(server: Server, port: int, sql: str, timeout: float = 30.0) -> str:
    """What the server answers to its own user over its socket; ``RelevoError`` with its words."""
    command = [str(server.bin_directory / "psql"), "-XAtq", "-w", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", str(_names.SOCKET_DIR), "-p", str(port), "-d", "postgres", "-c", sql]
    done = _process.run(command, timeout, PGOPTIONS=_names.unlimited(server.version, superuser=True))
    if done.returncode:
        raise RelevoError(
            "A server that others have set up runs here, and cannot be asked as its user postgres over its socket in "
            f"{_names.SOCKET_DIR}: {' '.join(done.stderr.split())}. Allow that (local all postgres peer) and run this "
            "again. Nothing was configured."
        )
    return done.stdout


def holder(server: Server, port: int) -> Holder:
    """Who has this node's port and its data directory; needs no session."""
    if server.postmaster_pid() is not None:
        return Holder(foreign=not reads_our_files(server))
    lock = _names.SOCKET_DIR / f".s.PGSQL.{port}.lock"
    lines = lock.read_text().splitlines() if lock.exists() else []
    if lines[1:2] and lines[1] != str(server.pgdata) and Server(Path(lines[1])).postmaster_pid() is not None:
        return Holder(elsewhere=lines[1])
    ours = _names.CONFIG_FILE.exists() or _names.MARKER_DIR.exists()
    return Holder(down=server.initialised and not ours)


def listening_port(server: Server) -> int:
    """The port of the server that runs, from the fourth line of its ``postmaster.pid``."""
    return int((server.pgdata / "postmaster.pid").read_text().splitlines()[3])


def reads_our_files(server: Server) -> bool:
    """Whether the server that runs was started with our configuration."""
    pid = server.postmaster_pid()
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return any(str(_names.CONFIG_FILE) in word for word in words)


def has_read_our_files(server: Server) -> bool:
    """Whether the server that runs goes by our files, however it was started: only then it lets root of the node in."""
    return reads_our_files(server) or psql(server, listening_port(server), _READ).strip() == "t"


def programs() -> list[str]:
    """Those that run here and act on a server of their own accord."""
    found = set()
    for entry in Path("/proc").iterdir():
        name = entry / "comm"
        try:
            if entry.name.isdigit():
                found.add(name.read_text().strip())
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended.
    return sorted(found & RIVALS)


def look(server: Server) -> tuple[Found, dict[str, Path]]:
    """What it says, and where its files are (``config_file``, ``hba_file``, ``ident_file``)."""
    port = listening_port(server)
    said: dict[str, Any] = json.loads(psql(server, port, _LOOK))
    own = str(_names.CONFIG_DIR)
    files = said["files"] or []
    theirs = {name: value for name, value, file in files if not file.startswith(own) and not file.endswith(_AUTO_CONF)}
    paths = {name: Path(said["in_force"][name]) for name in ("config_file", "hba_file", "ident_file")}
    pid = server.postmaster_pid()
    found = Found(
        standby=said["standby"],
        unit=unit_of(pid) if pid else "",
        file_settings=theirs,
        in_force={name.lower(): value or "" for name, value in said["in_force"].items()},
        by_alter_system={name: value for name, value, file in files if file.endswith(_AUTO_CONF)},
        defaults=frozenset(name.lower() for name in said["defaults"] or []),
        at_start=frozenset(name.lower() for name in said["at_start"]),
        hba=said["hba"] or [],
        maps=said["maps"] or [],
        passwords=frozenset(said["passwords"] or []),
        free_slots=said["free_slots"],
        own_database=said["own_database"],
        rivals=programs(),
        pgbackrest_of_others=_PGBACKREST.exists() and not _names.CONFIG_DIR.exists(),
        # In any of them: a run may have died between two.
        included=any(has_block(path) for path in paths.values()),
    )
    return found, paths
