# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the primary, this node's disk and this node's server say, for a rejoin's decision. Nothing is changed."""

from __future__ import annotations

import pwd
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._cluster.probe import ask, probe
from .._cluster.topology import NodeState
from .._errors import RelevoError
from .._repository.command import CONFIG, config_of, repositories
from .._server import marker, recovery, server_log
from .._server.credentials import Credentials
from .._server.lsn import history_name, parse_history, parse_lsn
from .._server.server import Server
from .._server.session import Session, SessionError
from .methods import standby_settings
from .plan import CutOff, Request, Role, Situation, Source
from .tablespaces import LOCATIONS, Tablespace, look

POLL = 0.1
#: Classes of errors with which a server says that it comes up or goes down.
_GOING_AWAY = ("08", "57")


def require_primary(state: NodeState) -> None:
    """Raise ``RelevoError`` unless the server that is to be followed takes writes."""
    if not state.reachable:
        raise CutOff(f"The primary cannot be asked ({state.error}). Nothing was changed; start {state.name}.")
    if not state.is_primary:
        raise RelevoError(f"{state.name} is a standby, so nobody can follow it. Nothing was changed; see status.yml.")


def receives(request: Request, data: dict[str, Any]) -> bool:
    """Whether this node's receiver, in ``data`` (an answer of the probe), streams as the request wants it to."""
    receiver = data.get("receiver") or {}
    return (
        receiver.get("status") == "streaming"
        and receiver.get("host") == request.primary.host
        and receiver.get("port") == request.primary.port
        and receiver.get("slot") == _names.slot_name(request.node)
    )


def sends(request: Request, data: dict[str, Any]) -> bool:
    """Whether the primary, in ``data``, sends WAL to this node."""
    senders = data.get("senders") or []
    return any(sender["name"] == request.node and sender["state"] == "streaming" for sender in senders)


def _read_text(path: Path) -> str | None:
    return path.read_text(errors="replace") if path.exists() else None


@dataclass
class Observer:
    """Looks at the primary of the request and at this node."""

    request: Request
    server: Server = field(default_factory=Server)
    credentials: Credentials = field(default_factory=Credentials)

    # --- the primary ---------------------------------------------------------------------------------------------

    def source(self) -> Source:
        """The primary and its history; raises ``RelevoError`` where that node is not primary, or cannot be asked."""
        state = self._primary()
        require_primary(state)
        history = self.history_text(state.timeline) if state.timeline > 1 else None
        return Source(state.system_identifier or "", state.timeline, tuple(parse_history(history or "")))

    def _primary(self) -> NodeState:
        return probe([self.request.primary], 5, self.credentials)[0]

    def history_text(self, timeline: int) -> str | None:
        """A history file of the primary; None when it has none of that name."""
        path = f"pg_wal/{history_name(timeline)}"
        try:
            with Session.remote(
                self.request.primary, _names.REWIND_ROLE, self.credentials, dbname="postgres", timeout=10
            ) as session:
                text = session.value("SELECT convert_from(pg_read_binary_file($1), 'UTF8')", (path,))
        except SessionError as error:
            if error.sqlstate == "58P01":  # undefined_file
                return None
            raise RelevoError(
                f"The primary's history cannot be read ({error.message}). Nothing was changed; run site.yml, which "
                f"gives {_names.REWIND_ROLE} what it needs."
            ) from error
        return str(text)

    def tablespaces(self) -> list[Tablespace]:
        """The primary's tablespaces, and what this node has at their places."""
        with Session.remote(self.request.primary, _names.HANDOVER_ROLE, self.credentials, timeout=10) as session:
            locations = {str(row["name"]): str(row["path"]) for row in session.query(LOCATIONS)}
        return look(locations, pwd.getpwnam(_process.POSTGRES).pw_uid) if locations else []

    # --- this node -----------------------------------------------------------------------------------------------

    def situation(self) -> Situation:
        """What this node's disk and, if it runs, its server say."""
        rejoin = marker.read("rejoin")
        values: dict[str, Any] = {"cut_off": (rejoin.reason or "an unknown method") if rejoin else ""}
        if not self.server.initialised:
            return Situation(initialised=False, **values)
        try:
            control = self.server.control_data()
        except RelevoError:
            # A restore writes the control file last.
            if rejoin:
                return Situation(**values)
            raise
        values |= {
            "system_identifier": control.system_identifier,
            "state": control.state,
            "timeline": control.newest_timeline,
            "end": max(parse_lsn(control.min_recovery_lsn), parse_lsn(control.checkpoint_lsn)),
            "standby_signal": self.server.is_standby_configured,
            "backup_label": (self.server.pgdata / "backup_label").exists(),
        }
        values |= self._running()
        values["configured"] = self._configured() or (bool(values.get("own_pace")) and self._configured(restore=True))
        history = _read_text(self.server.pgdata / "pg_wal" / history_name(values["timeline"]))
        return Situation(**values, forks=tuple(parse_history(history or "")))

    def _configured(self, restore: bool = False) -> bool:
        """One that replays at its own pace may still need from the archive what the primary no longer has."""
        # It may have been given the one repository that answered.
        configs = {CONFIG, *map(config_of, repositories())} if restore else {CONFIG}
        return any(self.server.replication_conf_is(*standby_settings(self.request, restore, one)) for one in configs)

    def _running(self) -> dict[str, Any]:
        if self.server.postmaster_pid() is None:
            return {"role": "down"}
        data = self.ask_local(patience=5)
        if data is None:
            role: Role = "starting" if self.server.is_standby_configured else "primary"
            return {"role": role}
        state = NodeState(self.request.primary, data)
        return {
            "role": "standby" if state.is_standby else "primary",
            "timeline": state.timeline,
            "end": state.position,
            "streams": self.streams(data),
            "own_pace": state.own_pace,
        }

    def ask_local(self, patience: float = 0.0) -> dict[str, Any] | None:
        """The probe's answer of this node's server; None while it takes no connections.

        With ``patience``, raises ``RelevoError`` for a server that goes on to answer with an error: it lives, and
        nothing that it has may be copied over for that.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                with Session.local(application_name="relevo rejoin", timeout=3) as session:
                    return ask(session)
            except SessionError as error:
                if time.monotonic() >= deadline:
                    if patience and error.sqlstate and not error.sqlstate.startswith(_GOING_AWAY):
                        raise RelevoError(
                            f"{self.request.node} runs, and answers with an error ({error.message}). Nothing was "
                            "changed. Correct that, or stop its server to have it made anew; then run this again."
                        ) from error
                    return None
                time.sleep(POLL)

    def streams(self, data: dict[str, Any]) -> bool:
        """Whether WAL flows. The receiver alone says "streaming" also while it is about to be turned away."""
        return receives(self.request, data) and sends(self.request, self._primary().data or {})

    def recovering(self) -> str:
        """The title of the startup process, which names the segment that it replays."""
        return recovery.startup_title(self.server)

    def last_words(self) -> str:
        """The last complaint in the server's log."""
        words = server_log.last_complaint()
        return f" ({words})." if words else "."
