# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest as Python sees it: run with a deadline, as the user postgres, its failures turned into sentences."""

from __future__ import annotations

import configparser
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._errors import RelevoError
from .._server.lsn import SEGMENT_SIZE
from .._wait import wait_until
from .command import CONFIG, FIRST, RepositoryFiles, answer_in, command_line, config_of
from .errors import ARCHIVE_TIMEOUT, NOTHING_CHANGED, explain, is_locked
from .lock_holder import holder

# Codes of the status of a stanza in the output of info (documentation, command info).
STATUS_OK, STATUS_NO_STANZA, STATUS_NO_BACKUP, STATUS_NO_DATA = 0, 1, 2, 3

#: pgBackRest's own default (documentation, "Repository Path Option").
DEFAULT_PATH = str(_names.REPOSITORY_DIR)
#: Kinds of repositories that are directories of the repository host.
ON_DISK = ("posix", "cifs")

_PG_OPTION = re.compile(r"^pg(\d+)-(.+)$")
_LABEL = re.compile(r"new backup label = (\S+)")
_LEVEL = re.compile(r"^\s*(INFO|WARN|ERROR): ?(.*)$")


class Finished(_process.Finished):
    """A command that ended by itself, and what its log says."""

    def messages(self, level: str) -> list[str]:
        """The log's messages of a level (``INFO``, ``WARN``, ``ERROR``), each with its lines of hints."""
        found: list[str] = []
        wanted = False
        for line in self.stderr.splitlines():
            match = _LEVEL.match(line)
            if match:
                wanted = match[1] == level
                if wanted:
                    found.append(match[2])
            elif wanted and line.strip():
                found[-1] += f" {line.strip()}"
        return found

    @property
    def label(self) -> str | None:
        found = _LABEL.search(self.stderr)
        return found[1] if found else None

    @property
    def nothing_changed(self) -> bool:
        # Its code, 55, also stands for a missing file.
        return self.returncode != 0 and NOTHING_CHANGED in self.stderr


# --- who can be reached -----------------------------------------------------------------------------------------


def parse_config(text: str) -> configparser.ConfigParser:
    # A key may stand several times (tls-server-auth), and a value may hold a percent sign.
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def repository_directory(text: str) -> Path:
    """The directory of this host that is the repository, from the text of its configuration file.

    Raises ``RelevoError`` where the repository is another host's, or no directory (a bucket).
    """
    parser = parse_config(text)
    host = parser.get("global", "repo1-host", fallback="")
    if host:
        raise RelevoError(f"The repository is on {host}, not on this host.")
    kind = parser.get("global", "repo1-type", fallback="posix")
    if kind not in ON_DISK:
        raise RelevoError(f"The repository is not a directory of this host (repo1-type={kind}).")
    return Path(parser.get("global", "repo1-path", fallback=DEFAULT_PATH))


def in_bucket(text: str) -> bool:
    """Whether this host itself keeps the first repository, and in none of its directories."""
    parser = parse_config(text)
    return not parser.get("global", "repo1-host", fallback="") and (
        parser.get("global", "repo1-type", fallback="posix") not in ON_DISK
    )


def place_of(text: str) -> str:
    """Where the first repository of a configuration is, as the catalog names it: a path, or a bucket and its folder."""
    parser = parse_config(text)
    kind = parser.get("global", "repo1-type", fallback="posix")
    path = parser.get("global", "repo1-path", fallback=DEFAULT_PATH)
    return path if kind in ON_DISK else f"{kind}://{parser.get('global', f'repo1-{kind}-bucket', fallback='')}{path}"


def pg_hosts(text: str, stanza: str) -> dict[int, dict[str, str]]:
    """Return the options ``pgN-…`` of a stanza by N, from the text of a configuration file."""
    parser = parse_config(text)
    hosts: dict[int, dict[str, str]] = {}
    if parser.has_section(stanza):
        for name, value in parser.items(stanza):
            found = _PG_OPTION.match(name)
            if found:
                hosts.setdefault(int(found[1]), {})[found[2]] = value
    return hosts


def only(hosts: Mapping[int, Mapping[str, str]], wanted: Sequence[int]) -> list[str]:
    """Return options that make pgBackRest see only the hosts ``wanted`` of those configured, in that order.

    pgBackRest cannot be told to leave a host out, and wants the numbers to begin with 1: so the wanted ones are
    given the first numbers and every option of the remaining numbers is reset.
    """
    if list(wanted) == sorted(hosts):
        return []
    options: list[str] = []
    numbers = sorted(hosts)
    for number, chosen in zip(numbers, wanted, strict=False):
        options += [f"--pg{number}-{name}={value}" for name, value in hosts[chosen].items()]
        options += [f"--reset-pg{number}-{name}" for name in hosts[number] if name not in hosts[chosen]]
    for number in numbers[len(wanted) :]:
        options += [f"--reset-pg{number}-{name}" for name in hosts[number]]
    return options


class PgBackRest(RepositoryFiles):
    """pgBackRest for one stanza on this host, and one repository: of two it sees the other one never.

    ``config``: the configuration of all of them, or any other one that knows a single repository.
    """

    def __init__(self, stanza: str, config: Path | str = CONFIG, repository: int = FIRST) -> None:
        self.stanza = stanza
        self.repository = repository
        self.config = config_of(repository, Path(config))
        if repository != FIRST and not self.config.exists():
            raise RelevoError(
                f"Stanza {stanza} has no repository {repository} on this host. Nothing was changed. Set "
                "pgbackrest_repo2_type and run site.yml, or name another repository."
            )

    def line(self, command: str, *options: str, words: Sequence[str] = (), level: str = "warn") -> list[str]:
        """The whole command, for who runs it in another way than ``try_run`` does."""
        return command_line(self.stanza, command, *options, words=words, level=level, config=self.config)

    def try_run(
        self,
        command: str,
        *options: str,
        words: Sequence[str] = (),
        timeout: float | None = 60,
        level: str = "warn",
        grace: float = 2.0,
    ) -> Finished:
        """Run a command and return how it ended; ``RelevoError`` only when it did not end in ``timeout`` seconds."""
        ended = _process.run_to_end(self.line(command, *options, words=words, level=level), timeout, grace)
        if ended is None:
            raise RelevoError(
                f"pgbackrest {command} of stanza {self.stanza} did not end within {timeout:g} s and was ended. "
                "Look whether the repository host and the servers answer (status.yml), or give it more time.",
                timeout=timeout,
            )
        return Finished(*astuple(ended))

    def run(
        self,
        command: str,
        *options: str,
        words: Sequence[str] = (),
        timeout: float | None = 60,
        level: str = "warn",
        grace: float = 2.0,
    ) -> Finished:
        """Run a command that must succeed."""
        finished = self.try_run(command, *options, words=words, timeout=timeout, level=level, grace=grace)
        if finished.returncode:
            raise self.failure(command, finished)
        return finished

    def try_when_free(self, attempt: Callable[[], Finished], what: str | Callable[[], str], timeout: float) -> Finished:
        """How an attempt ended that met nobody's lock; ``what`` is waited for, for ``timeout`` seconds.

        Asynchronous archive-push takes the lock for each of its attempts, and makes one after the other until there is
        a stanza.
        """

        def unlocked() -> Finished | None:
            finished = attempt()
            return None if is_locked(finished.returncode, finished.stderr) else finished

        return wait_until(unlocked, what, timeout, interval=0.2)

    def run_when_free(
        self, command: str, *options: str, timeout: float, takes: float = 60, level: str = "warn"
    ) -> Finished:
        """``run``, after a wait of ``timeout`` seconds for whoever holds the stanza's lock; it may take ``takes``."""
        said = ""

        def attempt() -> Finished:
            nonlocal said
            finished = self.try_run(command, *options, timeout=takes, level=level)
            said = finished.stderr
            return finished

        def lock() -> str:
            who = holder(said)
            return f"the lock of stanza {self.stanza}, which is held by {who.name}. {who.advice}"

        finished = self.try_when_free(attempt, lock, timeout)
        if finished.returncode:
            raise self.failure(command, finished)
        return finished

    def read(self, command: str, *options: str, path: str, timeout: float) -> Finished:
        finished = self.try_run(command, *options, words=[path], timeout=timeout, level="error")
        if finished.returncode and not self.is_missing(finished):
            raise self.failure(command, finished)
        return finished

    def failure(self, command: str, finished: Finished, unreachable: Sequence[str] = ()) -> RelevoError:
        """The error for a command that failed, with pgBackRest's own words as details.

        ``unreachable`` are hosts that were left out: the cause may be there.
        """
        text = finished.stderr or finished.stdout
        own = "" if self.config.name == CONFIG.name else str(self.config)
        if is_locked(finished.returncode, text):
            who = holder(text)
            message = f"The lock of stanza {self.stanza} is held by {who.name}. {who.advice}."
        else:
            message = explain(finished.returncode, text, self.stanza, command, own)
        if finished.returncode == ARCHIVE_TIMEOUT and self.repository_is_full():
            message = (
                "The repository's disk is full, so no WAL arrives there. Free space there, "
                "then run this again; the servers archive what they kept back by themselves."
            )
        if unreachable:
            message += f" Did not answer: {', '.join(unreachable)}."
        return RelevoError(message, rc=finished.returncode, stderr=text, command=command)

    def repository_is_full(self) -> bool:
        """Whether the repository is on this host and its disk has no room for two segments of WAL."""
        try:
            path = repository_directory(self.config.read_text())
        except RelevoError:
            return False
        return path.is_dir() and shutil.disk_usage(path).free < 2 * SEGMENT_SIZE

    # --- information --------------------------------------------------------------------------------------------

    def info(self, timeout: float = 30) -> dict[str, Any]:
        """The stanza's entry in the output of ``info``; a stanza that does not exist has status code 1."""
        return parse_info(self.run("info", "--output=json", timeout=timeout).stdout, self.stanza)

    def require_answer(self, timeout: float) -> None:
        """The repository must answer, whatever it holds."""
        command = "repo-ls"
        line = self.line(command, words=[f"archive/{self.stanza}"], level="error")
        ended = _process.run_to_end(line, timeout, grace=1.0)
        if ended is None:
            raise RelevoError(f"It did not answer within {timeout:g} s. Look at its server, its disk and the network.")
        finished = Finished(*astuple(ended))
        if finished.returncode and not self.is_missing(finished):
            raise self.failure(command, finished)

    def require_stanza(self, timeout: float = 30) -> dict[str, Any]:
        """Like ``info``, and the stanza must exist and be readable."""
        entry = self.info(timeout)
        problem = status_problem(entry, self.stanza)
        if problem:
            raise RelevoError(problem, status=entry.get("status"))
        return entry

    # --- hosts --------------------------------------------------------------------------------------------------

    def hosts(self) -> dict[int, dict[str, str]]:
        try:
            text = self.config.read_text()
        except OSError as error:
            raise RelevoError(
                f"{self.config} cannot be read ({error.strerror}). Run site.yml, which writes it."
            ) from error
        return pg_hosts(text, self.stanza)

    def ping(self, host: Mapping[str, str], timeout: float) -> bool:
        """Whether pgBackRest's TLS server on a host answers; a host without TLS is left to pgBackRest itself."""
        if host.get("host-type", "ssh") != "tls" or "host" not in host:
            return True
        port = [f"--tls-server-port={host['host-port']}"] if "host-port" in host else []
        arguments = ["--log-level-console=off", "--log-level-stderr=off", f"--io-timeout={max(1, timeout):g}", *port]
        # Against a frozen host pgBackRest takes three times its own timeout: the deadline of the process decides.
        finished = _process.run_to_end(["pgbackrest", *arguments, "server-ping", host["host"]], timeout)
        return finished is not None and finished.returncode == 0

    def reachable(self, timeout: float = 5, down: Sequence[str] = ()) -> tuple[list[str], list[str]]:
        """Return the options that leave out the hosts that do not answer, and the names of these.

        Those in ``down`` are known not to: asking a host whose name has gone costs all of ``timeout``.
        A standby that is down must not cost a backup. pgBackRest 2.55 goes on without it only after ``io-timeout``
        (a minute), waits ten minutes for one that is frozen, and its ``check`` fails.
        """
        hosts = self.hosts()
        if not hosts:
            raise RelevoError(
                f"No stanza {self.stanza} is configured in {self.config}. Check the cluster's name, then run site.yml."
            )
        with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
            asked = pool.map(lambda host: host.get("host") not in down and self.ping(host, timeout), hosts.values())
            answers = dict(zip(hosts, asked, strict=True))
        present = [number for number in sorted(hosts) if answers[number]]
        unreachable = [hosts[number]["host"] for number in sorted(hosts) if not answers[number]]
        if not present:
            raise RelevoError(
                f"pgBackRest reaches none of the servers of stanza {self.stanza} ({', '.join(unreachable)}). "
                "Start them, and their service pgbackrest, then run this again.",
                unreachable_nodes=unreachable,
            )
        return only(hosts, present), unreachable

    def only_host(self, name: str) -> list[str]:
        """Options that make pgBackRest see only the host of that name (as in ``pgN-host``)."""
        hosts = self.hosts()
        found = [number for number, host in hosts.items() if host.get("host", "localhost") == name]
        if not found:
            raise RelevoError(f"Stanza {self.stanza} has no server {name} in {self.config}. Check the name.")
        return only(hosts, found[:1])

    # --- archive ------------------------------------------------------------------------------------------------

    def prove_archiving(self, options: Sequence[str], timeout: float = 60) -> None:
        """Have the primary switch its WAL segment and see it arrive within ``timeout`` seconds.

        ``options`` choose the servers; see ``reachable``.
        """
        # pgBackRest's own deadline comes first, because its message says more; connecting takes time besides.
        self.run("check", *options, f"--archive-timeout={timeout:g}", timeout=timeout + 30)


def parse_info(text: str, stanza: str) -> dict[str, Any]:
    """Return the stanza's entry of ``info --output=json``."""
    try:
        # Of a file that it could not decrypt it quotes what came out, as it is.
        entries = json.loads(answer_in(text), strict=False)
    except ValueError as error:
        raise RelevoError(
            "pgbackrest info gave no JSON. Look at its configuration on this host.", stdout=text[:2000]
        ) from error
    for entry in entries:
        if entry.get("name") == stanza:
            return dict(entry)
    message = "missing stanza path"
    return {"name": stanza, "backup": [], "db": [], "archive": [], "status": {"code": 1, "message": message}}


def readable(said: str) -> str:
    """Words of pgBackRest's in one line, each of its lines up to what nobody can read."""
    lines = []
    for line in said.split("\n"):
        end = next((at for at, char in enumerate(line) if not char.isprintable() or char == "\ufffd"), len(line))
        lines.append(line[:end] if end == len(line) else f"{line[:end].rstrip()}...")
    return " ".join(" ".join(lines).split())


def status_problem(entry: Mapping[str, Any], stanza: str) -> str | None:
    """Return the sentence for a stanza that no backup can be made of; None when one can (with none so far)."""
    status = entry.get("status") or {}
    code = status.get("code")
    if code in (STATUS_OK, STATUS_NO_BACKUP):
        return None
    if code == STATUS_NO_STANZA:
        return f"The repository has no stanza {stanza}. Check the cluster's name, or run site.yml, which creates it."
    return (
        f"The repository of stanza {stanza} is not in order: {status_reason(entry)}. Look at its disk and at "
        "'pgbackrest info' on the repository host."
    )


def status_reason(entry: Mapping[str, Any]) -> str:
    """What pgBackRest itself says of a stanza that is not in order, without a full stop."""
    # "other" and "mixed" say nothing; the repository's own entry does.
    messages = [str(((repo.get("status") or {}).get("message")) or "") for repo in entry.get("repo") or []]
    said = str((entry.get("status") or {}).get("message", "no status"))
    return readable(next((text for text in messages if text and text != "ok"), said))


def running_backup(entry: Mapping[str, Any]) -> str | None:
    """Describe the backup (or expiry) that holds the stanza's lock now; None when there is none."""
    lock = ((entry.get("status") or {}).get("lock") or {}).get("backup") or {}
    if not lock.get("held"):
        return None
    size, done = lock.get("size"), lock.get("size-cplt")
    if not size:
        # Before 2.48 it never says more.
        return "it has just begun or is an expiry, or this release of pgBackRest does not say how far it is"
    return f"{100 * int(done or 0) // int(size)} % of {int(size) / 2**20:.0f} MiB are done"


def labels_of(entry: Mapping[str, Any]) -> list[str]:
    return [str(backup["label"]) for backup in entry.get("backup") or []]


def find_backup(entry: Mapping[str, Any], label: str) -> dict[str, Any] | None:
    found = [backup for backup in entry.get("backup") or [] if backup["label"] == label]
    return dict(found[-1]) if found else None


def annotation_options(annotations: Mapping[str, Any]) -> list[str]:
    """Options for the annotations; those without a value are left out, because an empty one deletes the key."""
    return [f"--annotation={key}={value}" for key, value in annotations.items() if value not in (None, "")]
