# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rolling minor upgrade has to do next, and why it is not begun now.

Nothing is kept of a run that was cut off: each run finds what is left to do. Where a machine has newer packages, or its
server still runs what was there before, where a container would be made otherwise today, that node is left to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from .. import _names
from .._operation_plan import Effect, OperationPlan
from .._server.marker import Marker, removed_words
from .._server.software import HAPROXY, PGBACKREST, is_server, release
from .._tables import format_bytes
from .topology import NodeState, Topology, TopologyError

OPERATION = "upgrade_minor"
#: A standby that is further behind would take long to catch up before the hand-over, and again after each restart.
MAX_LAG = 256 * 1024 * 1024
#: The reason in the fence marker that a planned hand-over leaves on the old primary until that follows (switchover).
PLANNED = "planned hand-over"

Action = Literal["none", "start", "create", "recreate"]
MARKERS = ("fence", "rejoin", "removed", "restore")


@dataclass(frozen=True)
class Software:
    """What a host says of itself; ``packages``, ``newer`` and ``held`` as in ``software.Packages``.

    ``server_old``, ``tls_server_old``, ``haproxy_old``: the process runs what is no longer on the disk;
    ``server_lacks``: the packages that its server was started before. ``policy_left``: a run that was cut off keeps
    packages from restarting services. ``apply_delay``: of a server that is down, in ms. ``refusal``: why its data do
    not fit the inventory. The markers are those on its disk.
    """

    packages: Mapping[str, str] = field(default_factory=dict)
    newer: Mapping[str, str] = field(default_factory=dict)
    held: Sequence[str] = ()
    interrupted: bool = False
    server_runs: bool = True
    server_old: bool = False
    tls_server_old: bool = False
    server_lacks: Sequence[str] = ()
    haproxy_old: bool = False
    policy_left: bool = False
    apply_delay: int = 0
    fence: Marker | None = None
    rejoin: Marker | None = None
    removed: Marker | None = None
    restore: Marker | None = None
    refusal: str = ""

    @classmethod
    def from_result(cls, given: Mapping[str, Any]) -> Software:
        """What ``node_software_info`` returns."""
        markers = {kind: Marker(**given[kind]) for kind in MARKERS if given.get(kind)}
        known = {one.name: given[one.name] for one in fields(cls) if one.name in given}
        return cls(**{**known, **dict.fromkeys(MARKERS), **markers})


@dataclass(frozen=True)
class Container:
    """What is to become of a host's container. ``packages``: those of the image, None while that is not built."""

    action: Action = "none"
    packages: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Scratch:
    """What was restored beside a cluster, any one, on a host of this one. ``state``: as ``pg_scratch_info`` has it."""

    name: str
    cluster: str
    state: str


@dataclass(frozen=True)
class Host:
    """A host of the cluster. ``software``: None of one that does not answer, for the reason ``unreachable``.

    ``container``: None of a machine. ``stopped``: its container is down or missing, and nothing on its disk forbids
    its start; otherwise ``forbidden`` says what does. ``delayed``: the inventory has it replay with a delay, which
    counts while its server cannot be asked. ``scratch``: the scratch instances on it.
    """

    name: str
    group: Literal["postgres", "pgbackrest", "redis", "haproxy"]
    version: str = ""
    software: Software | None = None
    container: Container | None = None
    unreachable: str = ""
    stopped: bool = False
    forbidden: str = ""
    delayed: bool = False
    scratch: Sequence[Scratch] = ()

    @property
    def packages_to_come(self) -> Mapping[str, str]:
        """The packages that change, with the versions that they will have."""
        if self.software is None:
            return {}
        if self.container is None:
            return self.software.newer
        if self.container.action != "recreate" or self.container.packages is None:
            return {}
        now = self.software.packages
        return {name: of for name, of in self.container.packages.items() if name in now and now[name] != of}

    @property
    def behind(self) -> bool:
        """Whether there is anything to do on it, beside pgBackRest, which all hosts get at once."""
        if self.container is not None:
            return self.container.action != "none"
        if self.software is None:
            return False
        owed = self.software.interrupted or self.software.policy_left
        owed = owed or self.software.server_old or self.software.haproxy_old
        return bool(set(self.software.newer) - {PGBACKREST}) or owed

    @property
    def server_behind(self) -> bool:
        """Whether its server has to be started anew."""
        if self.container is not None or self.software is None:
            return self.behind
        return self.software.server_old or any(is_server(name, self.version) for name in self.software.newer)

    @property
    def pgbackrest_behind(self) -> bool:
        """Whether a machine gets another pgBackRest, or its TLS server still runs the one before."""
        software = self.software
        return (
            self.container is None
            and software is not None
            and self.group in ("postgres", "pgbackrest")
            and (PGBACKREST in software.newer or software.tls_server_old)
        )

    @property
    def pgbackrest_now(self) -> str:
        """The version of pgBackRest that it has; empty where nobody can tell."""
        return release(self.software.packages.get(PGBACKREST, "")) if self.software else ""

    @property
    def pgbackrest_to_come(self) -> str:
        """The version of pgBackRest that it would have then."""
        to_come = self.packages_to_come.get(PGBACKREST)
        return release(to_come) if to_come and self.pgbackrest_now else self.pgbackrest_now

    @property
    def replays_late(self) -> bool:
        """Whether a standby whose server is down will replay with a delay, once it has been started."""
        return self.delayed or bool(self.software and self.software.apply_delay)


def is_delay(given: object) -> bool:
    """Whether a ``recovery_min_apply_delay`` of an inventory, ``1h`` or 0, is one."""
    return re.search("[1-9]", str(given)) is not None


@dataclass(frozen=True)
class Facts:
    """``preferred``: the preferred primary. ``shared``: the hosts that other clusters need, too.

    ``unfinished``: a sentence on a restore in place that has not ended.
    """

    cluster: str
    hosts: Sequence[Host]
    topology: Topology
    preferred: str = ""
    shared: Sequence[str] = ()
    unfinished: str = ""

    def find(self, name: str) -> Host | None:
        return next((host for host in self.hosts if host.name == name), None)

    @property
    def nodes(self) -> list[Host]:
        return [host for host in self.hosts if host.group == "postgres"]


@dataclass(frozen=True)
class MinorUpgrade:
    """The steps, in this order; what is empty is left out.

    ``first``: the repository host, where its container is down. ``finish``: a hand-over that was cut off is finished.
    ``pgbackrest``: the machines that get another pgBackRest, all
    at once. ``standbys``: one after the other. ``candidate`` takes over from ``primary``, which is the last one.
    ``others``: hosts on which no server of the cluster has to be started anew. ``left``: what is left to the user.
    """

    plan: OperationPlan
    primary: str = ""
    first: list[str] = field(default_factory=list)
    finish: bool = False
    pgbackrest: list[str] = field(default_factory=list)
    standbys: list[str] = field(default_factory=list)
    candidate: str = ""
    others: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def idle(self) -> bool:
        return not (self.first or self.finish or self.pgbackrest or self.standbys or self.candidate or self.others)

    @property
    def touched(self) -> list[str]:
        """The hosts that get something else than pgBackRest alone."""
        return [*self.standbys, *self.others, *([self.primary] if self.candidate else [])]


def minor_upgrade(facts: Facts) -> MinorUpgrade:
    """The decision; its plan holds the refusals."""
    refusals = [facts.unfinished] if facts.unfinished else []
    primary: NodeState | None = None
    if not facts.topology.states:
        # Nobody could be asked.
        return _refused(facts, [*refusals, *(_does_not_answer(host) for host in facts.nodes)])
    try:
        primary = facts.topology.require_primary()
    except TopologyError as error:
        refusals.append(error.message)
    if primary is None:
        return _refused(facts, refusals)
    refusals += _about_the_primary(facts, primary)
    finish = _is_unfinished(facts, primary)
    for host in facts.nodes:
        if host.name != primary.name:
            refusals += _about_a_standby(facts, host, primary, finish)
    pgbackrest = _pgbackrest(facts)
    for host in facts.hosts:
        refusals += _about_packages(facts, host, pgbackrest.machines)
        # Redis may be down at any time.
        if host.group == "pgbackrest" and host.unreachable and not host.stopped:
            refusals.append(_does_not_answer(host))
    refusals += pgbackrest.refusals

    behind = [host for host in facts.nodes if host.name != primary.name and (host.behind or host.stopped)]
    # A server that is down without a reason is started, and waited for, like one that was upgraded.
    behind += [host for host in facts.nodes if host not in behind and _is_down(facts, host) and not finish]
    standbys = [host.name for host in facts.nodes if host in behind]
    last = facts.find(primary.name)
    candidate = ""
    if last is not None and last.server_behind:
        candidate = _candidate(facts, primary)
        if not candidate:
            refusals.append(_nobody_takes_over(facts, primary))
    first = [host.name for host in facts.hosts if host.group == "pgbackrest" and host.stopped]
    apart = [host for host in facts.hosts if host.group != "postgres" and host.name not in first]
    others = [host.name for host in apart if host.behind and not _left_alone(facts, host)]
    left = [why for host in apart if (why := _left_alone(facts, host))]
    if last is not None and last.behind and not last.server_behind:
        others.insert(0, last.name)
    left += pgbackrest.left
    found = MinorUpgrade(
        OperationPlan(OPERATION, facts.cluster, "none", "Every node has what there is."),
        primary.name,
        first,
        finish,
        list(pgbackrest.machines),
        standbys,
        candidate,
        others,
        left,
    )
    for host in facts.hosts:
        refusals += _about_scratch(facts, host, found)
    plan = OperationPlan(
        OPERATION,
        facts.cluster,
        "none" if found.idle else "upgrade",
        _message(found),
        _effects(facts, found, primary),
        _expected(facts, found),
        _risks(facts, found, primary),
        refusals,
    )
    return replace(found, plan=plan)


def can_be_asked(found: MinorUpgrade, topology: Topology) -> bool:
    """Whether it can be known now what the hand-over would be refused for.

    Not while a standby is down, and comes back before its turn: what it might hold would stand against it. Nor the
    repository host, which says whether backups go on, and is started first; nor before a hand-over is finished.
    """
    answer = [state.name for state in topology.standbys]
    return found.candidate in answer and set(found.standbys) <= set(answer) and not (found.first or found.finish)


def with_handover(plan: OperationPlan, handover: OperationPlan) -> OperationPlan:
    """The plan with what the hand-over in it would cost, and why that would not be begun now."""
    why = [one.replace(" Nothing was changed.", "").replace("Nothing was changed. ", "") for one in handover.refusals]
    return replace(plan, risks=[*plan.risks, *handover.risks], refusals=[*plan.refusals, *why])


def _refused(facts: Facts, refusals: list[str]) -> MinorUpgrade:
    return MinorUpgrade(OperationPlan(OPERATION, facts.cluster, "none", "It would not be begun.", refusals=refusals))


# --- what stands against it ------------------------------------------------------------------------------------------


def _does_not_answer(host: Host) -> str:
    return f"{host.name} does not answer ({host.unreachable.rstrip('.')}). Start it, then run this again."


def _about_the_primary(facts: Facts, primary: NodeState) -> list[str]:
    host = facts.find(primary.name)
    found = [_does_not_answer(host)] if host is not None and host.unreachable else []
    if primary.handover_lock:
        found.append(f"A hand-over is under way ({primary.handover_lock}). Wait until it has ended.")
    return found


def _is_cut_off(host: Host, primary: NodeState) -> bool:
    """Whether this node waits for the end of a planned hand-over to the primary, or of its return as a standby."""
    software = host.software
    if software is None or software.server_runs or software.removed:
        return False
    handed_over = software.fence is not None and software.fence.reason == PLANNED
    to_it = handed_over and software.fence is not None and software.fence.successor == primary.name
    return to_it or (software.rejoin is not None and (software.fence is None or to_it))


def _is_unfinished(facts: Facts, primary: NodeState) -> bool:
    """Whether a hand-over to the primary was cut off: a node waits for its end, or for being told whom to follow.

    Or the primary takes writes without a synchronous standby, which is required again last of all, once one streams.
    """
    if any(_is_cut_off(host, primary) for host in facts.nodes if host.name != primary.name):
        return True
    if any(_follows_another(facts.topology, state, primary) for state in facts.topology.standbys):
        return True
    streaming = any(state.receiver and state.receiver.streams for state in facts.topology.standbys)
    return _is_weakened(primary) and streaming


def _is_weakened(primary: NodeState) -> bool:
    """Whether it takes writes without the synchronous standby that somebody wants."""
    return primary.synchronous.wanted and not primary.synchronous.names


def _follows_another(topology: Topology, state: NodeState, primary: NodeState) -> bool:
    """Whether a standby that runs was told to follow a node of its cluster that is not the primary.

    Nobody but a hand-over that has not come to it leaves that: each makes all nodes follow the one that was promoted.
    """
    others = [one for one in topology.states if one.name not in (primary.name, state.name)]
    names = {name for one in others for name in (one.node.host, one.name)} - {primary.node.host, primary.name}
    return state.is_standby and state.follows in names


def _follows(topology: Topology, state: NodeState, primary: NodeState) -> bool:
    """Whether a standby that runs gets what the primary writes, now or at its own pace."""
    streams = bool(state.own_pace) or bool(state.receiver and state.receiver.streams)
    return streams and not _follows_another(topology, state, primary)


def _is_down(facts: Facts, host: Host) -> bool:
    """Whether the server of a node that answers is down, and nothing on its disk forbids its start."""
    state, software = facts.topology.find(host.name), host.software
    if state is None or state.lives or software is None or software.server_runs:
        return False
    return not (software.fence or software.rejoin or software.removed)


def _about_a_standby(facts: Facts, host: Host, primary: NodeState, finish: bool) -> list[str]:
    """Why it cannot be worked on, or be done without while another one is. ``finish``: one that does not follow the
    primary is made to, since that is the end of a hand-over."""
    software = host.software
    if host.forbidden:
        return [host.forbidden]
    if host.stopped:
        return []
    if software is None:
        return [_does_not_answer(host)]
    if software.restore:
        return [
            f"The cluster is being restored in place, and that is not finished. Finish it: {software.restore.reason}"
        ]
    if software.removed:
        return [removed_words(host.name, software.removed)]
    if _is_cut_off(host, primary) or _is_down(facts, host):
        return []
    if software.fence:
        return [f"{host.name} is fenced, {software.fence.describe()}. Run rejoin.yml first."]
    if software.rejoin:
        return [f"{host.name} was cut off while it rejoined. Run rejoin.yml first."]
    state = facts.topology.find(host.name)
    if state is None or not state.reachable:
        said = state.hindrance if state is not None and state.lives else f"The server of {host.name} does not answer."
        return [f"{said} See status.yml."]
    if finish and not _follows(facts.topology, state, primary):
        # How far behind it is does not count: since then nobody has sent it anything.
        return []
    if not state.own_pace and not (state.receiver and state.receiver.streams):
        return [f"{host.name} does not stream from {primary.name}. Run rejoin.yml first."]
    lag = facts.topology.lag(state)
    if not state.own_pace and not state.delayed and (lag.replay_lag_bytes or 0) > MAX_LAG:
        return [
            f"{host.name} is {format_bytes(lag.replay_lag_bytes or 0)} behind {primary.name}, more than "
            f"{format_bytes(MAX_LAG)}. Wait until it has caught up (status.yml)."
        ]
    return []


def _held(host: Host, pgbackrest: Sequence[str]) -> list[str]:
    """The packages that a machine would get, and its administrator holds as they are."""
    software = host.software
    if software is None or host.container is not None:
        return []
    return [name for name in software.held if name in software.newer and _gets(host, name, pgbackrest)]


def _about_packages(facts: Facts, host: Host, pgbackrest: Sequence[str]) -> list[str]:
    software = host.software
    if software is None:
        return []
    found = [f"{host.name}: {software.refusal}"] if software.refusal else []
    held = _held(host, pgbackrest)
    # Of one that is left as it is nothing has to be released.
    if held and not _left_alone(facts, host):
        names = ", ".join(held)
        found.append(f"On {host.name} {names} is held as it is. Release it: apt-mark unhold {' '.join(held)}.")
    return found


def _gets(host: Host, package: str, pgbackrest: Sequence[str]) -> bool:
    """Whether a newer package of a host comes to it; ``pgbackrest``: the machines that get another pgBackRest."""
    return host.container is not None or package != PGBACKREST or host.name in pgbackrest


def _is_left_over(facts: Facts, one: Scratch) -> bool:
    """Whether a drill of this cluster has left it, which the next one removes: none runs beside an upgrade."""
    return one.cluster == facts.cluster and one.name.endswith(_names.DRILL)


def _about_scratch(facts: Facts, host: Host, upgrade: MinorUpgrade) -> list[str]:
    """Which scratch instances would be lost or broken, of any cluster: nobody who made one is asked.

    On a repository host's container an instance is in its own layer, and its server ends with the container anyway. A
    machine's goes on, but while it is being restored it asks a repository that may have another pgBackRest by then.
    """
    replaced = host.name in upgrade.touched and host.container is not None and host.container.action == "recreate"
    found = []
    for one in host.scratch:
        removal = f"restore.yml -e cluster={one.cluster} -e remove={one.name} -e restore_host={host.name}"
        if _is_left_over(facts, one):
            continue
        if one.state == "unfinished" and (replaced or host.name in upgrade.pgbackrest):
            meanwhile = "its container is replaced" if replaced else "it gets another pgBackRest"
            found.append(
                f"On {host.name} the scratch instance {one.name} of {one.cluster} is being restored, or that was cut "
                f"off, and {meanwhile}. Wait until it is there; or remove it: {removal}."
            )
        elif replaced:
            found.append(
                f"The scratch instance {one.name} of {one.cluster} is in the container of {host.name}, and would be "
                f"lost with it. Take out of it what you need, then remove it: {removal}."
            )
    return found


@dataclass(frozen=True)
class PgBackRest:
    """``machines`` get another pgBackRest; ``left``: what is said of those that do not."""

    machines: Sequence[str] = ()
    left: Sequence[str] = ()
    refusals: Sequence[str] = ()


def _pgbackrest(facts: Facts) -> PgBackRest:
    """It refuses to talk to another version of itself, so that all hosts of a repository have the same in the end.

    A repository host that other clusters need, too, keeps what it has: what the others would get has to be just that.
    """
    asked = [host for host in facts.hosts if host.pgbackrest_now]
    keeps = next((host for host in facts.hosts if host.group == "pgbackrest" and host.name in facts.shared), None)
    for host in asked:
        if host is not keeps and host.container is not None and host.pgbackrest_to_come != host.pgbackrest_now:
            why = (
                f"The new image of {host.name} has pgBackRest {host.pgbackrest_to_come} in place of "
                f"{host.pgbackrest_now}, which talks to no host that has not got it yet: nothing would be archived "
                "meanwhile. Replace all containers at once, with the servers down for as long: site.yml -e "
                "docker_nodes_recreate=true."
            )
            return PgBackRest(refusals=[why])
    if keeps is not None:
        return _pgbackrest_beside(keeps, [host for host in asked if host is not keeps])
    versions = {host.name: host.pgbackrest_to_come for host in asked}
    if len(set(versions.values())) > 1:
        why = (
            f"The hosts would have different versions of pgBackRest ({_listed(versions)}), which do not talk to one "
            "another. Give all hosts the same package sources, and refresh them."
        )
        return PgBackRest(refusals=[why])
    return PgBackRest([host.name for host in facts.hosts if host.pgbackrest_behind])


def _pgbackrest_beside(keeps: Host, others: Sequence[Host]) -> PgBackRest:
    """The same, where the repository host keeps what it has."""
    left = [_PGBACKREST_LEFT.format(host=keeps.name)]
    wanted = keeps.pgbackrest_now
    if not wanted:
        # It does not answer yet, and is started first. The next run knows what it has.
        return PgBackRest(left=left if any(host.pgbackrest_behind for host in others) else ())
    get = [host for host in others if host.pgbackrest_behind and host.pgbackrest_to_come == wanted]
    wrong = {host.name: host.pgbackrest_now for host in others if host not in get and host.pgbackrest_now != wanted}
    if wrong:
        why = (
            f"{keeps.name} serves other clusters too and has pgBackRest {wanted}, which talks to no other version: not "
            f"to {_listed(wrong)}, where that is not what the package sources have. Either install it there (apt-get "
            f"install pgbackrest={wanted}*), or one and the same version on all hosts of all clusters of {keeps.name}; "
            "then restart relevo-pgbackrest there."
        )
        return PgBackRest(refusals=[why])
    waits = any(host.pgbackrest_behind for host in (keeps, *others) if host not in get)
    return PgBackRest([host.name for host in get], left if waits else ())


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{version} on {name}" for name, version in versions.items())


def _candidate(facts: Facts, primary: NodeState) -> str:
    """Who takes over: the preferred primary where it can, otherwise the best of those that can."""
    able = [one for one in facts.topology.standbys if not one.delayed and not one.replay_paused and not one.own_pace]
    # One that is not there yet is, once its turn has come.
    down = [host for host in facts.nodes if host.stopped or _is_down(facts, host) or _is_cut_off(host, primary)]
    coming = [host.name for host in down if not host.replays_late]
    names = [state.name for state in able]
    best = facts.topology.best_candidate
    if facts.preferred in names:
        return facts.preferred
    if best is not None and best.name in names:
        return best.name
    return [*names, *coming, ""][0]


def _nobody_takes_over(facts: Facts, primary: NodeState) -> str:
    if len(facts.nodes) == 1:
        return (
            f"{primary.name} is the only node of {facts.cluster}, so nobody can take over while it is upgraded. Add a "
            "standby first (add_node.yml); or accept that writes stop meanwhile, and do it by hand: docs/upgrade.md."
        )
    return (
        f"No standby can take over from {primary.name}: each replays with a delay or is paused. Set "
        "recovery_min_apply_delay to 0, or SELECT pg_wal_replay_resume(), on one of them."
    )


# --- what is said of it ----------------------------------------------------------------------------------------------


def _message(found: MinorUpgrade) -> str:
    if found.idle:
        return "Every node has what there is. Nothing to do."
    # The first letter becomes a capital, which a host's name or pgBackRest's must not get.
    parts = [f"the start of {name}" for name in found.first]
    if found.finish:
        parts.append(f"the end of the hand-over to {found.primary}")
    if found.pgbackrest:
        parts.append("the newer pgBackRest on all its hosts at once")
    if found.standbys:
        parts.append(f"the standbys one after the other ({', '.join(found.standbys)})")
    if found.candidate:
        parts.append(f"one hand-over to {found.candidate}")
        parts.append(f"the old primary {found.primary}")
    if found.others:
        parts.append(f"the other hosts ({', '.join(found.others)})")
    text = ", then ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _effects(facts: Facts, found: MinorUpgrade, primary: NodeState) -> list[Effect]:
    touched = {
        *([found.primary] if found.finish and _is_weakened(primary) else []),
        *found.first,
        *found.pgbackrest,
        *found.touched,
    }
    effects = []
    for host in facts.hosts:
        if host.name in touched or (found.finish and host.group == "postgres" and host.name != found.primary):
            effects.append(Effect(host.name, _becomes(facts, found, host, primary)))
    return effects


def _becomes(facts: Facts, found: MinorUpgrade, host: Host, primary: NodeState) -> str:
    parts = []
    if host.name == found.primary and found.candidate:
        parts.append(f"hands over to {found.candidate}")
    state = facts.topology.find(host.name)
    version = (state.data or {}).get("server_version", "") if state else ""
    if version:
        parts.append(f"runs PostgreSQL {version}")
    if host.container is not None:
        action = host.container.action
        words = {"none": "", "start": "is started", "create": "gets its container", "recreate": "gets a new container"}
        said = words[action]
        if action == "recreate" and host.container.packages is None:
            said += ", whose image is not built yet"
        parts.append(said)
    changes = _changes(host, found.pgbackrest)
    if changes:
        parts.append(f"gets {changes}")
    elif host.container is not None and host.container.action == "recreate" and host.container.packages is not None:
        # Of Redis nothing is known.
        parts.append("with the same packages" if host.group != "redis" else "")
    if host.container is None and host.group == "postgres" and host.server_behind:
        lacks = host.software.server_lacks if host.software else ()
        parts.append(f"is restarted{f', since its server is older than {_words(lacks)}' if lacks else ''}")
    if host.container is None and host.software is not None:
        if host.software.haproxy_old or HAPROXY in host.software.newer:
            parts.append("has HAProxy go on with its new program, which ends no session")
        if host.software.policy_left:
            parts.append("lets packages restart services again, which a run that was cut off forbade")
    if found.finish and host.software and not host.software.server_runs:
        parts.append(f"becomes a standby of {found.primary}")
    elif found.finish and state and state.is_standby and not _follows(facts.topology, state, primary):
        parts.append(f"follows {found.primary}")
    elif found.finish and state is primary and _is_weakened(primary):
        parts.append("requires a synchronous standby again")
    elif host.group == "postgres" and _is_down(facts, host):
        parts.append("is started")
    return ", ".join(part for part in parts if part)


def _words(names: Sequence[str]) -> str:
    return " and ".join(names)


def _changes(host: Host, pgbackrest: Sequence[str]) -> str:
    """Its packages, from which version to which."""
    now = host.software.packages if host.software else {}
    to_come = {name: of for name, of in host.packages_to_come.items() if _gets(host, name, pgbackrest)}
    return ", ".join(f"{name} {of} ({now.get(name, 'new')} now)" for name, of in to_come.items())


def _expected(facts: Facts, found: MinorUpgrade) -> list[str]:
    expected = list(found.left)
    if found.standbys or found.candidate:
        expected.append("It ends at the first node that does not come back; the primary and the others go on then.")
    if found.candidate:
        expected.append("One write outage, which is measured: that of the hand-over.")
        if found.candidate != facts.preferred and facts.preferred:
            expected.append(f"{found.candidate} stays primary. failback.yml returns the role to {facts.preferred}.")
    expected += _stays_as_it_is(facts, found)
    if not found.idle:
        expected.append("A run that ends early is run again.")
    return expected


def _stays_as_it_is(facts: Facts, found: MinorUpgrade) -> list[str]:
    """What becomes of the scratch instances that are in nobody's way, on the hosts that get something."""
    said = []
    for host in facts.hosts:
        for one in host.scratch if host.name in (*found.pgbackrest, *found.touched) else ():
            name = f"the scratch instance {one.name} of {one.cluster}"
            if host.container is None and one.state != "stopped":
                said.append(f"{host.name}: {name} goes on with the program that it was started with.")
            elif host.container is not None and host.container.action == "recreate":
                said.append(f"{host.name}: {name}, which a drill that was cut off has left, goes with the container.")
    return said


def _risks(facts: Facts, found: MinorUpgrade, primary: NodeState) -> list[str]:
    risks = []
    restarted = [*found.standbys, *([found.primary] if found.candidate else [])]
    if primary.synchronous.names and restarted and len(facts.topology.standbys) < 2:
        risks.append(
            "Commits wait for a synchronous standby, and there is no other one: they wait while it is started anew. If "
            "it does not come back: site.yml -e postgresql_synchronous=false."
        )
    elif restarted and len(facts.topology.standbys) < 2:
        risks.append("While the only standby is started anew, nobody could take over.")
    if found.pgbackrest:
        risks.append("While the machines get pgBackRest nothing is archived; PostgreSQL keeps the WAL and tries again.")
    return risks


def _left_alone(facts: Facts, host: Host) -> str:
    """Why a host that has no server of the cluster is left as it is, as a sentence; empty where nothing waits for it.

    What stands in front of the servers is no reason not to upgrade them.
    """
    if host.group == "haproxy" and host.unreachable and not host.stopped:
        why = host.unreachable.rstrip(".")
        return f"{host.name} does not answer ({why}), and is left as it is. Run this again once it does."
    if host.group == "postgres" or not host.behind:
        return ""
    if host.name in facts.shared:
        return _left_to_others(host)
    held = _held(host, ()) if host.group == "haproxy" else []
    if held:
        return (
            f"{host.name} is left as it is, since {_words(held)} is held there. To have it upgraded, too: apt-mark "
            f"unhold {' '.join(held)}, then run this again."
        )
    return ""


def _left_to_others(host: Host) -> str:
    how = (
        "site.yml -e docker_nodes_recreate=true replaces it when nobody works there"
        if host.container is not None
        else "upgrade its packages when nobody works there"
    )
    return f"{host.name} is left as it is, since other clusters need it too; {how}."


_PGBACKREST_LEFT = (
    "pgBackRest is left as it is: {host} serves other clusters too, and all their hosts need the same version. Upgrade "
    "it on all of them at once (apt-get install --only-upgrade pgbackrest), then restart relevo-pgbackrest there."
)


# --- while and after it is done --------------------------------------------------------------------------------------


def unsettled(topology: Topology) -> str:
    """What is under way at the servers, in words, and may be over in a moment; empty where they have settled."""
    if topology.primary is None and not topology.primaries:
        return "nobody is primary"
    locked = [state for state in topology.primaries if state.handover_lock]
    if locked:
        return f"a hand-over is under way on {locked[0].name}"
    starting = [state.name for state in topology.living if state.life == "starting"]
    if starting:
        return f"{starting[0]} is starting"
    waiting = [state.name for state in topology.standbys if not_back(topology, state.name)]
    return f"{waiting[0]} does not stream yet" if waiting else ""


def not_back(topology: Topology, node: str) -> str:
    """Why a standby that was started anew does not stream yet, in words; empty once it does."""
    state = topology.find(node)
    if state is None:
        return "no answer tells of it"
    if not state.reachable:
        return (state.error or "no answer").removeprefix(f"{node}: ").rstrip(".")
    if state.is_primary:
        return "it accepts writes"
    if topology.primary is None:
        return "nobody is primary"
    return "" if state.own_pace or (state.receiver and state.receiver.streams) else "it receives nothing"


def report(
    topology: Topology, before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, Any]], outage: float
) -> str:
    """The text at the end. ``before``: the packages by node. ``now``: what ``node_software_info`` returned since.

    ``outage``: the seconds of the hand-over in which nobody could write; 0 where there was none.
    """
    lines = []
    for state in topology.states:
        said = now.get(state.name) or {}
        package = f"postgresql-{said.get('version', '')}"
        has, had = said.get("packages", {}).get(package, ""), before.get(state.name, {}).get(package, "")
        was = f", {had} before" if had and had != has else ""
        runs = (state.data or {}).get("server_version", "nothing that answers")
        lines.append(f"{state.name}: {state.role}, runs PostgreSQL {runs}{f' ({package} {has}{was})' if has else ''}")
    if outage:
        lines.append(f"Write outage of the hand-over: {outage:.3f} s.")
    lines.append("Every node has what there is, and archiving is proven.")
    return "\n".join(lines)
