# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this node a standby of the primary: look (``observe``), decide (``plan``), act (``methods``), wait.

Every step changes nothing when it has been done, so a run that was cut off is finished by the next one.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _names
from .._cluster import synchronous
from .._cluster.lock import lock_holder
from .._cluster.slots import stale
from .._cluster.topology import NodeState, OwnPace
from .._errors import RelevoError
from .._repository.fence_record import FenceRecord, RepositoryReader
from .._server import marker
from .._server.credentials import Credentials
from .._server.replication import ensure_slot
from .._server.server import Server
from .._server.service import Service, stop_for_good
from .._server.session import Session, SessionError
from .lock import alone
from .methods import Copier, make_directory, push_unarchived
from .observe import POLL, Observer
from .plan import CutOff, Method, Plan, Removed, Request, Situation, Source, decide, methods_when_stopped
from .tablespaces import refusal

#: Seconds without streaming after which the archive is asked for what the primary may no longer have.
PATIENCE = 10.0
#: Seconds until a standby that makes its replay wait on purpose is left to its own pace: nobody knows when it streams.
OWN_PACE_PATIENCE = 3.0
#: The SQLSTATE of what somebody uses (object_in_use).
IN_USE = "55006"


@dataclass
class Rejoin:
    """One rejoin of this node."""

    request: Request
    service: Service
    server: Server = field(default_factory=Server)
    credentials: Credentials = field(default_factory=Credentials)
    actions: list[str] = field(default_factory=list)
    #: The methods that were tried and failed, with the reason.
    failures: list[dict[str, str]] = field(default_factory=list)
    #: What did not go as it should, and did not prevent the rejoin.
    warnings: list[str] = field(default_factory=list)
    #: Why it was not waited for until it streamed.
    own_pace: OwnPace = ""

    @property
    def observer(self) -> Observer:
        return Observer(self.request, self.server, self.credentials)

    def run(self, check_mode: bool = False) -> dict[str, Any]:
        """Do it, or in check mode say what would be done. Returns what the module returns."""
        self.request.validate()
        try:
            self._require_membership()
            return {**self._run(check_mode), "cut_off": "", "removed": ""}
        except (CutOff, Removed) as error:
            if self.request.required:
                raise
            # Only a primary that answers can say what there is to withdraw.
            nothing = {"method": "none", "own_pace": "", "withdraw_record": False, "cut_off": "", "removed": ""}
            why = {"cut_off" if isinstance(error, CutOff) else "removed": error.message}
            return {"changed": False, "primary": self.request.primary.name, **nothing, **why}

    def _require_membership(self) -> None:
        """Raise for a node that was removed from its cluster: nobody brings it back but who adds it again."""
        found = marker.read("removed")
        if found and not self.request.readmit:
            raise Removed(marker.removed_words(self.request.node, found))

    def _run(self, check_mode: bool) -> dict[str, Any]:
        started = time.monotonic()
        with self._alone(check_mode) as (lock, session):
            # The locks first: only then what is seen of the primary stays true.
            source = self.observer.source()
            copier = Copier(self.request, source, self.observer.history_text, lock, self.server)
            before = self.observer.situation()
            plan = decide(self.request, before, source)
            self.own_pace = before.own_pace if plan.first == "none" and not before.streams else ""
            method = self._act(session, copier, before, plan) if session else self._forecast(copier, plan)
        return {
            "changed": bool(self.actions),
            "method": method,
            "primary": self.request.primary.name,
            "timeline": source.timeline,
            "actions": self.actions,
            "withdraw_record": self.request.repository and self._record_stands(),
            "failures": self.failures,
            "notices": self.warnings,
            "own_pace": self.own_pace,
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
    def _alone(self, check_mode: bool) -> Iterator[tuple[int, Session | None]]:
        """The node's lock, and a session that holds the primary's. A forecast needs neither: it gets no session."""
        if check_mode:
            yield -1, None
            return
        with alone(_names.MARKER_DIR) as lock, self._role_stays() as session:
            yield lock, session

    @contextmanager
    def _role_stays(self) -> Iterator[Session]:
        """A shared lock on the primary: hand-overs take the same lock alone, so none moves the role meanwhile."""
        primary = self.request.primary
        name = f"relevo rejoin of {self.request.node}"[:63]
        try:
            session = Session.remote(primary, _names.HANDOVER_ROLE, self.credentials, application_name=name, timeout=10)
        except SessionError as error:
            raise CutOff(
                f"The primary cannot be reached ({error.message}). Nothing was changed; start {primary.name}."
            ) from error
        with session:
            if not session.flag("SELECT pg_try_advisory_lock_shared($1, $2)", _names.HANDOVER_LOCK):
                raise RelevoError(
                    f"A hand-over is under way ({lock_holder(session)} holds its lock on {primary.name}). "
                    "Nothing was changed. Wait until it has ended, then run this again."
                )
            yield session

    # --- acting --------------------------------------------------------------------------------------------------

    def _forecast(self, copier: Copier, plan: Plan) -> str:
        if plan.first == "none":
            self.actions += [f"remove the stale {kind} marker" for kind in self._stale_markers()]
            self.actions += [f"drop the slot {slot}" for slot in self._left_slots()]
            self.actions += [f"remove {copier.unfinished}"] if copier.unfinished.exists() else []
            self.actions += ["require no synchronous standby"] if synchronous.is_required_here() else []
        else:
            if plan.methods:
                self._require_backup(copier, plan)
                self._require_tablespaces(plan.methods)
            self.actions.append(f"{plan.first}: {plan.reason}")
        return plan.first

    def _act(self, session: Session, copier: Copier, situation: Situation, plan: Plan) -> str:
        self._require_backup(copier, plan)
        self.actions += ensure_slot(session, _names.slot_name(self.request.node))
        method = plan.first
        if plan.follow:
            method = "follow" if self._follow(copier) else ""
        if plan.methods or not method:
            if plan.fence:
                self._fence(situation)
                self._stop()
            self._require_tablespaces(plan.methods)
            self._stop()
            method = self._rebuild(copier)
        self._finish(copier)
        return method

    def _require_backup(self, copier: Copier, plan: Plan) -> None:
        """Raise where a restore is the only way, and none can be made: the server runs on as it is."""
        if plan.methods == ("restore",):
            try:
                copier.backup()
            except RelevoError as error:
                raise RelevoError(f"{error.message} Nothing was changed.") from error

    def _require_tablespaces(self, methods: Sequence[Method]) -> None:
        """Raise for a directory that this node lacks: every method would fail for it, after hours of copying."""
        tablespaces = self.observer.tablespaces()
        why_not = refusal(self.request.node, tablespaces, methods)
        if why_not:
            raise RelevoError(f"{why_not} Correct that, then run this again.")
        for one in tablespaces:
            if one.state == "creatable":
                make_directory(Path(one.path))

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
        # What is lost by ending a server at once, the copy brings back.
        if stop_for_good(self.service, self.server):
            self.actions.append("stopped it")

    def _rebuild(self, copier: Copier) -> str:
        """Try the methods in order until the node streams; returns the one that did it."""
        situation = self.observer.situation()
        methods = methods_when_stopped(self.request, situation, copier.source)
        self._archive_unarchived(situation, copier.source)
        for method in methods:
            try:
                copier.apply(method, situation)
                self.service.start()
                self._await_streaming(copier)
            except RelevoError as error:
                self.failures.append({"method": method, "error": error.message})
                self._stop()
                # The attempt may have changed what there is to build on.
                situation = self.observer.situation()
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

    def _archive_unarchived(self, situation: Situation, source: Source) -> None:
        usable = situation.initialised and not situation.cut_off
        if not self.request.repository or not usable or situation.system_identifier != source.system_identifier:
            return
        try:
            done = push_unarchived(self.server, self.request.stanza, source.timelines)
        except RelevoError as error:
            if self.request.discard_unarchived:
                self.warnings.append(error.message)
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
        """Wait until the node streams from the primary. The deadline moves on while recovery makes progress.

        One that replays at its own pace is not waited for: a restart would not make it stream any sooner.
        """
        timeout = self.request.timeout
        started = time.monotonic()
        deadline = started + timeout
        progress: tuple[int, str] = (0, "")
        first_pid: int | None = None
        asked_archive = False
        while True:
            data = self.observer.ask_local()
            if data and self.observer.streams(data):
                return
            pid = self.server.postmaster_pid()
            first_pid = first_pid or pid
            if first_pid and pid != first_pid:
                raise RelevoError(f"the server ended while it started{self.observer.last_words()}")
            now = time.monotonic()
            state = NodeState(self.request.primary, data)
            if state.own_pace and now - started > OWN_PACE_PATIENCE:
                self.own_pace = state.own_pace
                return
            current = (state.position, self.observer.recovering())
            if current != progress:
                progress, deadline = current, now + timeout
            if now > deadline:
                raise RelevoError(f"it has not streamed within {timeout:g} s{self.observer.last_words()}")
            if self.request.repository and not asked_archive and now - started > PATIENCE:
                asked_archive = True
                copier.configure(restore=True)
                self.server.reload()
            time.sleep(POLL)

    # --- afterwards ----------------------------------------------------------------------------------------------

    def _finish(self, copier: Copier) -> None:
        """What a standby must not keep: a restore command, markers, and what it had as the primary."""
        if not self.own_pace and copier.configure(restore=False):
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
        self._drop_slots(self._left_slots())

    def _drop_slots(self, names: list[str]) -> None:
        """One that a standby has taken meanwhile, which looks for its primary here, stays; the next run drops it."""
        if not names:
            return
        dropped = []
        with Session.local(application_name="relevo rejoin") as session:
            for name in names:
                try:
                    session.query("SELECT pg_drop_replication_slot($1)", (name,))
                    dropped.append(name)
                except SessionError as error:
                    if error.sqlstate != IN_USE:
                        raise
        if dropped:
            self.actions.append(f"dropped the slots {', '.join(dropped)}")

    def _stale_markers(self) -> list[marker.Kind]:
        kinds: tuple[marker.Kind, ...] = ("rejoin", "fence", "restore", "removed")
        return [kind for kind in kinds if marker.read(kind)]

    def _left_slots(self) -> list[str]:
        """Unused physical slots of other nodes of the cluster, which here would only keep WAL, and failover slots of
        this node's time as the primary."""
        others = {self.request.primary.name, *self.request.siblings} - {self.request.node}
        managed = {_names.slot_name(name) for name in others}
        slots = NodeState(self.request.primary, self.observer.ask_local() or {}).slots
        unused = [s.name for s in slots if s.type == "physical" and not s.active and s.name in managed]
        return unused + [slot.name for slot in stale(slots)]

    def _record_stands(self) -> bool:
        """Whether the repository holds a record that this node was fenced. The repository host withdraws it afterwards.

        It could not harm the standby, so a repository that does not answer is no failure here.
        """
        try:
            return FenceRecord(self.request.node).read(RepositoryReader(self.request.stanza)) is not None
        except RelevoError as error:
            self.warnings.append(f"Whether a record of its fence stands could not be asked: {error.message}")
            # To withdraw one that is not there does no harm.
            return True
