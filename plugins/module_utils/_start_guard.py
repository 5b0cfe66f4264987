# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that stands before PostgreSQL: may this server come up as a primary?

The service manager runs it as user postgres (``python3 -m relevo._start_guard``) before every start, whoever asked for
it. Its exit with 0 means: start. Otherwise it stays, says why, and asks again. See docs/explanation/start-guard.md.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import _names
from ._durable import write_file
from ._errors import RelevoError
from ._repository.fence_record import REPOSITORY_TIMEOUT, FenceRecord, RepositoryReader
from ._server import abandoned_timelines, marker, standby_minimum
from ._server.guard_config import GUARD_CONFIG, GuardConfig
from ._server.lsn import history_name, parse_history, timeline_of_history
from ._server.marker import Marker
from ._server.server import Server

if TYPE_CHECKING:
    from ._cluster.topology import NodeState

ASK_AGAIN_AFTER = 3.0
REMIND_AFTER = 300.0


@dataclass(frozen=True)
class LocalState:
    """What the node's own disk says."""

    system_identifier: str
    timeline: int
    state: str
    standby: bool
    fence: Marker | None = None
    rejoin: Marker | None = None
    restore: Marker | None = None
    removed: Marker | None = None
    start_pass: bool = False


@dataclass(frozen=True)
class Repository:
    """What the repository host answered; ``error`` says why it did not."""

    error: str | None = None
    fence: Marker | None = None
    successor_timeline: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Start, refuse (something forbids it) or wait (nobody can tell); ``advice`` says what to do."""

    action: Literal["start", "refuse", "wait"]
    reason: str
    advice: str = ""


REJOIN = "Run rejoin.yml to make this node a standby of the primary."
LOST = "If the new primary is lost for good: failover.yml -e candidate={node} -e force=true."


def decide_alone(config: GuardConfig, local: LocalState) -> Verdict | None:
    """What the node's own disk decides; None when the witnesses must be asked."""
    if local.removed:
        # Also as a standby: nobody counts it, nor keeps WAL for it.
        return Verdict(
            "refuse",
            f"it was removed from its cluster {local.removed.describe()}",
            f"add_node.yml -e node={config.node} makes it a standby again.",
        )
    if local.restore:
        # Also as a standby: it keeps the data from before the restore until the target is reached.
        parts = f"by {local.restore.by} at {local.restore.at}"
        return Verdict(
            "refuse", f"the cluster is being restored in place ({parts})", f"Finish it: {local.restore.reason}"
        )
    if local.rejoin:
        return Verdict(
            "refuse", f"its data was being overwritten when that was cut off ({local.rejoin.describe()})", REJOIN
        )
    if local.standby:
        return Verdict("start", "it starts as a standby or in recovery")
    if local.start_pass:
        return Verdict("start", "the process that made it, or stopped it for an aborted hand-over, starts it")
    if local.fence and local.fence.in_force(local.timeline):
        return Verdict("refuse", f"it was fenced {local.fence.describe()}", f"{REJOIN} {LOST.format(node=config.node)}")
    if local.state in ("shut down in recovery", "in archive recovery"):
        # Started so, it would go on writing the timeline that its primary writes.
        return Verdict("refuse", "it was a standby and its standby.signal is gone", REJOIN)
    if not config.peers and not config.repository:
        return Verdict("start", "neither a peer nor a repository is configured")
    return None


def _objection(
    config: GuardConfig, local: LocalState, peers: list[NodeState], repository: Repository | None
) -> Verdict | None:
    for peer in peers:
        if not peer.data or peer.system_identifier != local.system_identifier:
            continue
        if peer.data.get("handover_lock"):
            return Verdict(
                "refuse",
                f"{peer.name} holds the lock of a hand-over ({peer.data['handover_lock']})",
                "It is released when the hand-over ends; run the same playbook again if it was cut off.",
            )
        if peer.is_primary:
            return Verdict("refuse", f"{peer.name} is the primary (timeline {peer.timeline})", REJOIN)
        if peer.timeline > local.timeline:
            return Verdict(
                "refuse",
                f"{peer.name} follows timeline {peer.timeline}, this node ended on timeline {local.timeline}",
                f"{REJOIN} {LOST.format(node=config.node)}",
            )
    if repository and repository.fence and repository.fence.in_force(local.timeline):
        return Verdict(
            "refuse",
            f"the repository host keeps a record that it was fenced {repository.fence.describe()}",
            f"{REJOIN} {LOST.format(node=config.node)}",
        )
    # An abandoned timeline: its server is a standby on this node's timeline by now, or was made anew as one.
    abandoned = bool(peers) and all(peer.data and peer.system_identifier == local.system_identifier for peer in peers)
    if repository and repository.successor_timeline and not abandoned:
        return Verdict(
            "refuse",
            f"the archive holds timeline {repository.successor_timeline}, which descends from this node's timeline "
            f"{local.timeline}: another server was promoted",
            f"{REJOIN} {LOST.format(node=config.node)}",
        )
    return None


def decide(config: GuardConfig, local: LocalState, peers: list[NodeState], repository: Repository | None) -> Verdict:
    """May the server start, given what the witnesses answered (``repository`` None: there is none)?"""
    alone = decide_alone(config, local)
    if alone:
        return alone
    objection = _objection(config, local, peers, repository)
    if objection:
        return objection
    # A server of another cluster that answers at a peer's address knows nothing about this one.
    witnesses = [peer.name for peer in peers if peer.data and peer.system_identifier == local.system_identifier]
    witnesses += ["the repository host"] if repository and not repository.error else []
    if witnesses:
        return Verdict("start", f"no objection by {', '.join(witnesses)}")
    unreachable = [
        f"{peer.name} belongs to another cluster" if peer.data else peer.error or f"{peer.name} does not answer"
        for peer in peers
    ]
    unreachable += [f"the repository host: {repository.error}"] if repository else []
    nobody = f"no witness can say whether another server was promoted ({'; '.join(unreachable)})"
    if config.isolated == "start":
        return Verdict("start", f"{nobody}, and isolated servers may start (isolated: start)")
    return Verdict(
        "wait",
        nobody,
        "Start a peer or the repository host; postgresql_start_guard_isolated: start would start it unasked.",
    )


# --- asking ----------------------------------------------------------------------------------------------------------


def observe(server: Server) -> LocalState:
    """Read the node's own disk; raises ``RelevoError`` when the control file cannot be read."""
    standby = server.is_standby_configured or (server.pgdata / "recovery.signal").exists()
    fence, rejoin, restore = marker.read("fence"), marker.read("rejoin"), marker.read("restore")
    removed = marker.read("removed")
    if standby or rejoin or restore or removed:
        # The control file decides nothing here, and a start as a standby should lose no time.
        return LocalState("", 0, "", standby, fence, rejoin, restore, removed)
    control = server.control_data()
    return LocalState(
        control.system_identifier,
        control.newest_timeline,
        control.state,
        standby,
        fence,
        rejoin,
        restore,
        removed,
        marker.take_start_pass(),
    )


def archive_id(archive_info: str, system_identifier: str) -> str | None:
    """The directory of the archive that belongs to this cluster, from the text of ``archive.info``."""
    for identifier, entry in re.findall(r"^(\d+)=(\{.*\})$", archive_info, re.MULTILINE):
        database = json.loads(entry)
        if str(database.get("db-id")) == system_identifier:
            return f"{database['db-version']}-{identifier}"
    return None


def newer_timeline(reader: RepositoryReader, local: LocalState) -> int | None:
    """The newest archived timeline that descends from this server's, wherever it forks; None when there is none."""
    base = f"archive/{reader.stanza}"
    info = reader.get(f"{base}/archive.info")
    directory = archive_id(info, local.system_identifier) if info else None
    if directory is None:
        return None
    timelines = (timeline_of_history(name) for name in reader.names(f"{base}/{directory}"))
    for timeline in sorted((number for number in timelines if number), reverse=True):
        if timeline <= local.timeline:
            break
        text = reader.get(f"{base}/{directory}/{history_name(timeline)}") or ""
        if any(fork.timeline == local.timeline for fork in parse_history(text)):
            return timeline
    return None


def ask_repository(config: GuardConfig, local: LocalState, reader: RepositoryReader) -> Repository:
    """What the repository says about this node; an error of any kind is "did not answer", never "nothing there"."""
    try:
        fence = FenceRecord(config.node).read(reader)
        return Repository(fence=fence, successor_timeline=newer_timeline(reader, local))
    except (RelevoError, OSError, ValueError, KeyError) as error:
        return Repository(error=error.message if isinstance(error, RelevoError) else str(error))


def ask(config: GuardConfig, local: LocalState) -> tuple[list[NodeState], Repository | None]:
    """Ask the peers and the repository at the same time."""
    # Only here: it loads libpq, or psycopg in its place (0.2 s), and a start that needs no witness must lose no time.
    from ._cluster.probe import probe

    answers: list[Repository] = []
    thread = threading.Thread(
        target=lambda: answers.append(ask_repository(config, local, RepositoryReader(config.stanza))), daemon=True
    )
    if config.repository:
        thread.start()
    peers = probe(list(config.peers), config.timeout_s)
    if not config.repository:
        return peers, None
    thread.join(REPOSITORY_TIMEOUT + 2)
    repository = answers[0] if answers else Repository(error=f"no answer within {REPOSITORY_TIMEOUT:g} s")
    if repository.successor_timeline:
        # Whether that is abandoned the peers must say after the archive: one may have been promoted in between.
        peers = probe(list(config.peers), config.timeout_s)
    return peers, repository


# --- saying ----------------------------------------------------------------------------------------------------------


def record_status(directory: Path, node: str, verdict: Verdict, since: str) -> None:
    """Leave the verdict where ``status.yml`` finds it."""
    marker.ensure_directory(directory)
    status: dict[str, Any] = {
        "node": node,
        "verdict": verdict.action,
        "reason": verdict.reason,
        "advice": verdict.advice,
        "since": since,
    }
    write_file(directory / _names.GUARD_STATUS.name, json.dumps(status, indent=1) + "\n")


class VerdictLog:
    """Says a verdict when it changes, and again every few minutes."""

    def __init__(self, directory: Path = _names.MARKER_DIR) -> None:
        self.directory = directory
        self._last: Verdict | None = None
        self._said_at = 0.0

    def say(self, node: str, verdict: Verdict) -> None:
        changed = verdict != self._last
        if not changed and time.monotonic() - self._said_at < REMIND_AFTER:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        says = {"start": "may start", "refuse": "may not start", "wait": "waits"}[verdict.action]
        line = f"{now} start guard: PostgreSQL on {node} {says}: {verdict.reason}. {verdict.advice}".rstrip()
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        if changed:
            record_status(self.directory, node, verdict, now)
        self._last, self._said_at = verdict, time.monotonic()


def evaluate(server: Server, config_file: Path) -> tuple[str, Verdict]:
    """One round: read the disk, ask who must be asked, decide."""
    node = "this node"
    try:
        config = GuardConfig.from_json(config_file.read_text())
        node = config.node
        local = observe(server)
    except RelevoError as error:
        return node, Verdict("refuse", error.message.rstrip("."), "Run rejoin.yml to copy its data anew.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return node, Verdict("refuse", f"{config_file} cannot be used ({error})", "Run site.yml to write it again.")
    alone = decide_alone(config, local)
    if alone:
        return node, alone
    answers = ask(config, local)
    # The questions took a while: whoever fenced this node meanwhile wins.
    local = replace(
        local,
        fence=marker.read("fence"),
        rejoin=marker.read("rejoin"),
        restore=marker.read("restore"),
        removed=marker.read("removed"),
    )
    return node, decide(config, local, *answers)


def prepare(server: Server) -> None:
    """Clear away what would keep a server that may start from it."""
    server.remove_stale_lock_files()
    try:
        standby_minimum.bring(server)
    except (RelevoError, OSError) as error:
        # It may well start without.
        sys.stderr.write(f"start guard: {standby_minimum.FILE} could not be brought up to date ({error})\n")
    if abandoned_timelines.any_reserved(server) and (
        server.is_standby_configured or (server.pgdata / "recovery.signal").exists()
    ):
        abandoned_timelines.release(server, server.control_data().newest_timeline)


def main(config_file: Path = GUARD_CONFIG) -> int:
    """Return 0 once the server may start; a signal ends it before."""
    # A supervisor that wants the service down means the guard, too.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    server, log = Server(), VerdictLog()
    while True:
        node, verdict = evaluate(server, config_file)
        log.say(node, verdict)
        if verdict.action == "start":
            prepare(server)
            return 0
        time.sleep(ASK_AGAIN_AFTER)


if __name__ == "__main__":
    raise SystemExit(main())
