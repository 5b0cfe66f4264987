# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synchronous replication: a commit waits until a standby has it on its disk.

No daemon watches over it, so nothing weakens it by itself: a primary that requires a standby and has none takes no
writes. A promoted node must not wait for one that is dead, so it starts without the requirement and gets it when a
standby streams. Two places hold the state:

- the *requirement* is ``synchronous_standby_names`` in a file beside the running primary's configuration. A standby has
  no such file, and no copy of the data carries one, so neither a promotion nor a restore can end up blocked;
- the *wish*, and which primary the requirement was last in force on, are settings of our own database. They travel with
  the WAL, so whoever is promoted knows both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .. import _names
from .._durable import sync_directory, write_file
from .._errors import RelevoError
from .._server.lsn import CURRENT_TIMELINE
from .._server.server import Server
from .._server.session import Session
from .._wait import wait_until
from .answer import WAY_OUT, in_force

REQUIREMENT_CONF = _names.CONFIG_DIR / "conf.d" / "80-synchronous.conf"

#: Settings of the database ``relevo``. The second is ``NODE/TIMELINE``.
WISH = "relevo.synchronous"
IN_FORCE = "relevo.synchronous_in_force"

SETTING = "synchronous_standby_names"
STREAMING = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming' ORDER BY 1"
COUNTED = """
SELECT application_name FROM pg_stat_replication
WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum') ORDER BY 1"""
# The session's own setting is another, so the files are asked.
LAX = """
SELECT setting FROM pg_file_settings
WHERE name = 'synchronous_commit' AND applied AND lower(setting) IN ('off', 'local', 'false', 'no', '0')"""


def standby_names(standbys: Iterable[str]) -> str:
    """The setting by which any one of ``standbys`` suffices; they are named as ``primary_conninfo`` names them."""
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in sorted(standbys))
    return f"ANY 1 ({quoted})"


def drop_requirement() -> bool:
    """Remove the requirement from this node's configuration; a running server must be reloaded by the caller."""
    if not REQUIREMENT_CONF.exists():
        return False
    REQUIREMENT_CONF.unlink()
    sync_directory(REQUIREMENT_CONF.parent)
    return True


def is_required_here() -> bool:
    """Whether this node's configuration holds the requirement."""
    return REQUIREMENT_CONF.exists()


def obstacle(candidate: Session, name: str) -> str:
    """Why ``name`` could not take writes at once if it were promoted; empty when it could."""
    names = candidate.value(f"SHOW {SETTING}")
    return f"{name} would wait for a synchronous standby ({SETTING} is {names}: run rejoin.yml)" if names else ""


def message(node: str, wanted: bool, required: bool, standbys: list[str], changed: bool) -> str:
    """What somebody should know; empty when all is as it was and as it should be."""
    if not wanted:
        return f"{node} requires no synchronous standby any more." if changed else ""
    if not required:
        return f"{node} takes writes without a synchronous standby until one follows. Run rejoin.yml."
    if not standbys:
        return f"BLOCKED: {node} takes no writes, since it requires a synchronous standby and none streams. {WAY_OUT}"
    if changed:
        return (
            f"From now on each commit on {node} waits for a synchronous standby ({', '.join(standbys)}); "
            "until now it took writes without one."
        )
    return ""


@dataclass
class Synchronous:
    """The requirement on the primary, which is this node. ``wanted`` None: as it was chosen the last time."""

    node: str
    standbys: list[str]
    wanted: bool | None = None
    server: Server = field(default_factory=Server)
    actions: list[str] = field(default_factory=list)

    def run(self, check_mode: bool = False) -> dict[str, Any]:
        """Bring the requirement about, or end it. Returns what the module returns."""
        with self._role_stays() as session:
            wish = self._setting(session, WISH)
            wanted = self.wanted if self.wanted is not None else wish == "on"
            if wanted and not self.standbys:
                raise RelevoError(
                    f"{self.node} is the only node of its cluster, so no standby could ever hold what it commits. "
                    "Nothing was changed. Add a node to the inventory, or leave postgresql_synchronous off."
                )
            lax = session.value(LAX) if self.wanted else None
            if lax:
                raise RelevoError(
                    f"synchronous_commit is {lax} on {self.node}, so no commit would wait for a standby. Nothing was "
                    "changed. Take it out of postgresql_parameters, or leave postgresql_synchronous off."
                )
            usable = [row["application_name"] for row in session.query(STREAMING)]
            usable = [name for name in usable if name in self.standbys]
            if check_mode:
                self._forecast(session, wanted, wish, usable)
            elif wanted:
                self._want(session, wish)
                # One that requires a standby already goes on doing so without any: that is what was asked for.
                if usable:
                    self._require(session)
            else:
                self._give_up(session)
            names = session.value(f"SHOW {SETTING}")
            counted = [row["application_name"] for row in session.query(COUNTED)]
        return {
            "changed": bool(self.actions),
            "wanted": wanted,
            "required": bool(names),
            "standbys": counted if names else [],
            "blocked": bool(names) and not counted,
            "actions": self.actions,
            "message": "" if check_mode else message(self.node, wanted, bool(names), counted, bool(self.actions)),
        }

    # --- the steps -----------------------------------------------------------------------------------------------

    def _want(self, session: Session, wish: str) -> None:
        if wish != "on":
            session.query(f"ALTER DATABASE {_names.OWN_DATABASE} SET {WISH} = 'on'")
            self.actions.append("noted that synchronous replication is wanted")

    def _require(self, session: Session) -> None:
        names = standby_names(self.standbys)
        if not self._written(names):
            write_file(REQUIREMENT_CONF, self._content(names))
            self.actions.append(f"requires {names}")
        if session.value(f"SHOW {SETTING}") != names:
            self._reload(session, names)
        note = in_force(self.node, int(session.value(f"SELECT {CURRENT_TIMELINE}")))
        if self._setting(session, IN_FORCE) != note:
            # The checkpointer is the process that makes commits wait. What it does comes after the reload.
            session.query("CHECKPOINT", timeout=300)
            session.query(f"ALTER DATABASE {_names.OWN_DATABASE} SET {IN_FORCE} = '{_literal(note)}'")
            self.actions.append("noted that it is in force")

    def _give_up(self, session: Session) -> None:
        for name in (IN_FORCE, WISH):
            if self._setting(session, name):
                session.query(f"ALTER DATABASE {_names.OWN_DATABASE} RESET {name}")
                self.actions.append(f"removed the note {name}")
        if drop_requirement():
            self.actions.append("requires no standby any more")
            self._reload(session, "")

    def _forecast(self, session: Session, wanted: bool, wish: str, usable: list[str]) -> None:
        if wanted and wish != "on":
            self.actions.append("note that synchronous replication is wanted")
        if wanted and usable and not self._written(standby_names(self.standbys)):
            self.actions.append(f"require {standby_names(self.standbys)}")
        if not wanted and (wish or is_required_here()):
            self.actions.append("require no standby any more")

    # --- what they share -----------------------------------------------------------------------------------------

    @contextmanager
    def _role_stays(self) -> Iterator[Session]:
        """A session in our own database, with the shared lock: a hand-over takes the same lock alone."""
        with Session.local(_names.OWN_DATABASE, "relevo synchronous", timeout=30) as session:
            if not session.flag("SELECT pg_try_advisory_lock_shared($1, $2)", _names.HANDOVER_LOCK):
                raise RelevoError(
                    f"A hand-over is under way on {self.node}. Nothing was changed. Wait until it has ended, then run "
                    "this again."
                )
            if session.flag("SELECT pg_is_in_recovery()"):
                raise RelevoError(f"{self.node} is a standby by now. Nothing was changed; run this again.")
            yield session

    def _setting(self, session: Session, name: str) -> str:
        """What the database holds; the session itself has what was there when it began."""
        rows = session.query(
            "SELECT pair FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) pair"
            " WHERE setrole = 0 AND datname = $1",
            (_names.OWN_DATABASE,),
        )
        return next((row["pair"].partition("=")[2] for row in rows if row["pair"].partition("=")[0] == name), "")

    def _content(self, names: str) -> str:
        return (
            "# Written by relevo.postgres (pg_synchronous) on the primary only: edits are lost.\n"
            f"{SETTING} = '{_literal(names)}'\n"
        )

    def _written(self, names: str) -> bool:
        return REQUIREMENT_CONF.exists() and REQUIREMENT_CONF.read_text() == self._content(names)

    def _reload(self, session: Session, names: str) -> None:
        self.server.reload()
        try:
            wait_until(lambda: session.value(f"SHOW {SETTING}") == names, "the server to read its configuration", 10)
        except RelevoError as error:
            raise RelevoError(
                f"{SETTING} on {self.node} is still '{session.value(f'SHOW {SETTING}')}' and not '{names}'. It is set "
                f"in postgresql_parameters or by ALTER SYSTEM: leave it out there (ALTER SYSTEM RESET {SETTING})."
            ) from error
        if names:
            wait_until(lambda: session.query(COUNTED), f"a standby of {self.node} to count as synchronous", 10)


def _literal(text: str) -> str:
    """A text between quotes, in SQL as in the configuration."""
    return text.replace("'", "''")
