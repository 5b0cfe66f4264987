# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pgBackRest's error codes and texts mean for the user: one sentence that says what is wrong and what to do.

The codes are those of ``src/build/error/error.yaml`` of pgBackRest 2.55. Many of them have several causes, so
the text is looked at first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .. import _names

OPTION_REQUIRED = 37
POSTMASTER_RUNNING = 38
LOCK_HELD = 50
FILE_MISSING = 55
#: Such a backup is not in the repository, or not whole enough to be taken for one.
BACKUP_MISSING = 75
ARCHIVE_TIMEOUT = 82

NOTHING_CHANGED = "no files have changed since the last backup"

# How a process on another host is named in front of its message.
_RAISED = re.compile(r"raised from [\w-]+ (?:tls|ssh) protocol on '(?P<host>[^']+)': ")
_CONNECT = re.compile(
    r"unable to get address for '(?P<unknown>[^']+)'"
    # An IPv6 address has colons of its own; behind a name pgBackRest adds its address: 'repo:8432 (172.19.0.4)'.
    r"|unable to connect to '(?P<refused>[^' ]+):(?P<port>\d+)(?: \([^)]*\))?'"
    r"|waiting for read from '(?P<unreachable>[^':]+|[^' ]+?)(?::\d+)?(?: \([^)]*\))?'"
)
_PATH = re.compile(r"'(/[^']+)'")


@dataclass(frozen=True)
class Rule:
    """A sentence for a failure; ``pattern`` must match its text, ``code`` (when given) its code."""

    pattern: str
    sentence: str
    code: int | None = None

    def matches(self, code: int, text: str) -> bool:
        return (self.code is None or self.code == code) and re.search(self.pattern, text, re.IGNORECASE) is not None


# In the order in which they are tried. {stanza}, {host} (where the error was raised) and {path} are filled in.
RULES = (
    Rule(
        r"no space left on device",
        "The disk is full on {host}{path}. Free space there (on the repository host, 'pgbackrest{config} expire "
        "--stanza={stanza} --repo1-retention-full=1' removes all but the newest full backup), then run this again; it "
        "resumes the interrupted backup.",
    ),
    Rule(
        r"read-only file system",
        "A file system on {host} is mounted read-only. Look at the host's disk, then run this again.",
    ),
    Rule(
        r"more than one primary",
        "Two primaries answer for stanza {stanza}, so nothing was backed up. Stop the one whose writes you can lose "
        "(compare their timelines with status.yml), then run rejoin.yml.",
    ),
    Rule(
        r"unable to find primary",
        "No primary answers for stanza {stanza}. Start the primary, or run failover.yml to promote a standby.",
    ),
    Rule(
        r"unable to check pg|unable to connect to.*connection to server|connection to server",
        "PostgreSQL of stanza {stanza} does not take connections. Start it (status.yml shows what answers), then run "
        "this again.",
        56,
    ),
    Rule(
        r"postmaster\.pid exists",
        "An offline backup was asked for, but PostgreSQL is running. Make an online backup, or stop the server; "
        "force=true copies the running server's files, which most likely cannot be restored.",
        POSTMASTER_RUNNING,
    ),
    Rule(
        r"archive_mode must be|archive_command .* must",
        "PostgreSQL does not archive into stanza {stanza}. Run site.yml, and restart the server if status.yml names "
        "archive_mode as pending.",
    ),
    Rule(
        r"does not match pg_control timeline|timeline .* does not match|expected timeline",
        "The timeline of the primary changed under the backup: a standby has been promoted. Run this again when the "
        "hand-over has finished (failover.yml finishes one that was cut off).",
    ),
    Rule(
        r"was not archived before the|archive timeout|before the \d+ms timeout",
        "WAL of stanza {stanza} does not arrive in the repository in time. Look at archive_command's error in the "
        "primary's log and at the repository's disk, then run this again.",
    ),
    # Labels are local times of the repository host, and must ascend.
    Rule(
        r"new backup label '[^']*' is not later than latest backup label",
        "The newest backup of stanza {stanza} is named after a later time than the clock of the repository host "
        "shows: its time zone or its clock was set back, and pgBackRest wants names that ascend. Nothing was backed "
        "up. Set the time zone back (timedatectl set-timezone; in a container the link /etc/localtime), or run this "
        "again when the clock has passed that time.",
    ),
    Rule(
        r"do not match the database|do not match stanza version|stanza-upgrade",
        "The repository's stanza {stanza} belongs to another database cluster than the one that answers. Check the "
        "inventory's node_cluster and node_address; after a major upgrade of PostgreSQL run pgbackrest stanza-upgrade.",
    ),
    Rule(
        r"stanza-create been performed|unable to load info file|backup\.info.*missing|archive\.info.*missing",
        "The repository has no stanza {stanza}, or its backup.info or archive.info is missing. Run site.yml, which "
        "creates it; if there were backups, look at the repository's disk first.",
    ),
    Rule(
        r"does this stanza exist",
        "No stanza {stanza} is configured on this host. Check the cluster's name, then run site.yml.",
        OPTION_REQUIRED,
    ),
    Rule(
        r"expected value '[\d.]+' for greeting key 'version'|version.*greeting|greeting.*version",
        "The versions of pgBackRest differ between this host and {host}. Install the same version on all hosts.",
    ),
    Rule(
        r"stop file exists",
        "pgBackRest was stopped on purpose for stanza {stanza}. Run 'pgbackrest start' as postgres on the host that "
        "has the stop file, then run this again. Where a removal of all backups was cut off, run that again instead.",
        62,
    ),
    Rule(
        r"access denied",
        "{host} does not let this host use stanza {stanza}. Run site.yml, which writes the list tls-server-auth.",
    ),
    Rule(
        r"NULL result required|terminating connection|server closed the connection",
        "The primary stopped meanwhile, perhaps for a hand-over (status.yml shows who is primary). Run this again.",
    ),
    Rule(
        r"unexpected eof|no details available",
        "The connection to {host} was cut in the middle: it stopped, or its pgBackRest server did. See that it runs "
        "(status.yml), then run this again.",
    ),
    Rule(
        r"certificate|TLS error|SSL|handshake",
        "The certificates of pgBackRest's TLS connection to {host} do not fit. Run site.yml, which distributes them; "
        "compare the hosts' clocks if it changes nothing.",
    ),
    Rule(
        r"\[13\] permission denied|permission denied",
        "pgBackRest may not read or write a file on {host} (its own message names it). Give the file back to the user "
        "postgres: usually somebody ran pgbackrest as root, or pgbackrest_options name a path that is not his.",
    ),
    Rule(
        r"unable to (?:create path|open|list).*repo|repository|backrest-checksum|checksum error",
        "The repository of stanza {stanza} cannot be read as one. Look at its disk and at pgBackRest's own message.",
        103,
    ),
)


def is_locked(code: int, text: str) -> bool:
    """Whether it failed since another pgBackRest command holds the lock, here or on the repository's host.

    ``archive-push`` says so in its text alone: with an error of its own, it found no repository that it could use.
    """
    held = code == LOCK_HELD or (code != 0 and "[LockAcquireError]" in text)
    # Its lock's file may not be opened: that has the same code, and nobody lets go of it.
    return held and "Permission denied" not in text


def raised_on(text: str, default: str = "this host") -> str:
    """Return the host on which the error was raised, as pgBackRest's message names it."""
    found = _RAISED.search(text)
    return found["host"] if found else default


def connect_failure(text: str) -> str | None:
    """Return the sentence for a host that cannot be reached; None when the text is about something else."""
    found = _CONNECT.search(text)
    if found is None:
        return None
    if found["unknown"]:
        return f"The host {found['unknown']} is not known by that name, so it is most likely stopped. Start it"
    if found["refused"] and int(found["port"]) != _names.PGBACKREST_PORT:
        # A bucket's server, or pgBackRest's own where its owner gave it another port.
        return (
            f"Nothing takes connections at {found['refused']}:{found['port']}. Start the server that should (an S3 "
            "server, or pgBackRest's service on another port)"
        )
    if found["refused"]:
        return f"pgBackRest's TLS server on {found['refused']} takes no connections. Start its service pgbackrest"
    if found["unreachable"]:
        return f"{found['unreachable']} takes connections but does not answer. Look whether it is paused or overloaded"
    return None


def explain(code: int, text: str, stanza: str, command: str, config: str = "") -> str:
    """Return the sentence for a failed ``command``; ``text`` is what pgBackRest wrote to stderr.

    ``config``: the file that names the repository that is meant, where there are two: else a command is about both.
    """
    host = raised_on(text)
    errors = "\n".join(re.findall(r"ERROR: .*(?:\n\s.*)*", text)) or text
    for rule in RULES:
        if rule.matches(code, errors):
            path = _PATH.search(errors)
            more = {"path": f" ({path[1]})" if path else "", "config": f" --config={config}" if config else ""}
            sentence = rule.sentence.format(stanza=stanza, host=host, **more)
            # Without a primary it is the warnings that say why a server was passed over.
            passed_over = re.findall(r"WARN: (unable to check pg\d+: .*)", text)
            return f"{sentence} pgBackRest says: {'; '.join(passed_over)}" if passed_over and code == 56 else sentence
    unreachable = connect_failure(errors)
    if unreachable:
        return f"{unreachable}, then run this again."
    first = re.sub(r"^ERROR: (\[\d+\]: )?", "", errors.strip().splitlines()[0] if errors.strip() else "no message")
    return f"pgbackrest {command} of stanza {stanza} failed with [{code:03d}]: {first}. Look at its log on this host."
