# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``remove.yml`` removes of a cluster, and why it would not be begun: decided before anything is touched.

Backups are never deleted unasked. What another cluster needs stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .._operation_plan import Effect, OperationPlan
from .._tables import plural
from .inventory import IDENTIFIED

KEEP, DELETE = "keep", "delete"
#: What a survey says for nothing.
NONE = "none"
ANSWERS = ("", KEEP, DELETE)


@dataclass(frozen=True)
class Holdings:
    """What the repository host says, as ``stanza_removal`` returns it.

    ``needed``: why a backup must stay, by label; ``pieces``: files of a deletion that was cut off are left; ``others``:
    the other stanzas of the repository; ``running``: how far a backup is that runs now. With two repositories
    ``second``: the labels of those in the second one; ``away``: those that do not answer (``repository``, ``reason``).
    """

    backups: Sequence[str] = ()
    exists: bool = False
    pieces: bool = False
    needed: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()
    running: str = ""
    second: Sequence[str] = ()
    away: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Holdings:
        """From the module's result; other keys are left out."""
        return cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})


@dataclass(frozen=True)
class Elsewhere:
    """What was restored beside the cluster on another ``host``; ``note``: the repository host's file that says so."""

    host: str
    name: str
    note: str


@dataclass(frozen=True)
class Facts:
    """``servers``: of the cluster. ``repository`` and ``redis``: the hosts that serve it, empty where it has none.

    ``of_others``: the clusters that need a host, by its name. ``containers``: the hosts that are containers.
    ``missing``: those of them that are not there any more. ``unreachable``: why a host does not answer, by name, of
    those whose containers are there or that are machines. ``holdings``: None where the repository host was not asked.
    ``scratch``: the names of what was restored beside the cluster on the repository host; ``elsewhere``: on others.
    ``proxies``: the hosts with HAProxy in front of it. ``parts``: the groups that a host is in for it, and ``also``
    those that it is in besides, by its name. ``alone``: the inventory has no other cluster. ``secrets``: their folder.
    ``bucket``: that of a second repository, which goes with no host. ``second``: the sentence about a second repository
    that is in the way of a new configuration of the repository host. ``unmounted``: the one about its missing disk.
    """

    cluster: str
    servers: Sequence[str]
    repository: str
    redis: str
    of_others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    containers: Sequence[str] = ()
    missing: Sequence[str] = ()
    unreachable: Mapping[str, str] = field(default_factory=dict)
    holdings: Holdings | None = None
    scratch: Sequence[str] = ()
    elsewhere: Sequence[Elsewhere] = ()
    proxies: Sequence[str] = ()
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    also: Mapping[str, Sequence[str]] = field(default_factory=dict)
    alone: bool = True
    secrets: str = ""
    bucket: str = ""
    second: str = ""
    unmounted: str = ""


@dataclass(frozen=True)
class Request:
    """What was asked for: what becomes of the backups, the cluster's name, typed, and whether the passwords and the
    authority go, too."""

    backups: str = ""
    confirm: str = ""
    secrets: bool = False


@dataclass(frozen=True)
class Clearing:
    """What goes of a machine, and what it goes on being, by the groups of the inventory. ``repository``: what is in
    the repository's directory goes."""

    kinds: Sequence[str]
    keeps: Sequence[str]
    repository: bool


@dataclass(frozen=True)
class Removal:
    """What is removed. ``hosts``: those that go besides the servers. ``proxies``: those whose HAProxy forgets it.
    ``stanza``: the backups, the archive and the catalog's records go, as far as they are there. ``rewrites``: the
    repository host stays for other clusters, and forgets this one. ``clears``: what goes of each host that goes.
    ``keys``: the hosts whose key and certificate go. ``secrets``: the passwords and the authority go, unless their
    folder turns out to be somebody else's, too."""

    plan: OperationPlan
    servers: list[str]
    hosts: list[str]
    stanza: bool
    rewrites: bool
    proxies: list[str] = field(default_factory=list)
    clears: dict[str, Clearing] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    secrets: bool = False


def removal(request: Request, facts: Facts) -> Removal:
    """The decision; its plan holds the refusals."""
    request = replace(request, backups="" if request.backups == NONE else request.backups)
    keeps = request.backups == KEEP
    held = facts.holdings or Holdings()
    serving = [host for host in dict.fromkeys((facts.repository, facts.redis)) if host]
    hosts = [host for host in serving if not keeps and not facts.of_others.get(host)]
    # A machine keeps its Redis, like all of its packages; its records go.
    hosts = [host for host in hosts if host == facts.repository or host in facts.containers]
    if held.others and facts.repository in hosts:
        # Of clusters that this inventory does not know.
        hosts.remove(facts.repository)
    stays = facts.repository not in hosts
    # Without the cluster a proxy of its own is good for nothing.
    of_its_own = {*facts.servers, *hosts, facts.repository}
    proxies = [host for host in facts.proxies if host not in of_its_own and not facts.of_others.get(host)]
    opened = _opened(facts, held, hosts, keeps)
    plan = OperationPlan(
        "remove",
        facts.cluster,
        "remove",
        f"the cluster {facts.cluster} is removed; {_becomes(facts, held, keeps)}.",
        _effects(facts, held, hosts, keeps) + _proxy_effects(facts, proxies),
        [
            f"Take {facts.cluster} out of the inventory afterwards: site.yml would make it anew.",
            *_about_secrets(request, facts, opened),
        ],
        [_risk(held, keeps), *_left_in_bucket(facts, keeps)],
    )
    rewrites = bool(facts.repository) and stays and bool(facts.of_others.get(facts.repository))
    for why in [*_about_second(facts, keeps, rewrites), *_refusals(request, facts, held, opened)]:
        plan = plan.refused(why)
    clears = {host: _clearing(facts, host, hosts) for host in (*facts.servers, *hosts, *proxies)}
    return Removal(
        plan,
        list(facts.servers),
        hosts + proxies,
        stanza=not keeps and bool(facts.repository),
        rewrites=rewrites,
        # A container of its own goes as a whole.
        proxies=[
            host
            for host in facts.proxies
            if host not in facts.containers or (facts.of_others.get(host) and host not in facts.missing)
        ],
        clears=clears,
        keys=[host for host, clearing in clears.items() if not IDENTIFIED & set(clearing.keeps)],
        secrets=request.secrets and not opened,
    )


def _clearing(facts: Facts, host: str, hosts: Sequence[str]) -> Clearing:
    is_repository = host == facts.repository and host in hosts
    return Clearing(list(facts.parts.get(host, ())), list(facts.also.get(host, ())), is_repository)


def _opened(facts: Facts, held: Holdings, hosts: Sequence[str], keeps: bool) -> str:
    """What is left of this inventory that the secrets open; empty where nothing is."""
    if not facts.alone:
        return "the other clusters of the inventory"
    if keeps:
        return "the backups that are kept"
    if held.others:
        return f"the backups of {' and '.join(held.others)}"
    return facts.repository if facts.repository and facts.repository not in hosts else ""


def _about_secrets(request: Request, facts: Facts, opened: str) -> list[str]:
    if opened:
        return []
    if request.secrets:
        return [
            f"The passwords and the authority in {facts.secrets} are deleted, unless other hosts have keys there. Any "
            "other inventory with that folder must be removed first."
        ]
    return [
        f"The passwords and the authority stay in {facts.secrets}: another inventory may have that folder, too. Where "
        "none has, -e remove_secrets=true deletes them."
    ]


def _becomes(facts: Facts, held: Holdings, keeps: bool) -> str:
    if facts.repository and facts.holdings is None:
        return f"what its repository holds {'stays' if keeps else 'is deleted'}, whatever that is"
    if keeps:
        return f"its {plural(len(held.backups), 'backup')} and their archive stay"
    if held.backups or held.pieces:
        return f"its {plural(len(held.backups), 'backup')}, their archive and their records are deleted"
    return "it has no backup"


def _risk(held: Holdings, keeps: bool) -> str:
    if keeps and held.backups:
        return "Its databases come back from a backup only."
    return "Nothing brings its databases back."


def _left_in_bucket(facts: Facts, keeps: bool) -> list[str]:
    """What only the repository host could delete, where that is gone."""
    if keeps or not facts.bucket or facts.holdings is not None:
        return []
    return [
        f"What the bucket {facts.bucket} has of {facts.cluster} stays: without {facts.repository} nobody deletes it "
        "there."
    ]


def _effects(facts: Facts, held: Holdings, hosts: Sequence[str], keeps: bool) -> list[Effect]:
    gone = "is removed, with its container and volumes"
    cleared = "is stopped for good; its data, configuration, keys, markers and units are deleted, its packages stay"
    effects = [Effect(name, gone if name in facts.containers else cleared) for name in facts.servers]
    if not keeps:
        effects += [Effect(label, "is deleted") for label in held.backups]
    for host in dict.fromkeys((facts.repository, facts.redis)):
        if not host:
            continue
        if host in hosts:
            kind = "is cleared: its data, configuration, keys and units are deleted, its packages stay"
            effects.append(Effect(host, gone if host in facts.containers else kind))
        else:
            effects.append(Effect(host, f"stays, {_why_it_stays(facts, held, host, keeps)}"))
    return effects


def _proxy_effects(facts: Facts, gone: Sequence[str]) -> list[Effect]:
    effects = []
    for host in facts.proxies:
        if host in gone:
            cleared = "is cleared: HAProxy's configuration, keys and unit are deleted, its packages stay"
            container = "is removed, with its container and volumes"
            effects.append(Effect(host, container if host in facts.containers else cleared))
        elif host not in facts.servers:
            effects.append(Effect(host, "its HAProxy forgets the cluster"))
    return effects


def _why_it_stays(facts: Facts, held: Holdings, host: str, keeps: bool) -> str:
    others = list(facts.of_others.get(host, ()))
    if others:
        return f"since {' and '.join(others)} {'needs' if len(others) == 1 else 'need'} it"
    if not keeps and host == facts.redis and host not in facts.containers:
        return "without the records: its packages stay"
    if keeps:
        return "with the backups" if host == facts.repository else "with their records"
    return f"since it holds backups of {' and '.join(held.others)}"


def _refusals(request: Request, facts: Facts, held: Holdings, opened: str) -> list[str]:
    found = []
    if request.backups not in ANSWERS:
        found.append(f"remove_backups={request.backups} is neither keep nor delete.")
    for name in facts.servers:
        if facts.of_others.get(name):
            found.append(f"{name} is also needed by {' and '.join(facts.of_others[name])}. Move that elsewhere first.")
        elif request.backups == KEEP and name in (facts.repository, facts.redis):
            found.append(f"{name} also holds the backups or their records, and would be cleared. Move them first.")
        elif held.others and name == facts.repository:
            others = " and ".join(held.others)
            found.append(f"{name} also holds the backups of {others}, and would be cleared. Move them first.")
    found += _unreachable(facts)
    if request.secrets and opened:
        found.append(f"The secrets also open {opened}, so remove_secrets=true cannot be done. Leave it out.")
    found += _about_backups(request, facts, held)
    if request.confirm != facts.cluster:
        given = f"confirm={request.confirm} is not its name. " if request.confirm else ""
        found.append(f"{given}Confirm it with -e confirm={facts.cluster}.")
    return found


def _unreachable(facts: Facts) -> list[str]:
    found = []
    for name, given in facts.unreachable.items():
        why = given.rstrip(".")
        others = " and ".join(facts.of_others.get(name, ()))
        if name in facts.proxies and others and name not in facts.missing:
            found.append(
                f"{name} does not answer ({why}), and its HAProxy, which {others} also {_has(facts, name)}, must "
                f"forget {facts.cluster}. Start it."
            )
        elif name in (*facts.servers, *facts.proxies):
            found.append(f"{name} does not answer ({why}), so what it has would be left. Start it.")
    return found


def _has(facts: Facts, name: str) -> str:
    return "has" if len(facts.of_others[name]) == 1 else "have"


def _about_backups(request: Request, facts: Facts, held: Holdings) -> list[str]:
    """What is in the way on the repository host."""
    choice = "Say what becomes of them: -e remove_backups=keep, or -e remove_backups=delete."
    if not facts.repository:
        return []
    if facts.holdings is None:
        if facts.repository not in facts.missing:
            why = facts.unreachable.get(facts.repository, "it was not asked").rstrip(".")
            return [
                f"The repository host {facts.repository} does not answer ({why}), so nobody knows its backups. "
                "Start it."
            ]
        # Deleted: what its volume may hold goes with it, and a run that was cut off is finished.
        if not request.backups:
            return [f"The container {facts.repository} is missing; its volume may hold backups. {choice}"]
        return []
    found = []
    if (held.backups or held.pieces) and not request.backups:
        newest = f", the newest {max(held.backups)}" if held.backups else ", of which a deletion was cut off"
        found.append(f"{facts.cluster} has {plural(len(held.backups), 'backup')}{newest}. {choice}")
    found += _about_away(request, facts, held)
    if held.running:
        found.append(f"A backup is running ({held.running}). Run this again when it has ended.")
    if facts.scratch:
        found.append(
            f"{', '.join(facts.scratch)} was restored beside the cluster. Remove it first: restore.yml -e "
            f"cluster={facts.cluster} -e remove={facts.scratch[0]}."
        )
    found += [
        f"{one.name} on {one.host} was restored beside the cluster. Remove it first: restore.yml -e "
        f"cluster={facts.cluster} -e remove={one.name} -e restore_host={one.host}. If {one.host} is gone for good, "
        f"delete {one.note} on {facts.repository}."
        for one in facts.elsewhere
    ]
    if request.backups == DELETE:
        found += [
            f"{label} {why}. Wait for the end of that; a pin is taken off with cleanup.yml -e cluster={facts.cluster} "
            f"-e pin={label} -e pin_until=now{' -e repository_number=2' if label in held.second else ''}."
            for label, why in held.needed.items()
            if label in held.backups
        ]
    return found


def _about_second(facts: Facts, keeps: bool, rewrites: bool) -> list[str]:
    """What of a second repository would end the play halfway, or hide what is to be deleted."""
    if rewrites and facts.second:
        return [facts.second]
    return [facts.unmounted] if facts.unmounted and not keeps else []


def _about_away(request: Request, facts: Facts, held: Holdings) -> list[str]:
    """Of two repositories one that does not answer: nobody knows what it holds, nor could it be deleted."""
    if not held.away or request.backups == KEEP:
        return []
    one = held.away[0]
    said = f"Repository {one['repository']} of {facts.cluster} does not answer: {str(one['reason']).rstrip('.')}."
    if request.backups == DELETE:
        return [f"{said} What it holds could not be deleted. Bring it back first, or keep the backups."]
    return [f"{said} It may hold backups. Say what becomes of them: -e remove_backups=keep; or bring it back first."]
