# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``status.yml`` collects about a cluster, by type: from servers, disks, the engine and the repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .._authority import Authority
from .._recovery_window import Hole, Loss, Window, losses, of_newest_system, window_of
from .answer import moment, read
from .connection import ConnectionStrings, ThroughProxy
from .topology import Topology

#: By how much a clock that is read in whole seconds may be behind one that is not.
CLOCK_SLACK_S = 2


@dataclass(frozen=True)
class Note:
    """A marker on a node's disk: of a fence, a rejoin, a restore in place, or a removal from the cluster."""

    requested_by: str = "somebody"
    at: str = "an unknown time"
    successor: str = ""
    reason: str = ""

    @property
    def sentence(self) -> str:
        return f"it was fenced by {self.requested_by} at {self.at} for {self.successor}"

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Note | None:
        return read(cls, {"requested_by": given.get("by"), **given}) if given else None


@dataclass(frozen=True)
class GuardNote:
    """The latest verdict of a node's start guard; ``advice``: what to do about it."""

    verdict: str = ""
    reason: str = ""
    since: str = ""
    advice: str = ""


@dataclass(frozen=True)
class Configuration:
    """What a node's files say: the ``faults`` that its server finds in them, and a digest of each setting."""

    faults: Sequence[str] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Disk:
    """What a node that can be entered says of itself, whether or not its server answers (``pg_node_info``)."""

    running: bool = False
    wanted: bool = True
    booted: str = ""
    fence: Note | None = None
    rejoin: Note | None = None
    restore: Note | None = None
    removed: Note | None = None
    guard: GuardNote | None = None
    certificate_days: float | None = None
    authority: Authority | None = None
    configuration_written: str | None = None
    kept_for_primary: Sequence[str] = ()
    configuration: Configuration = field(default_factory=Configuration)
    tls_server_owed: bool = False
    recovery: str = ""
    restore_left: Sequence[str] = ()
    #: Of an adopted server: the unit that runs it until its next start, and the one that it was adopted from.
    foreign_unit: str = ""
    adopted_unit: str = ""
    #: Of the data directory; None where there is none.
    system_identifier: str | None = None
    initialised: bool = True

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Disk:
        guard = given.get("guard")
        return cls(
            bool(given.get("running")),
            bool(given.get("wanted", True)),
            str(given.get("booted") or ""),
            Note.of(given.get("fence")),
            Note.of(given.get("rejoin")),
            Note.of(given.get("restore")),
            Note.of(given.get("removed")),
            read(GuardNote, guard) if guard else None,
            given.get("certificate_days"),
            Authority.of(given.get("authority")),
            given.get("configuration_written"),
            given.get("kept_for_primary") or (),
            read(Configuration, given.get("configuration")),
            bool(given.get("tls_server_owed")),
            str(given.get("recovery") or ""),
            given.get("restore_left") or (),
            str(given.get("foreign_unit") or ""),
            str(given.get("adopted_unit") or ""),
            given.get("system_identifier"),
            bool(given.get("initialised", True)),
        )

    @property
    def guard_holds_it_now(self) -> bool:
        """Whether the guard is what keeps the server down at this moment.

        Its word outlives it: one that was said before the node was booted, or before somebody stopped the service,
        explains nothing, and one that let the server start explains no server that is down.
        """
        if self.guard is None or self.running or not self.wanted or self.guard.verdict not in ("refuse", "wait"):
            return False
        said, booted = moment(self.guard.since), moment(self.booted)
        return said is None or booted is None or (said - booted).total_seconds() >= -CLOCK_SLACK_S


@dataclass(frozen=True)
class Backup:
    """A backup in the repository; ``primary`` is None where nobody noted it."""

    label: str
    type: str
    started: datetime
    finished: datetime
    primary: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Backup:
        stamps = given["timestamp"]
        return cls(
            str(given["label"]),
            str(given["type"]),
            datetime.fromtimestamp(int(stamps.get("start", stamps["stop"])), UTC),
            datetime.fromtimestamp(int(stamps["stop"]), UTC),
            (given.get("annotation") or {}).get("relevo-primary"),
        )


@dataclass(frozen=True)
class Repository:
    """What the repository host said; ``problem`` is why no backup can be made there, ``running`` a backup that runs."""

    problem: str = ""
    backups: Sequence[Backup] = ()
    newest_timeline: int = 0
    running: str | None = None
    window: Window | None = None
    losses: Sequence[Loss] = ()
    tls_server_owed: bool = False
    certificate_days: float | None = None
    authority: Authority | None = None
    #: Of several: how many there are, those that do not work (``repository``, ``reason``), and what the archives of the
    #: others lack (``repository``, ``holes``).
    count: int = 1
    away: Sequence[Mapping[str, Any]] = ()
    behind: Sequence[Mapping[str, Any]] = ()
    #: The newest segment in the archive; empty where it is not known.
    newest_segment: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Repository:
        """From the result of ``pgbackrest_info``."""
        listed, holes = given.get("backups") or [], [Hole.of(one) for one in given.get("holes") or []]
        living = of_newest_system(listed, given.get("databases") or [])
        # In the order of the databases.
        archives = (given.get("raw") or {}).get("archive") or []
        return cls(
            str(given.get("problem") or ""),
            sorted((Backup.of(backup) for backup in listed), key=lambda backup: backup.finished),
            int(given.get("newest_timeline") or 0),
            given.get("running"),
            window_of(living, holes),
            losses(living, holes),
            bool(given.get("tls_server_owed")),
            given.get("certificate_days"),
            Authority.of(given.get("authority")),
            len(given.get("repositories") or [1]),
            given.get("away") or (),
            given.get("behind") or (),
            str((archives[-1] if archives else {}).get("max") or ""),
        )


@dataclass(frozen=True)
class Proxy:
    """A host with HAProxy in front of the cluster. ``unreachable``: why it could not be asked for the rest.

    ``servers``: those that its file has of the cluster, None where there is no file."""

    name: str
    unreachable: str = ""
    running: bool = False
    reload_owed: bool = False
    certificate_days: float | None = None
    servers: Sequence[str] | None = None
    authority: Authority | None = None


def proxies_of(looked: Sequence[Mapping[str, Any]], unreachable: Mapping[str, str]) -> list[Proxy]:
    """From a loop's results of ``haproxy_info``, and from who could not be asked."""
    return [
        *(
            read(Proxy, {**result, "name": result["item"], "authority": Authority.of(result.get("authority"))})
            for result in looked
        ),
        *(Proxy(name, why) for name, why in unreachable.items()),
    ]


def scratch_of(
    repository_host: str, seen: Mapping[str, Any], others: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]] | None:
    """The scratch instances of all hosts, each with its ``host``; None where the repository host did not answer.

    ``seen``: what the repository host said, with its notes of others; ``others``: a loop's results, what those said. A
    noted one is "gone" where its host does not have it, and "not seen" where that was not asked or did not answer.
    """
    if "instances" not in seen:
        return None
    found: list[Mapping[str, Any]] = [{"host": repository_host, **one} for one in seen["instances"]]
    said = {result["item"]: {one["name"]: one for one in result["instances"]} for result in others}
    for noted in seen.get("elsewhere", []):
        host, name = noted["host"], noted["name"]
        unknown = {"name": name, "cluster": noted["cluster"], "port": 0, "size": 0, "request": {}, "reached": {}}
        missing = unknown | {"state": "gone" if host in said else "not seen"}
        found.append({"host": host, **said.get(host, {}).get(name, missing)})
    return found


def scratch_removal(one: Mapping[str, Any], repository_host: str) -> str:
    """What removes a scratch instance, as somebody types it."""
    host = "" if one["host"] == repository_host else f" -e restore_host={one['host']}"
    return f"restore.yml -e remove={one['name']}{host}"


@dataclass(frozen=True)
class Observed:
    """All of it.

    ``containers``: the engine's word for each that is a container; ``markers``, ``removed``: of a fence and of a
    removal from the cluster, on the disks of those that are down;
    ``unreachable``: why a node could not be entered; ``repository``: None when its host does not answer;
    ``next_day``: of the cycle of backups, 0 when not known; ``operations``: the holders of the operation lock, None
    when the repository host does not answer; ``uniform``: the inventory gives all nodes the same settings;
    ``scratch``: see ``scratch_of``; ``schedule``: the last run of each job of this controller's timers that is about
    the cluster, None where it has none; ``connection``: how applications reach the primary, None where the inventory
    does not tell, ``proxy``: the same through HAProxy; ``proxies``: the hosts with that.
    """

    cluster: str
    topology: Topology
    preferred: str = ""
    disks: Mapping[str, Disk] = field(default_factory=dict)
    containers: Mapping[str, str] = field(default_factory=dict)
    markers: Mapping[str, Note] = field(default_factory=dict)
    removed: Mapping[str, Note] = field(default_factory=dict)
    unreachable: Mapping[str, str] = field(default_factory=dict)
    repository_host: str = ""
    repository: Repository | None = None
    next_day: int = 0
    operations: Sequence[Mapping[str, Any]] | None = None
    uniform: bool = True
    scratch: Sequence[Mapping[str, Any]] | None = None
    schedule: Sequence[Mapping[str, Any]] | None = None
    connection: ConnectionStrings | None = None
    proxy: ThroughProxy | None = None
    proxies: Sequence[Proxy] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
