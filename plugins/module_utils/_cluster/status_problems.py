# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody should do something about on a cluster: a tuple of small checks over its status.

The codes are an interface: programs react to them, and docs/reference/problems.md has a row for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from .. import _names
from .._authority import Authority
from .._server.lsn import SEGMENT, SEGMENT_SIZE, parse_lsn, segment_start
from .._server.peer import Life
from .._tables import format_bytes, format_duration
from .answer import WAY_OUT, Slot
from .observed import Proxy, scratch_removal
from .slots import not_synchronised, of_others
from .status import ClusterStatus, NodeStatus, Problem, Severity, iso
from .topology import cure_of

#: A standby that streams confirms a commit within milliseconds.
STALLED_S = 5
#: Segments. One that hangs holds the other one up for most of a minute before each lot.
MUCH = 32
#: When site.yml has had time to renew it, and has not been run.
EXPIRES_DAYS = 25

CODES: dict[str, Severity] = {
    "no-primary": "error",
    "two-primaries": "error",
    "foreign-node": "error",
    "container-down": "error",
    "node-fenced": "error",
    "rejoin-interrupted": "error",
    "restore-unfinished": "error",
    "node-removed": "warning",
    "node-unreachable": "error",
    "server-hung": "error",
    "server-starting": "error",
    "server-refuses-us": "error",
    "server-stopped": "error",
    "server-crashed": "error",
    "node-empty": "error",
    "start-guard": "error",
    "adopted-unit": "warning",
    "not-streaming": "error",
    "synchronous-blocked": "error",
    "synchronous-stalled": "error",
    "archiving-fails": "error",
    "newer-timeline": "error",
    "abandoned-timeline": "warning",
    "repository-unreachable": "error",
    "repository-unusable": "error",
    "repository-away": "error",
    "no-backup": "error",
    "archive-hole": "error",
    "archive-hole-past": "warning",
    "no-synchronous-standby": "warning",
    "replay-paused": "warning",
    "replay-delayed": "warning",
    "slot-keeps-wal": "warning",
    "slot-left-behind": "warning",
    "slot-not-synchronised": "warning",
    "restart-pending": "warning",
    "reload-pending": "warning",
    "configuration-refused": "error",
    "configuration-differs": "warning",
    "proxy-down": "warning",
    "proxy-lacks-node": "warning",
    "certificate-expired": "error",
    "certificate-expires": "warning",
    "authority-expired": "error",
    "authority-expires": "warning",
    "scheduled-run-failed": "warning",
    "tables-unfinished": "warning",
    "scratch-left-behind": "warning",
}

Found = Iterator[Problem]


def problem(code: str, message: str, action: str, node: str | None = None) -> Problem:
    return Problem(code, CODES[code], message, action, node)


def with_problems(status: ClusterStatus) -> ClusterStatus:
    """The status with its problems: of the cluster, of each node, of what is in front, and of the repository."""
    found = [one for check in CLUSTER_CHECKS for one in check(status)]
    found += [one for node in status.nodes for check in _checks_of(node) for one in check(status, node)]
    found += [*_proxies(status), *(one for check in REPOSITORY_CHECKS for one in check(status))]
    return replace(status, problems=found)


def _rejoin(status: ClusterStatus) -> str:
    return "Run rejoin.yml." if status.primary else "It comes back with rejoin.yml, once there is a primary."


# --- the cluster -----------------------------------------------------------------------------------------------------


def _no_primary(status: ClusterStatus) -> Found:
    if not status.primaries:
        # One that lives may well be primary, and take writes of all but us.
        living = [node.name for node in status.nodes if node.state in _LIVES]
        if living:
            message, action = "No primary lets us in.", f"Promote nobody before it is clear what {living[0]} is."
        else:
            message, action = "No primary takes writes.", _how_one_comes_back(status)
        yield problem("no-primary", message, action)


def _how_one_comes_back(status: ClusterStatus) -> str:
    if any(node.restore for node in status.nodes):
        return "The cluster is being restored in place: finish that, or go back as its plan says."
    if not all(node.state == "empty" for node in status.nodes):
        return "Start the old one, or run failover.yml to promote a standby."
    if status.backups:
        return (
            "No node holds data. restore.yml -e to=cluster -e target_type=latest brings back what the repository has."
        )
    return "No node holds data, and no backup is known. site.yml says what is there, and what a new beginning gives up."


def _two_primaries(status: ClusterStatus) -> Found:
    if len(status.primaries) > 1:
        yield problem(
            "two-primaries", f"Two primaries take writes: {' and '.join(status.primaries)}.", "Stop one at once."
        )


def _is_foreign(status: ClusterStatus, node: NodeStatus) -> bool:
    """Whether it holds the data of another cluster than the primary's, whether or not its server answers."""
    known = status.primary.system_identifier if status.primary else None
    return bool(known) and node.state != "removed" and node.system_identifier not in (None, known)


def _foreign_node(status: ClusterStatus) -> Found:
    for node in status.nodes:
        if _is_foreign(status, node):
            yield problem(
                "foreign-node",
                f"{node.name} holds another cluster's data: its system identifier differs from that of the primary.",
                "Check the inventory (node_address, node_cluster). To have it made a standby here, move that data away "
                "first: rejoin.yml overwrites none of it.",
                node.name,
            )


def _configuration_differs(status: ClusterStatus) -> Found:
    if status.differing_settings:
        names = [node.name for node in status.nodes]
        yield problem(
            "configuration-differs",
            f"{' and '.join(names)} do not have the same configuration: {', '.join(status.differing_settings)}.",
            "Run site.yml, which gives all of them what the inventory says.",
        )


def _scheduled_run_failed(status: ClusterStatus) -> Found:
    """A warning: otherwise a check that was scheduled with ``require=healthy`` would fail for its own last failure."""
    for run in status.schedule or []:
        if run["state"] == "failed":
            when = f" at {run['ended']}" if run["ended"] else ""
            said = f"The scheduled {run['name']} failed{when}: {run['sentence']}"
            yield problem(
                "scheduled-run-failed",
                f"{said} {run['untold']}".rstrip(),
                f"journalctl -u {run['unit']} shows all of it; then run systemctl start {run['unit']}.",
            )


# --- a node ----------------------------------------------------------------------------------------------------------


def _fenced(status: ClusterStatus, node: NodeStatus) -> Found:
    if node.fence:
        fence = node.fence
        down = " and is down" if node.container not in ("", "running") else ""
        yield problem(
            "node-fenced",
            f"{node.name} was fenced by {fence.requested_by} at {fence.at} for {fence.successor}{down}.",
            _rejoin(status),
            node.name,
        )


#: By what a container is: what else to do than to start it.
_NOT_STARTED = {
    "paused": "Run docker unpause {0}.",
    "restarting": "docker logs {0} says why it ends again and again.",
    "missing": "Run site.yml, which creates it.",
}


def _container_down(status: ClusterStatus, node: NodeStatus) -> Found:
    if node.state == "container-down" and not node.fence:
        start = "Run rejoin.yml." if status.primary else f"Run docker start {node.name}."
        action = _NOT_STARTED.get(node.container, start).format(node.name)
        yield problem("container-down", f"The container {node.name} is {node.container}.", action, node.name)


def _rejoin_interrupted(status: ClusterStatus, node: NodeStatus) -> Found:
    if node.rejoin:
        yield problem(
            "rejoin-interrupted", f"{node.name} was cut off while it was rejoining.", _rejoin(status), node.name
        )


def _restore_unfinished(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.restore:
        yield problem(
            "restore-unfinished",
            f"{node.name} waits for the end of a restore in place, which {node.restore.requested_by} began at "
            f"{node.restore.at}.",
            f"Finish it: {node.restore.reason}",
            node.name,
        )


def _removed(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.removed:
        was = f"{node.name} was removed from its cluster by {node.removed.requested_by} at {node.removed.at}"
        if node.answers:
            said = f"{was}, and its server still runs: the removal was cut off."
            cure = f"Run it again: remove_node.yml -e node={node.name} -e confirm={node.name}."
        else:
            said = f"{was}, and is still in the inventory."
            cure = f"Take it out there, or add it again: add_node.yml -e node={node.name}."
        yield problem("node-removed", said, cure, node.name)


#: By state: the code, and what to do.
_DOWN = {
    "unreachable": ("node-unreachable", "Look at its host and at the network."),
    "hung": ("server-hung", "Look at its log, its disk and the network."),
    "stopped": ("server-stopped", ""),
    "crashed": ("server-crashed", "Look at its log."),
    "empty": ("node-empty", ""),
    "refused": ("start-guard", ""),
    "waiting": ("start-guard", ""),
}


def _without_primary(node: NodeStatus) -> str:
    """How a server comes back that no primary waits for. One that its guard keeps down would be kept down again."""
    if node.state == "hung":
        return "Restart it."
    if node.state == "empty":
        return "Once there is a primary, rejoin.yml copies it anew."
    if node.state == "stopped" and node.adopted_unit:
        return f"Start it there: systemctl start {_OUR_UNIT}."
    return (node.guard.advice if node.guard and node.state in ("refused", "waiting") else "") or "Start it."


_OUR_UNIT = "relevo-postgresql"


def _why_stopped(node: NodeStatus) -> str:
    """What may have stopped an adopted server, and what does not start it any more; empty of any other."""
    if node.state != "stopped" or not node.adopted_unit:
        return ""
    return (
        f" It was adopted from {node.adopted_unit}, with which an upgrade of Debian's package stops a server that "
        "still runs under it; that unit does not start it any more."
    )


#: By state: the code of a server that answers, but not to us.
_LIVES = {"starting": "server-starting", "refuses-us": "server-refuses-us"}
_LIFE: dict[str, Life] = {"starting": "starting", "refuses-us": "refused"}


def _lives(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.state in _LIVES:
        cure = cure_of(_LIFE[node.state], node.error.removeprefix(f"{node.name}: "))
        message = f"{node.reason.removesuffix(f' {cure}')} {node.recovery}".rstrip()
        yield problem(_LIVES[node.state], message, cure, node.name)


def _down(status: ClusterStatus, node: NodeStatus) -> Found:
    if node.state in _DOWN and not node.fence:
        code, look = _DOWN[node.state]
        action = "Run rejoin.yml." if status.primary else _without_primary(node)
        if _is_foreign(status, node):
            # Which would refuse.
            action = "See first whose data it holds."
        said = node.error.removeprefix(f"{node.name}: ")
        message = f"{node.name} does not answer: {node.reason} ({said}).{_why_stopped(node)}"
        yield problem(code, message, f"{look} {action}".strip(), node.name)


def _adopted(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.foreign_unit:
        yield problem(
            "adopted-unit",
            f"{node.name} still runs under {node.foreign_unit}, which does not start it again: a crash, or an upgrade "
            "of Debian's package, which stops it, leaves it down.",
            f"Let {_OUR_UNIT} run it: site.yml -e restart=true or, of two servers, failover.yml and then failback.yml.",
            node.name,
        )


def _not_streaming(status: ClusterStatus, node: NodeStatus) -> Found:
    if not status.primary or node.state != "not-streaming":
        return
    # It streams once it has replayed what it has. A rejoin would not make that any sooner.
    if node.own_pace == "delayed":
        yield problem(
            "replay-delayed",
            f"{node.name} replays with a delay, on purpose, and does not stream from {status.primary.name} before it "
            "has replayed what it has.",
            "Wait for that, or set recovery_min_apply_delay to 0 there.",
            node.name,
        )
    elif node.own_pace != "paused":
        yield problem(
            "not-streaming", f"{node.name} does not stream from {status.primary.name}.", "Run rejoin.yml.", node.name
        )


def _waits_to_stream(node: NodeStatus) -> bool:
    return node.state == "not-streaming" and node.own_pace == "paused"


def _replay_paused(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.replay_paused:
        yield problem(
            "replay-paused",
            f"Replay is paused on {node.name}{', which does not stream meanwhile' if _waits_to_stream(node) else ''}.",
            "Let it go on there: SELECT pg_wal_replay_resume().",
            node.name,
        )


def _synchronous(status: ClusterStatus, node: NodeStatus) -> Found:
    if node is not status.primary:
        return
    state = status.synchronous
    if not state.names:
        if state.wanted:
            yield problem(
                "no-synchronous-standby",
                f"{node.name} takes writes without a synchronous standby until one follows.",
                "Run rejoin.yml.",
                node.name,
            )
        return
    waiting = f"{state.waiting} sessions wait" + (
        f", the longest for {format_duration(state.waiting_s)}" if state.waiting else ""
    )
    if not any(sender.counts for sender in node.senders):
        required = f"it requires a synchronous standby ({state.names}) and none streams"
        message = f"BLOCKED: {node.name} takes no writes, since {required}; {waiting}."
        yield problem("synchronous-blocked", message, WAY_OUT, node.name)
    elif state.waiting_s >= STALLED_S:
        message = f"BLOCKED: the synchronous standby of {node.name} does not confirm what it is sent; {waiting}."
        yield problem("synchronous-stalled", message, WAY_OUT, node.name)


def _archiving(status: ClusterStatus, node: NodeStatus) -> Found:
    if node is not status.primary or not status.archiver or not status.archiver.failing:
        return
    # With two it fails for as long as one of them is away, which is told of that one.
    if not status.repositories_away or _is_behind(status, node, str(status.archiver.last_failed or "")):
        also = ", also in the repository that answers" if status.repositories_away else ""
        yield problem(
            "archiving-fails",
            f"Archiving fails on {node.name} at {status.archiver.last_failed}{also}.",
            "See its log and the repository.",
            node.name,
        )


def _is_behind(status: ClusterStatus, node: NodeStatus, failed: str) -> bool:
    """Whether the repository that answers lacks what it should have: the first that fails, or many that came after."""
    if not status.newest_archived:
        return False
    newest = segment_start(status.newest_archived)
    since = parse_lsn(node.lsn) - newest if node.lsn else 0
    return (SEGMENT.fullmatch(failed) is not None and segment_start(failed) > newest) or since > MUCH * SEGMENT_SIZE


def _slots(status: ClusterStatus, node: NodeStatus) -> Found:
    others = of_others(node.slots, [known.name for known in status.nodes])
    for slot in node.slots:
        if node.role == "primary" and not slot.active and slot.kept_bytes:
            kept = format_bytes(slot.kept_bytes)
            if slot in others:
                whom, action = "a consumer that is not connected", f"Start its consumer, or {_drop(slot)}"
            else:
                whom, action = "a standby that is away", "Bring that standby back with rejoin.yml"
            yield problem(
                "slot-keeps-wal",
                f"The slot {slot.name} on {node.name} keeps {kept} of WAL for {whom}.",
                f"{action}; its disk fills up otherwise.",
                node.name,
            )


def _left_slots(status: ClusterStatus, node: NodeStatus) -> Found:
    """What is on this node from its time as the primary, or from before a hand-over to it that did not come about.

    A rejoin drops those of the standbys, but for one that was in use at that moment.
    """
    if node.role != "standby":
        return
    others = of_others(node.slots, [known.name for known in status.nodes])
    for slot in node.slots:
        if not slot.active and not slot.synced and not slot.invalidated and not slot.temporary and slot.restart_lsn:
            kept = f" ({format_bytes(slot.kept_bytes)} now)" if slot.kept_bytes and slot.kept_bytes > 0 else ""
            yield problem(
                "slot-left-behind",
                f"The slot {slot.name} on {node.name}, a standby, keeps WAL there for nobody{kept}.",
                f"Give its consumer one on the primary; then {_drop(slot)} on {node.name}."
                if slot in others
                else "Run rejoin.yml, which drops it.",
                node.name,
            )


def _drop(slot: Slot) -> str:
    return f"drop it if nobody needs it (SELECT pg_drop_replication_slot('{slot.name}'))"


def _failover_slots(status: ClusterStatus, node: NodeStatus) -> Found:
    if status.primary and node.state == "streaming":
        for slot in not_synchronised(status.primary.slots, node.slots):
            yield problem(
                "slot-not-synchronised",
                f"The failover slot {slot.name} of {status.primary.name} is not synchronised to {node.name}, and would "
                "be lost if that took over.",
                f"A new one needs a moment, and a consumer that reads. Otherwise run site.yml, and see the log of "
                f"{node.name}.",
                node.name,
            )


def _restart(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.pending_restart:
        settings = ", ".join(node.pending_restart)
        yield problem(
            "restart-pending",
            f"{node.name} must be restarted for {settings}.",
            "It restarts when it hands over the primary role, or with site.yml -e restart=true.",
            node.name,
        )


def _configuration(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.configuration_faults:
        yield problem(
            "configuration-refused",
            f"{node.name} would not start with the configuration that it has, or not with all of it: "
            f"{'; '.join(node.configuration_faults)}.",
            "Correct it in the inventory, and run site.yml.",
            node.name,
        )
    elif node.reload_owed:
        yield problem(
            "reload-pending",
            f"{node.name} has not read its configuration since that was written.",
            "Run site.yml, which lets it.",
            node.name,
        )


def _tls_server(host: str, node: str | None) -> Problem:
    return problem(
        "reload-pending",
        f"pgBackRest's TLS server on {host} has not read its configuration or its certificate since that was written.",
        "Run site.yml, which lets it.",
        node,
    )


def _tls_reload(_status: ClusterStatus, node: NodeStatus) -> Found:
    if node.tls_reload_owed:
        yield _tls_server(node.name, node.name)


def _certificate(_status: ClusterStatus, node: NodeStatus) -> Found:
    yield from _certificate_of(node.name, node.certificate_days)


def _certificate_of(name: str, days: float | None) -> Found:
    if days is not None and days < EXPIRES_DAYS:
        cure = "Run site.yml, which renews it."
        if days > 0:
            message = f"The certificate of {name} expires in {days:.0f} days."
            yield problem("certificate-expires", message, cure, name)
        else:
            yield problem("certificate-expired", f"The certificate of {name} has expired.", cure, name)


def _authorities(status: ClusterStatus) -> Found:
    """Each once, whoever's certificates are of it: it ends for all of them at the same time."""
    hosts = [(node.name, node.authority) for node in status.nodes if node.state != "removed"]
    hosts += [(status.repository_host, status.repository_authority)]
    hosts += [(proxy.name, proxy.authority) for proxy in status.proxies]
    ending: dict[tuple[str, str], tuple[Authority, list[str]]] = {}
    for host, authority in hosts:
        if authority and authority.days < EXPIRES_DAYS:
            names = ending.setdefault((authority.name, authority.ends), (authority, []))[1]
            names += [] if host in names else [host]
    for authority, names in ending.values():
        said = f"The authority {authority.name}, of which the certificates of {' and '.join(names)} are,"
        day, what = authority.ends[:10], "replication and archiving over TLS, and all clients that verify it"
        if authority.days > 0:
            then = f"expires on {day}, in {authority.days:.0f} days. That ends {what}."
            yield problem("authority-expires", f"{said} {then}", authority.cure)
        else:
            yield problem("authority-expired", f"{said} expired on {day}. That ends {what}.", authority.cure)


def _restore(status: ClusterStatus, node: NodeStatus) -> Found:
    # While one is at work it is among the operations.
    if node.restore_left and not status.operations:
        yield problem(
            "tables-unfinished",
            f"A restore of tables or of a database onto {node.name} was cut off: {_names.RESTORE_DIR} has "
            f"{', '.join(node.restore_left)}. None of it is loaded.",
            f"Run the same restore.yml again. To give it up, remove these files, and drop the database that has the "
            f'comment "{_names.UNFINISHED_RESTORE}", if there is one.',
            node.name,
        )


# --- what is in front of it ------------------------------------------------------------------------------------------


def _proxies(status: ClusterStatus) -> Found:
    """A warning where one is down: the cluster itself is well, and clients may have another way to it."""
    for proxy in status.proxies:
        if proxy.unreachable:
            why = proxy.unreachable.rstrip(".")
            yield problem(
                "proxy-down",
                f"{proxy.name}, with HAProxy in front of the cluster, does not answer ({why}).",
                "Start it, and look at its network.",
                proxy.name,
            )
            continue
        if not proxy.running:
            yield problem(
                "proxy-down",
                f"HAProxy on {proxy.name} does not run: nobody gets to the cluster through it.",
                "Start its service (relevo-haproxy; of a container, haproxy), and see its log; then run site.yml.",
                proxy.name,
            )
        if proxy.reload_owed:
            yield problem(
                "reload-pending",
                f"HAProxy on {proxy.name} does not work with the configuration, the certificate or the program that is "
                "there now.",
                "Run site.yml, which lets it, and says what keeps it from that.",
                proxy.name,
            )
        yield from _lacking(status, proxy)
        # That of a host which is also a node has been looked at there.
        if proxy.name not in {node.name for node in status.nodes}:
            yield from _certificate_of(proxy.name, proxy.certificate_days)


def _lacking(status: ClusterStatus, proxy: Proxy) -> Found:
    """The nodes that it does not know. One that does not answer may not have been added yet, or is being removed."""
    for node in status.nodes:
        if proxy.servers is not None and node.answers and not node.removed and node.name not in proxy.servers:
            yield problem(
                "proxy-lacks-node",
                f"HAProxy on {proxy.name} does not know {node.name}: as primary it is not reached through there.",
                f"Run add_node.yml -e node={node.name} again, or site.yml; either tells it.",
                proxy.name,
            )


# --- the repository --------------------------------------------------------------------------------------------------


def _newer_timeline(status: ClusterStatus) -> Found:
    """A timeline in the archive that is newer than all that the servers are on."""
    primary = status.primary
    if not primary or status.archive_timeline <= max(node.timeline for node in status.nodes):
        return
    unreachable = [node.name for node in status.nodes if not node.answers]
    newer = (
        f"The archive holds timeline {status.archive_timeline}, newer than the timeline {primary.timeline} of "
        f"{primary.name}"
    )
    if unreachable:
        names = " or ".join(unreachable)
        yield problem("newer-timeline", f"{newer}; {names}, which does not answer, may be on it.", "Run rejoin.yml.")
        return
    yield problem(
        "abandoned-timeline",
        f"{newer}, and nobody follows it. A restore to the latest point would look for it and fail.",
        "Hand the role over once, which opens a newer timeline (failover.yml, then failback.yml).",
    )


def _repository(status: ClusterStatus) -> Found:
    if status.backups is None:
        yield problem(
            "repository-unreachable",
            "The repository host does not answer, so nothing is archived or backed up.",
            f"Start {status.repository_host or 'it'}.",
        )
    elif status.repository_problem:
        yield problem("repository-unusable", status.repository_problem, "Run status.yml again then.")
    elif not status.backups:
        yield problem("no-backup", "There is no backup.", "Run backup.yml.")


def _repositories_away(status: ClusterStatus) -> Found:
    """Of two: the other one has all WAL, and this one gets it from the primary when it is back."""
    for one in status.repositories_away:
        yield problem(
            "repository-away",
            f"Repository {one['repository']} is away, and the primary keeps all WAL that it lacks: {one['reason']}",
            "The other one works; this one gets what it lacks when it is back.",
        )
    for one in status.repositories_behind:
        count = sum(int(hole["count"]) for hole in one["holes"])
        yield problem(
            "archive-hole",
            f"Repository {one['repository']} lacks {count} segments of WAL ({one['holes'][0]['first']} to "
            f"{one['holes'][-1]['last']}): not every moment can be restored from it.",
            "Run site.yml, which copies from the other one what is of older timelines; where that does not help, "
            f"backup.yml -e repository_number={one['repository']} -e day=1.",
        )


def _repository_reload(status: ClusterStatus) -> Found:
    if status.repository_reload_owed:
        yield _tls_server(status.repository_host, None)


def _repository_certificate(status: ClusterStatus) -> Found:
    # That of a host which is also a node, or has HAProxy, has been looked at there.
    others = {node.name for node in status.nodes} | {proxy.name for proxy in status.proxies}
    if status.repository_host not in others:
        yield from _certificate_of(status.repository_host, status.repository_certificate_days)


def _holes(status: ClusterStatus) -> Found:
    """WAL that the archive lacks, which neither pgBackRest's ``check`` nor its ``verify`` tells of."""
    for loss in status.losses:
        hole = loss.hole
        since = f"from {iso(loss.after)}" if loss.after else "from the beginning"
        missing = f"{hole.count} segments of WAL are" if hole.count > 1 else "1 segment of WAL is"
        said = f"{missing} missing in the archive ({hole.first} to {hole.last})"
        if hole.history:
            yield problem(
                "archive-hole",
                f"{hole.history} is missing in the archive, so no backup before it leads to the newest timeline.",
                "Run site.yml, which archives it from the primary's pg_wal. Where it is not there either, failover.yml "
                "begins a new timeline; then run backup.yml -e day=1.",
            )
        elif loss.before is None:
            yield problem(
                "archive-hole",
                f"{said}: not every moment {since} on can be restored.",
                "Run site.yml, which archives what the primary still has of it in its pg_wal. If this is still told "
                "after that, run backup.yml, after which every moment can be again, and look for what dropped it "
                "(archive-push-queue-max in pgbackrest_options).",
            )
        else:
            yield problem(
                "archive-hole-past",
                f"{said}: not every moment {since} to {iso(loss.before)} can be restored.",
                "It goes with the backups before it, or site.yml fills it from what the primary still has.",
            )


#: Those of the operation lock that make scratch instances: meanwhile one that is half made is being made.
_MAKES_SCRATCH = ("restore_beside", "drill")


def _scratch_left_behind(status: ClusterStatus) -> Found:
    """What a killed restore or drill has left. One that is whole, running or stopped, is kept on purpose."""
    if any(holder.get("operation") in _MAKES_SCRATCH for holder in status.operations or []):
        return
    for one in status.scratch or []:
        removal = scratch_removal(one, status.repository_host)
        named = f"The scratch instance {one['name']} on {one['host']}"
        if one["state"] == "gone":
            said = f"{named} is gone, and it is still noted on the repository host, where it may keep its backup."
            action = f"Take the note away: {removal}."
        elif one["state"] != "not seen" and one["name"].endswith(_names.DRILL):
            said = f"{named} was left by a drill that was cut off, and takes {format_bytes(one['size'])}."
            action = f"The next drill removes it, and so does {removal}."
        elif one["state"] == "unfinished":
            said = f"{named} is half made: its restore was cut off. It takes {format_bytes(one['size'])}."
            action = f"Run the same restore again, or remove it: {removal}."
        else:
            continue
        yield problem("scratch-left-behind", said, action, one["host"])


CLUSTER_CHECKS: tuple[Callable[[ClusterStatus], Found], ...] = (
    _no_primary,
    _two_primaries,
    _foreign_node,
    _configuration_differs,
    _scheduled_run_failed,
)
NODE_CHECKS: tuple[Callable[[ClusterStatus, NodeStatus], Found], ...] = (
    _container_down,
    _rejoin_interrupted,
    _restore_unfinished,
    _removed,
    _fenced,
    _lives,
    _down,
    _adopted,
    _not_streaming,
    _replay_paused,
    _synchronous,
    _archiving,
    _slots,
    _left_slots,
    _failover_slots,
    _restart,
    _configuration,
    _tls_reload,
    _certificate,
    _restore,
)


def _checks_of(node: NodeStatus) -> tuple[Callable[[ClusterStatus, NodeStatus], Found], ...]:
    """Of one that belongs to the cluster no more nothing else is expected than that it stays down."""
    return (_removed,) if node.state == "removed" else NODE_CHECKS


REPOSITORY_CHECKS: tuple[Callable[[ClusterStatus], Found], ...] = (
    _newer_timeline,
    _repository,
    _repositories_away,
    _repository_reload,
    _repository_certificate,
    _authorities,
    _holes,
    _scratch_left_behind,
)
