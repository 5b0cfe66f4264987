# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server that somebody else set up can be adopted while it runs, and what that changes.

Adopted means: its own files go on being read, ours after them; from its next start our unit runs it, with our files
alone. So whatever theirs say and ours do not would be lost then, without a word. That is refused until somebody has
decided it: a setting by naming it in ``postgresql_parameters``, a rule of access by having it in ``postgresql_hba``.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import _names
from .settings_file import same, settings_of

#: Where files are. Theirs are named in the plan, and are read until the next start.
PLACES = frozenset({"data_directory", "config_file", "hba_file", "ident_file", "external_pid_file"})
#: What has to be ours: the other nodes verify the certificate, and read the archive; and the log is looked into.
OURS = frozenset(
    {
        *("ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file", "archive_mode", "archive_command", "hot_standby"),
        *("primary_conninfo", "primary_slot_name", "restore_command", "recovery_target_timeline"),
        *("logging_collector", "log_directory", "log_filename", "log_rotation_age", "log_rotation_size"),
        *("log_truncate_on_rotation", "port", "unix_socket_directories"),
    }
)
#: What says whom a standby follows. On a standby ``pg_adopt`` takes it out of ``postgresql.auto.conf``, and whatever
#: becomes a standby later drops it there.
FOLLOWS = ("primary_conninfo", "primary_slot_name", "restore_command")
#: What a server has for ours where our configuration does not say it.
_OTHERWISE = {"recovery_target_timeline": "latest"}
#: An ``archive_command`` that keeps nothing.
NO_ARCHIVE = frozenset({"", "(disabled)", "true", "/bin/true", "/usr/bin/true", ":", "exit 0"})
#: A WAL segment, as ``SHOW`` has it: ``lsn.SEGMENT_SIZE``, by which segments are counted everywhere here.
SEGMENT = "16MB"
#: Programs that promote, stop or configure a server of their own accord.
RIVALS = frozenset({"repmgrd", "patroni", "pg_autoctl", "stolon-keeper", "pacemakerd"})

Rule = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Found:
    """A running server, as it and its machine tell of it.

    ``file_settings``: what its own files set, by name, but not ``ALTER SYSTEM`` (which stays in force) and not our
    files. ``by_alter_system``: what that sets, whatever our files say. ``defaults``: those of the former whose value is
    PostgreSQL's own. ``in_force``: every setting as ``SHOW`` has it. ``at_start``: the names that take effect only
    at a start. ``hba``: as ``pg_hba_file_rules`` has it. ``passwords``: the roles that have one. ``unit``: of systemd,
    empty without. ``included``: our lines stand in one of its files at least.
    """

    standby: bool
    unit: str
    file_settings: Mapping[str, str]
    in_force: Mapping[str, str]
    by_alter_system: Mapping[str, str] = field(default_factory=dict)
    defaults: frozenset[str] = frozenset()
    at_start: frozenset[str] = frozenset()
    hba: Sequence[Mapping[str, Any]] = ()
    maps: Sequence[str] = ()
    passwords: frozenset[str] = frozenset()
    free_slots: int = 10
    own_database: bool = False
    rivals: Sequence[str] = ()
    pgbackrest_of_others: bool = False
    included: bool = False


@dataclass(frozen=True)
class Wanted:
    """What the inventory says. ``settings``: the text of our postgresql.conf; ``decided``: the names of
    ``postgresql_parameters``; ``users``: those to whom a password would be given; ``nodes``: how many there are."""

    settings: str
    decided: frozenset[str] = frozenset()
    hba: Sequence[Mapping[str, Any]] = ()
    users: Sequence[str] = ()
    synchronous: bool = False
    restart: bool = False
    nodes: int = 2
    port: int = _names.PORT


@dataclass(frozen=True)
class Adoption:
    """``refusals``: what has to be done first. ``settings`` and ``rules``: what is still to be decided, as the
    inventory would have it. ``now`` and ``at_start``: what changes at once, and at its next start."""

    refusals: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    rules: list[dict[str, str]] = field(default_factory=list)
    now: list[str] = field(default_factory=list)
    at_start: list[str] = field(default_factory=list)

    @property
    def possible(self) -> bool:
        return not (self.refusals or self.settings or self.rules)


def decide(found: Found, wanted: Wanted) -> Adoption:
    """What stands against the adoption, and what it changes; touches nothing."""
    ours = settings_of(wanted.settings)
    now, at_start = _changes(found, ours)
    if found.included:
        # It was decided when that was written; what theirs say is overridden since.
        return Adoption(now=now, at_start=at_start)
    rules = [rule for rule in found.hba if not _kept_anyway(rule)]
    have = {canonical(rule) for rule in wanted.hba}
    return Adoption(
        refusals=[
            *_first(found, wanted),
            *_overridden(found, ours),
            *_archive(found, wanted, ours),
            *_access(found, rules),
        ],
        settings=_undecided(found, wanted, ours),
        rules=[_as_variable(rule) for rule in rules if _possible(rule) and canonical(_as_variable(rule)) not in have],
        now=now,
        at_start=at_start,
    )


def _changes(found: Found, ours: Mapping[str, str]) -> tuple[list[str], list[str]]:
    now: list[str] = []
    at_start: list[str] = []
    for name, value in sorted(ours.items()):
        before = found.in_force.get(name)
        if before is None or same(before, value) or name == "include_dir":
            continue
        (at_start if name in found.at_start else now).append(
            f"{name} from {before or 'nothing'} to {value or 'nothing'}"
        )
    return now, at_start


def _undecided(found: Found, wanted: Wanted, ours: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(found.file_settings.items())
        if name not in PLACES | OURS | wanted.decided
        and name not in ("synchronous_standby_names", "archive_library")
        and not (same(ours[name], value) if name in ours else name in found.defaults)
    }


def _first(found: Found, wanted: Wanted) -> list[str]:
    """What somebody has to do before anything can be adopted."""
    force = found.in_force
    here = str(_names.data_directory(force["server_version_num"][:-4]))
    asked = {
        f"its data directory is {force['data_directory']}, and only {here} can be adopted": (
            force["data_directory"] != here
        ),
        f"it listens on port {force['port']}, and postgresql_port is {wanted.port}: set that": (
            force["port"] != str(wanted.port)
        ),
        "no unit of systemd runs it, so that nobody could stop it or start it again: start it by one": not found.unit,
        f"{' and '.join(found.rivals)} runs beside it and acts on it, too: stop and disable that first": found.rivals,
        f"it listens on {force['listen_addresses'] or 'no address'} only: set listen_addresses and restart it": (
            force["listen_addresses"].strip() in ("", "localhost", "127.0.0.1", "::1")
        ),
        "wal_level is minimal, with which it has no standby: set replica and restart it": (
            force["wal_level"] == "minimal"
        ),
        f"its WAL segments have {force['wal_segment_size']}, and segments are counted as {SEGMENT} here: only "
        "pg_resetwal --wal-segsize=16 on the stopped primary changes that, after which its standbys are made anew": (
            force["wal_segment_size"] != SEGMENT
        ),
        "it waits for synchronous standbys (synchronous_standby_names): set postgresql_synchronous: true, with which "
        "site.yml looks after that, and take it out of its files": (
            force["synchronous_standby_names"] and not wanted.synchronous
        ),
        "pg_ident.conf has maps of users, which site.yml cannot keep: take them out first "
        f"({', '.join(found.maps)})": found.maps,
        f"it has {found.free_slots} replication slots left, and {wanted.nodes - 1} are needed: raise "
        "max_replication_slots": not found.standby and found.free_slots < wanted.nodes - 1,
        f"it has a database {_names.OWN_DATABASE} that site.yml has not made, and that is the name of its own": (
            found.own_database
        ),
        "/etc/pgbackrest/pgbackrest.conf is somebody else's: move it away, once its backups are needed no more, or "
        "kept elsewhere": found.pgbackrest_of_others,
    }
    both = sorted(found.passwords & set(wanted.users))
    asked[f"postgresql_users would give {' and '.join(both)} another password: leave out who exists already"] = both
    return [why for why, holds in asked.items() if holds]


def _overridden(found: Found, ours: Mapping[str, str]) -> list[str]:
    """What has to be ours, and would not be: what ``ALTER SYSTEM`` sets overrides our files, too."""
    why = []
    for name, value in sorted(found.by_alter_system.items()):
        # What becomes a standby later drops all of recovery's there.
        if name not in OURS or name in FOLLOWS or (name in _OTHERWISE and not found.standby):
            continue
        wanted = ours.get(name, _OTHERWISE.get(name))
        if wanted is None or not same(value, wanted):
            why.append(
                f"ALTER SYSTEM has set {name} to {value or 'nothing'}, which overrides what site.yml writes: "
                f"ALTER SYSTEM RESET {name}, and reload it"
            )
    return why


def _archive(found: Found, wanted: Wanted, ours: Mapping[str, str]) -> list[str]:
    force = found.in_force
    if force["archive_mode"] == "off":
        if wanted.restart:
            return []
        return ["archive_mode is off, and can only be set by a restart: give -e restart=true, too, which restarts it"]
    command, library = force["archive_command"], force.get("archive_library", "")
    if library or (command.strip() not in NO_ARCHIVE and not same(command, ours["archive_command"])):
        return [
            f"it archives its WAL with {library or command}: that archive would end here. Keep its last backup, set "
            "archive_command to '' in its files (not by ALTER SYSTEM, which would override ours) and reload it"
        ]
    return []


def _access(found: Found, rules: Sequence[Mapping[str, Any]]) -> list[str]:
    lost = sorted({f"{rule['type']} ... {rule['auth_method']}" for rule in rules if not _possible(rule)})
    if not lost:
        return []
    return [
        f"pg_hba.conf has lines that ours cannot have ({', '.join(lost)}): a socket is for peer alone, and clients' "
        "certificates would be judged by another authority. Replace them first"
    ]


def _kept_anyway(rule: Mapping[str, Any]) -> bool:
    """``local all all peer`` is ours, too, and covers all others of that kind."""
    return bool(rule["type"] == "local" and rule["auth_method"] == "peer" and not rule["options"])


def _possible(rule: Mapping[str, Any]) -> bool:
    certificates = rule["auth_method"] == "cert" or any("clientcert" in option for option in rule["options"])
    return rule["type"] != "local" and not certificates


def _as_variable(rule: Mapping[str, Any]) -> dict[str, str]:
    """A row of ``pg_hba_file_rules`` as an element of ``postgresql_hba``."""
    address = rule["address"] or ""
    if rule["netmask"]:
        address = str(ipaddress.ip_network(f"{address}/{_bits(rule['netmask'])}", strict=False))
    variable = {
        "type": rule["type"],
        "database": ",".join(rule["database"]),
        "user": ",".join(rule["user_name"]),
        "address": address,
        "method": rule["auth_method"],
    }
    return variable | ({"options": " ".join(rule["options"])} if rule["options"] else {})


def _bits(netmask: str) -> int:
    return bin(int(ipaddress.ip_address(netmask))).count("1")


def canonical(rule: Mapping[str, Any]) -> Rule:
    """An element of ``postgresql_hba`` with its defaults, for a comparison."""
    address = str(rule.get("address") or "")
    # It may be a name, or a word such as samenet.
    with contextlib.suppress(ValueError):
        address = str(ipaddress.ip_network(address.replace(" ", "/"), strict=False))
    return (
        str(rule.get("type") or "hostssl"),
        _list(rule.get("database")),
        _list(rule.get("user")),
        address,
        str(rule.get("method") or "scram-sha-256"),
        " ".join(sorted(str(rule.get("options") or "").split())),
    )


def _list(value: Any) -> str:
    return ",".join(sorted(word.strip().strip('"') for word in str(value or "all").split(",")))
