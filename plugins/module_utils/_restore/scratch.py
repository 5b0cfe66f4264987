# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scratch instance: a restored server beside the cluster, its files, and settings that lead nowhere near production.

All of it is below one directory, so that it is removed with it; only its socket is where those of servers are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _names
from .._errors import RelevoError
from .._repository.pgbackrest import parse_config
from .._repository.scratch_roots import NOTE
from .target import Target

#: The default; ``restore_directory`` may be another one.
DIRECTORY = _names.SCRATCH_DIR
#: The port of the first instance; the next one has the next that is free.
FIRST_PORT = 5600
DRILL = _names.DRILL
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")

#: pgBackRest's options of a restore that say what is restored, where to and how far: here that is not the user's.
RESTORE_OPTIONS = frozenset(
    "archive-mode db-exclude db-include delta force link-all link-map recovery-option set tablespace-map "
    "tablespace-map-all target target-action target-exclusive target-timeline type".split()
)
#: The first major version that takes ``all`` in pg_ident.conf for every role; to an older one that is a role's name.
ALL_ROLES_SINCE = 16
#: Options of our own sessions, which a database or a role of the cluster may have set to something else.
SESSION = "-c session_preload_libraries= -c local_preload_libraries="
HBA = "# Nobody comes in over the network.\nlocal all all peer map=scratch\n"


@dataclass(frozen=True)
class Files:
    """Where the parts of an instance are."""

    root: Path
    name: str

    @property
    def home(self) -> Path:
        return self.root / self.name

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def tablespaces(self) -> Path:
        return self.home / "tablespaces"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def settings(self) -> Path:
        return self.home / "postgresql.conf"

    @property
    def hba(self) -> Path:
        return self.home / "pg_hba.conf"

    @property
    def ident(self) -> Path:
        return self.home / "pg_ident.conf"

    @property
    def repository(self) -> Path:
        """pgBackRest's configuration for it."""
        return self.home / "pgbackrest.conf"

    @property
    def note(self) -> Path:
        """What was asked for, written before anything is restored."""
        return self.home / NOTE

    @property
    def outcome(self) -> Path:
        """What was reached, written when the target was."""
        return self.home / "outcome.json"

    @property
    def lock(self) -> Path:
        """Held by whoever works on it, also by a copy that was left behind."""
        return self.root / f".{self.name}.lock"


def checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RelevoError(
            f"{name} cannot be the name of a scratch instance: small letters, digits, _, . and -, at most 63, "
            "and a letter or a digit first."
        )
    return name


def given_name(name: str) -> str:
    """A name that somebody gave; ``RelevoError`` for one of those that drills remove without a question."""
    if name.endswith(DRILL):
        raise RelevoError(f"{name} cannot be the name of a scratch instance: those that end in {DRILL} are of drills.")
    return checked_name(name)


def default_name(cluster: str, target: Target, label: str = "", purpose: str = "") -> str:
    """The same for the same target, so that a second run finds what the first one left."""
    what = {
        "time": f"{target.moment:%Y%m%d_%H%M%S}" if target.moment else "",
        "immediate": label or "newest",
        "latest": "latest",
    }.get(target.type, f"{target.type}_{target.value}")
    end = f"_{purpose}" if purpose else ""
    return re.sub(r"[^a-z0-9_.-]", "_", f"{cluster_part(cluster)}_{what}".lower())[: 63 - len(end)] + end


def ident(version: str) -> str:
    """Its pg_ident.conf."""
    roles = ["postgres", *(["all"] if int(version) >= ALL_ROLES_SINCE else [])]
    lines = "".join(f"scratch {user} {role}\n" for user in ("postgres", "root") for role in roles)
    return f"# Whoever may become postgres on this host may read all of it anyway.\n{lines}"


def cluster_part(cluster: str) -> str:
    """How a name begins: two clusters that differ in what a name cannot hold, as Shop and shop, do not share one."""
    small = re.sub(r"[^a-z0-9_.-]", "_", cluster.lower())
    return small if small == cluster else f"{small}-{hashlib.sha256(cluster.encode()).hexdigest()[:6]}"


def repository_configuration(text: str, stanza: str, files: Files, process_max: int | None = None) -> str:
    """pgBackRest's configuration for an instance, from that of this host: the same repository, and another server.

    Its own locks, so that several are restored side by side and none is in a backup's way.
    """
    parser = parse_config(text)

    def kept(section: str) -> dict[str, str]:
        given = dict(parser.items(section)) if parser.has_section(section) else {}
        left_out = RESTORE_OPTIONS | ours.keys() | own_process_max.keys()
        return {name: value for name, value in given.items() if name not in left_out}

    ours = {"archive-async": "n", "lock-path": str(files.home / "lock")}
    own_process_max = {"process-max": str(process_max)} if process_max else {}
    general = {name: value for name, value in kept("global").items() if not name.startswith(("tls-server-", "pg"))}
    lines = ["[global]", *(f"{name}={value}" for name, value in (general | ours | own_process_max).items())]
    if parser.has_section("global:restore") and not process_max:
        lines += ["", "[global:restore]", *(f"{name}={value}" for name, value in kept("global:restore").items())]
    lines += ["", f"[{stanza}]"]
    lines += [f"{name}={value}" for name, value in kept(stanza).items() if not re.match(r"pg\d+-", name)]
    return "\n".join([*lines, f"pg1-path={files.data}", ""])


def way_options(timeline: int) -> list[str]:
    """What pgBackRest is told of the timeline; what it writes of it into the server's settings is replaced by ours.

    Otherwise it looks for a way to the newest one, and refuses every backup from which there is none ([058]): those
    that were made of what a restore in place has left behind. With ``--type=none`` it cannot be told.

    Source: its src/command/restore/timeline.c, ``timelineVerify``.
    """
    return ["--type=default", f"--target-timeline={timeline}"]


def recovery_settings(target: Target, timeline: int, position: str = "") -> dict[str, str]:
    """What ends the recovery. A number for the timeline: "latest" would follow one that nobody means.

    ``position``: stop before the record that begins there. It is where a restore point's record ends; the WAL may hold
    another point of the same name before it.
    """
    settings = {"recovery_target_timeline": str(timeline)}
    if target.type == "immediate":
        settings["recovery_target"] = "immediate"
    elif position:
        settings |= {"recovery_target_lsn": position, "recovery_target_inclusive": "off"}
    elif target.type != "latest":
        settings[f"recovery_target_{target.type}"] = target.value
    if target.type != "latest":
        settings["recovery_target_action"] = "promote"
    return settings


def server_settings(
    files: Files, port: int, limits: Mapping[str, int], *, read_only: bool = False, preload: str = ""
) -> dict[str, Any]:
    """The settings of its server, the recovery's apart; ``limits``: those of the old server, from its control file."""
    return {
        "data_directory": files.data,
        "hba_file": files.hba,
        "ident_file": files.ident,
        "listen_addresses": "",
        "unix_socket_directories": _names.SOCKET_DIR,
        "port": port,
        # Neither archives nor replicates, and starts nothing by itself that the data may hold: subscriptions, cron
        # jobs.
        "archive_mode": "off",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "max_wal_senders": 0,
        "max_logical_replication_workers": 0,
        "shared_preload_libraries": preload,
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        # With it the server would demand what the old one had, and stand still where that grew later on.
        "hot_standby": "off",
        "max_connections": max(limits.get("max_connections", 0), 100),
        "max_worker_processes": max(limits.get("max_worker_processes", 0), 8),
        "max_prepared_transactions": max(limits.get("max_prepared_xacts", 0), 100),
        "max_locks_per_transaction": max(limits.get("max_locks_per_xact", 0), 64),
        "shared_buffers": "128MB",
        "huge_pages": "off",
        "max_wal_size": "256MB",
        "wal_keep_size": 0,
        "ssl": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "log_timezone": "Etc/UTC",
        "timezone": "Etc/UTC",
        # Its messages are read.
        "lc_messages": "C",
        "default_transaction_read_only": "on" if read_only else "off",
    }


def settings_text(settings: Mapping[str, Any]) -> str:
    lines = [f"{name} = '{str(value).replace(chr(39), chr(39) * 2)}'" for name, value in settings.items()]
    return "\n".join(["# Written by relevo.postgres for a scratch instance.", *lines, ""])


_LIMIT = re.compile(r"^(\w+) setting:\s+(\d+)$", re.MULTILINE)


def limits_of(controldata: str) -> dict[str, int]:
    """The limits that the old server ran with, from what ``pg_controldata`` prints."""
    return {name: int(value) for name, value in _LIMIT.findall(controldata)}


_FATAL = re.compile(r"(?:FATAL|PANIC): +(.*)")
_LAST_COMMIT = re.compile(r"last completed transaction was at log time (.*)")


def failure_in(log: str) -> str:
    """Why a server ended before its target, as a sentence, from its log."""
    fatal = [found[1] for found in _FATAL.finditer(log)]
    reason = next((one for one in reversed(fatal) if not one.startswith("the database system is ")), "")
    last = _LAST_COMMIT.search(log)
    if "recovery ended before configured recovery target was reached" in reason:
        until = f" Its last commit is of {last[1]}." if last else ""
        return f"The archive ends before the target.{until} -e target_type=latest, with that timeline, restores to it."
    if "before consistent recovery point" in reason:
        return "The target is before the first consistent point of the backup. Name an older backup, or none."
    return f"Its server ended: {reason}." if reason else "Its server ended and did not say why."
