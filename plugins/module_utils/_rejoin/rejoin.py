# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this node a standby of the primary: look, decide (``_rejoin_plan``), act (``_rejoin_methods``), wait.

Every step changes nothing when it has been done, so a run that was cut off is finished by the next one.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _names
from .._cluster import synchronous
from .._cluster.lock import lock_holder
from .._cluster.topology import PROBE, NodeState, probe
from .._errors import RelevoError
from .._repository.fence_record import withdraw_record
from .._server import marker
from .._server.guard_config import GUARD_CONFIG, GuardConfig
from .._server.lsn import parse_history, parse_lsn
from .._server.server import Server
from .._server.service import Service
from .._server.session import Credentials, Session, SessionError
from .._wait import wait_until
from .lock import alone
from .methods import Copier, push_unarchived
from .plan import Plan, Request, Role, Situation, Source, decide, methods_when_stopped

LOG_DIR = Path("/var/lib/postgresql/log")
POLL = 0.1
#: Seconds without streaming after which the archive is asked for what the primary may no longer have.
PATIENCE = 10.0


def _read_text(path: Path) -> str | None:
    return path.read_text(errors="replace") if path.exists() else None


@dataclass
class Rejoin:
    """One rejoin of this node."""

    request: Request
    service: Service
    server: Server = field(default_factory=Server)
    credentials: Credentials = field(default_factory=Credentials)
    actions: list[str] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)

    def run(self, check_mode: bool = False) -> dict[str, Any]:
        """Do it, or in check mode say what would be done. Returns what the module returns."""
        started = time.monotonic()
        if self.request.node == self.request.primary.name:
            raise RelevoError(f"{self.request.node} cannot follow itself. Name the primary that it is to follow.")
        if check_mode:
            source = self._source()
            copier = Copier(self.request, source, self._history_text, lock=-1, server=self.server)
            before = self._observe(copier)
            method = self._forecast(copier, decide(self.request, before, source))
        else:
            with alone(_names.MARKER_DIR) as lock, self._role_stays() as session:
                # The lock first: only then what is seen of the primary stays true.
                source = self._source()
                copier = Copier(self.request, source, self._history_text, lock, self.server)
                before = self._observe(copier)
                plan = decide(self.request, before, source)
                self._ensure_slot(session)
                method = self._act(copier, before, plan)
        return {
            "changed": bool(self.actions),
            "method": method,
            "primary": self.request.primary.name,
            "timeline": source.timeline,
            "actions": self.actions,
            "failures": self.failures,
            "seconds": round(time.monotonic() - started, 2),
            "copy_seconds": copier.copy_seconds,
            "copied_bytes": copier.copied,
            "diff": {"before": f"{before.describe()}\n", "after": self._after(before)},
        }

    def _after(self, before: Situation) -> str:
        wanted = f"standby that follows {self.request.primary.name}" if self.actions else before.describe()
        return f"{wanted}\n"

    # --- nobody else meanwhile -----------------------------------------------------------------------------------

    @contextmanager
    def _role_stays(self) -> Iterator[Session]:
        """A shared lock on the primary: hand-overs take the same lock alone, so none moves the role meanwhile."""
        primary = self.request.primary
        name = f"relevo rejoin of {self.request.node}"[:63]
        try:
            session = Session.remote(primary, _names.HANDOVER_ROLE, self.credentials, application_name=name, timeout=10)
        except SessionError as error:
            raise RelevoError(
                f"The primary cannot be reached ({error.message}). Nothing was changed; start {primary.name}."
            ) from error
        with session:
            if not session.flag("SELECT pg_try_advisory_lock_shared($1, $2)", _names.HANDOVER_LOCK):
                raise RelevoError(
                    f"A hand-over is under way ({lock_holder(session)} holds its lock on {primary.name}). "
                    "Nothing was changed. Wait until it has ended, then run this again."
                )
            yield session

    # --- looking -------------------------------------------------------------------------------------------------

    def _source(self) -> Source:
        primary = self.request.primary
        state = probe([primary], 5, self.credentials)[0]
        if not state.reachable:
            raise RelevoError(
                f"The primary cannot be asked ({state.error}). Nothing was changed; start {primary.name}."
            )
        if not state.is_primary:
            raise RelevoError(
                f"{primary.name} is a standby, so nobody can follow it. Nothing was changed; see status.yml."
            )
        history = self._history_text(state.timeline) if state.timeline > 1 else None
        return Source(state.system_identifier or "", state.timeline, tuple(parse_history(history or "")))

    def _history_text(self, timeline: int) -> str | None:
        """A history file of the primary; None when it has none of that name."""
        path = f"pg_wal/{timeline:08X}.history"
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

    def _observe(self, copier: Copier) -> Situation:
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
        timeline = max(control.timeline, control.min_recovery_timeline)
        values |= {
            "system_identifier": control.system_identifier,
            "state": control.state,
            "timeline": timeline,
            "end": max(parse_lsn(control.min_recovery_lsn), parse_lsn(control.checkpoint_lsn)),
            "standby_signal": self.server.is_standby_configured,
            "backup_label": (self.server.pgdata / "backup_label").exists(),
            "configured": self.server.replication_conf_is(*copier.settings(restore=False)),
        }
        values |= self._observe_running()
        own = _read_text(self.server.pgdata / "pg_wal" / f"{values['timeline']:08X}.history")
        return Situation(**values, forks=tuple(parse_history(own or "")))

    def _observe_running(self) -> dict[str, Any]:
        if self.server.postmaster_pid() is None:
            return {"role": "down"}
        data = self._ask_local(patience=5)
        if data is None:
            role: Role = "starting" if self.server.is_standby_configured else "primary"
            return {"role": role}
        state = NodeState(self.request.primary, data)
        return {
            "role": "standby" if state.is_standby else "primary",
            "timeline": state.timeline,
            "end": state.position,
            "streams": self._streams(data),
        }

    def _ask_local(self, patience: float = 0.0) -> dict[str, Any] | None:
        """The probe's answer of this node's server; None while it takes no connections."""
        deadline = time.monotonic() + patience
        while True:
            try:
                with Session.local(application_name="relevo rejoin", timeout=3) as session:
                    answer: dict[str, Any] = json.loads(session.value(PROBE))
                    return answer
            except SessionError:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(POLL)

    def _streams(self, data: dict[str, Any]) -> bool:
        """Whether WAL flows. The receiver alone says "streaming" also while it is about to be turned away."""
        receiver = data.get("receiver") or {}
        return (
            receiver.get("status") == "streaming"
            and receiver.get("host") == self.request.primary.host
            and receiver.get("port") == self.request.primary.port
            and receiver.get("slot") == _names.slot_name(self.request.node)
            and self._primary_sends()
        )

    def _primary_sends(self) -> bool:
        senders = (probe([self.request.primary], 5, self.credentials)[0].data or {}).get("senders") or []
        return any(sender["name"] == self.request.node and sender["state"] == "streaming" for sender in senders)

    # --- acting --------------------------------------------------------------------------------------------------

    def _forecast(self, copier: Copier, plan: Plan) -> str:
        if plan.first == "none":
            self.actions += [f"remove the stale {kind} marker" for kind in self._stale_markers()]
            self.actions += [f"drop the slot {slot}" for slot in self._left_slots()]
            self.actions += [f"remove {copier.unfinished}"] if copier.unfinished.exists() else []
            self.actions += ["require no synchronous standby"] if synchronous.is_required_here() else []
        else:
            self.actions.append(f"{plan.first}: {plan.reason}")
        return plan.first

    def _act(self, copier: Copier, situation: Situation, plan: Plan) -> str:
        method = plan.first
        if plan.follow:
            method = "follow" if self._follow(copier) else ""
        if plan.methods or not method:
            if plan.fence:
                self._fence(situation)
            self._stop()
            method = self._rebuild(copier)
        self._finish(copier)
        return method

    def _ensure_slot(self, session: Session) -> None:
        name = _names.slot_name(self.request.node)
        found = session.query("SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1", (name,))
        if found and found[0]["wal_status"] == "lost":
            session.query("SELECT pg_drop_replication_slot($1)", (name,))
            self.actions.append(f"dropped the slot {name}, which had lost WAL")
        elif found:
            return
        session.query("SELECT pg_create_physical_replication_slot($1, true)", (name,))
        self.actions.append(f"made the slot {name}")

    def _follow(self, copier: Copier) -> bool:
        """Point the running standby at the primary; False when it cannot follow as it is."""
        if copier.configure(restore=False):
            self.actions.append(f"pointed it at {self.request.primary.name}")
        self.server.reload()
        try:
            self._await_streaming(copier)
        except RelevoError as error:
            self.failures.append({"method": "follow", "error": error.message})
            return False
        return True

    def _fence(self, situation: Situation) -> None:
        marker.write(
            marker.Marker.now(
                "fence",
                node=self.request.node,
                by="pg_rejoin",
                successor=self.request.primary.name,
                timeline=situation.timeline,
                reason="two primaries",
            )
        )
        self.actions.append("fenced it")

    def _stop(self) -> None:
        """Stop the service, the waiting start guard included."""
        running = self.server.postmaster_pid() is not None
        try:
            self.service.stop(30)
        except RelevoError:
            # An archiver or a sender that hangs. What is lost by ending it at once, the copy brings back.
            self.server.signal_postmaster(signal.SIGQUIT)
            self.service.stop(15)
        if self.server.postmaster_pid() is not None:
            # Started by hand, not by the service.
            self.server.signal_postmaster(signal.SIGINT)
            wait_until(lambda: self.server.postmaster_pid() is None, "the server of this node to stop", 30)
        if running:
            self.actions.append("stopped it")

    def _rebuild(self, copier: Copier) -> str:
        """Try the methods in order until the node streams; returns the one that did it."""
        situation = self._observe(copier)
        methods = methods_when_stopped(self.request, situation, copier.source)
        self._archive_own(situation, copier.source)
        for method in methods:
            try:
                copier.apply(method, situation)
                self.service.start()
                self._await_streaming(copier)
            except RelevoError as error:
                self.failures.append({"method": method, "error": error.message})
                self._stop()
                # The attempt may have changed what there is to build on.
                situation = self._observe(copier)
            else:
                self.actions.append(f"made it a standby: {method}")
                return method
        tried = "; ".join(f"{failure['method']}: {failure['error'].rstrip('.')}" for failure in self.failures)
        raise RelevoError(
            f"{self.request.node} could not be made a standby of {self.request.primary.name}: {tried}. "
            "Fix the last error, then run rejoin.yml again.",
            failures=self.failures,
            actions=self.actions,
        )

    def _archive_own(self, situation: Situation, source: Source) -> None:
        usable = situation.initialised and not situation.cut_off
        if not self.request.repository or not usable or situation.system_identifier != source.system_identifier:
            return
        try:
            done = push_unarchived(self.server, self.request.stanza, source.timelines)
        except RelevoError as error:
            if self.request.discard_unarchived:
                self.failures.append({"method": "archive", "error": error.message})
                return
            raise RelevoError(
                f"{error.message} {self.request.node} holds WAL that is nowhere else and that a rejoin would delete. "
                "Its data was not changed. Fix the repository and run this again, or give that WAL up with "
                "discard_unarchived."
            ) from error
        if done.pushed:
            self.actions.append(f"archived {len(done.pushed)} files that only this node had")
        if done.different:
            self.actions.append(f"left {', '.join(done.different)} alone: the archive holds another content")
        if done.foreign:
            self.actions.append(f"did not archive {', '.join(done.foreign)}: not of the primary's history")

    # --- waiting -------------------------------------------------------------------------------------------------

    def _await_streaming(self, copier: Copier) -> None:
        """Wait until the node streams from the primary. The deadline moves on while recovery makes progress."""
        timeout = self.request.timeout
        started = time.monotonic()
        deadline = started + timeout
        progress: tuple[int, str] = (0, "")
        first_pid: int | None = None
        asked_archive = False
        while True:
            data = self._ask_local()
            if data and self._streams(data):
                return
            pid = self.server.postmaster_pid()
            first_pid = first_pid or pid
            if first_pid and pid != first_pid:
                raise RelevoError(f"the server ended while it started{self._last_words()}")
            now = time.monotonic()
            current = (NodeState(self.request.primary, data).position if data else 0, self._recovering())
            if current != progress:
                progress, deadline = current, now + timeout
            if now > deadline:
                raise RelevoError(f"it has not streamed within {timeout:g} s{self._last_words()}")
            if self.request.repository and not asked_archive and now - started > PATIENCE:
                asked_archive = True
                copier.configure(restore=True)
                self.server.reload()
            time.sleep(POLL)

    def _recovering(self) -> str:
        """The title of the startup process, which names the segment that it replays."""
        pid = self.server.postmaster_pid()
        children = _read_text(Path(f"/proc/{pid}/task/{pid}/children")) if pid else None
        for child in (children or "").split():
            try:
                title = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "startup" in title:
                return title.strip("\0 ")
        return ""

    def _last_words(self) -> str:
        """The last complaint in the server's log."""
        logs = sorted(LOG_DIR.glob("*.log"), key=lambda path: path.stat().st_mtime)
        if not logs:
            return "."
        with logs[-1].open("rb") as file:
            file.seek(max(0, logs[-1].stat().st_size - 8192))
            lines = file.read().decode(errors="replace").splitlines()
        complaints = [line for line in lines if re.search(r"\b(FATAL|ERROR|PANIC):", line)]
        return f" ({complaints[-1].strip()})." if complaints else "."

    # --- afterwards ----------------------------------------------------------------------------------------------

    def _finish(self, copier: Copier) -> None:
        """What a standby must not keep: a restore command, markers, and what it had as the primary."""
        if copier.configure(restore=False):
            self.server.reload()
            self.actions.append("cleared restore_command")
        if synchronous.drop_requirement():
            self.server.reload()
            self.actions.append("requires no synchronous standby any more")
        if copier.unfinished.exists():
            shutil.rmtree(copier.unfinished)
            self.actions.append("removed what a base backup that was cut off had left")
        for kind in self._stale_markers():
            marker.remove(kind)
            self.actions.append(f"removed the stale {kind} marker")
        left = self._left_slots()
        if left:
            with Session.local(application_name="relevo rejoin") as session:
                for slot in left:
                    session.query("SELECT pg_drop_replication_slot($1)", (slot,))
            self.actions.append(f"dropped the slots {', '.join(left)}")
        if self.actions and self.request.repository:
            self._withdraw_record()

    def _stale_markers(self) -> list[marker.Kind]:
        kinds: tuple[marker.Kind, ...] = ("rejoin", "fence")
        return [kind for kind in kinds if marker.read(kind)]

    def _left_slots(self) -> list[str]:
        """Unused physical slots of other nodes of the cluster: here they would only keep WAL."""
        names = {self.request.primary.name}
        text = _read_text(GUARD_CONFIG)
        if text is not None:
            names |= {peer.name for peer in GuardConfig.from_json(text).peers}
        managed = {_names.slot_name(name) for name in names - {self.request.node}}
        slots = (self._ask_local() or {}).get("slots") or []
        return [s["name"] for s in slots if s["type"] == "physical" and not s["active"] and s["name"] in managed]

    def _withdraw_record(self) -> None:
        """Empty the fence record that the repository host may keep for this node.

        It could not harm the standby, and it is void once this node is promoted again, so a repository that does not
        answer is not a failure here.
        """
        try:
            if withdraw_record(self.request.stanza, self.request.node):
                self.actions.append("withdrew the fence record on the repository host")
        except RelevoError as error:
            self.failures.append({"method": "fence record", "error": error.message})
