# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server's own program says about a configuration that is not in place yet.

It is started twice on a data directory of nothing but what it looks at before it reads the configuration: first to
the point where every setting is judged, the libraries are loaded and the certificates read (``postgres -C`` of a
setting that is computed at run time), then to the point where the rules of access are, after which such a directory
ends it. It listens to nobody and touches neither the data nor the server that runs.

Not judged is what only a start with the real data shows: memory that the machine does not have, a port that another
program has, the values of a standby that are lower than its primary's. Nor are settings of a library that is not
loaded at the start (``NAME.anything`` is accepted), nor what ``ALTER SYSTEM`` has set.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .. import _names, _process
from .._errors import RelevoError
from .server import Server
from .settings_file import lines_of, settings_of

#: Each takes a fraction of a second. A library may take its time.
TIMEOUT = 60.0

#: So that its words come to us, in English: they would decide nothing else.
_SAY = {
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "",
    "log_min_messages": "warning",
    "log_error_verbosity": "default",
    "lc_messages": "C",
}
#: What the first step has judged, and the second should neither need nor do.
_SMALL = {
    "listen_addresses": "",
    "shared_buffers": "1MB",
    "wal_buffers": "-1",
    "min_dynamic_shared_memory": "0",
    "huge_pages": "off",
    "archive_mode": "off",
    # Without it a server in recovery ends, once it has read the rules of access.
    "restore_command": "",
}
#: PostgreSQL 15 has no quotes around it.
_ENDS = re.compile('must specify "?restore_command"?')
_DIRECTORIES = (
    *("base", "global", "pg_dynshmem", "pg_logical/mappings", "pg_logical/snapshots", "pg_notify", "pg_replslot"),
    *("pg_stat", "pg_stat_tmp", "pg_tblspc", "pg_wal/archive_status", "pg_wal/summaries"),
)

_LINE = re.compile(r"(LOG|WARNING|ERROR|FATAL|PANIC|HINT|DETAIL|CONTEXT):  (.*)$")
#: What it says before it has a log.
_PLAIN = re.compile(r"^postgres: (.*)$")
_RULE = re.compile(r'^line (\d+) of configuration file "(.*)"$')
_NAMED_LINE = re.compile(r'^(.*) in file "(.*)" line (\d+)(.*)$')
#: Said of every start, and after what is wrong.
_ANYWAY = re.compile(
    r'^skipping missing configuration file|^configuration file ".*" contains|^database system is shut down'
)
_NAME = re.compile(r'parameter (?:name )?"([^"]+)"')


@dataclass(frozen=True)
class Fault:
    """Something that the server does not take: its own words, and where; ``line`` 0 where it names none."""

    words: str
    file: str = ""
    line: int = 0

    @property
    def sentence(self) -> str:
        where = f"{self.file}, line {self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{where}{self.words}"


@dataclass(frozen=True)
class _Message:
    level: str
    text: str
    hint: str = ""
    detail: str = ""
    context: str = ""

    @property
    def words(self) -> str:
        more = [said.rstrip(".") for said in (self.detail, self.hint) if said]
        return f"{self.text} ({'. '.join(more)})" if more else self.text


def _messages(output: str) -> list[_Message]:
    """What a server logged, each message with what it adds, but for what it says anyway."""
    found: list[_Message] = []
    for line in output.splitlines():
        plain = _PLAIN.match(line)
        match = _LINE.search(line)
        if plain:
            found.append(_Message("FATAL", plain[1]))
        elif match and match[1] in ("HINT", "DETAIL", "CONTEXT"):
            if found:
                found[-1] = replace(found[-1], **{match[1].lower(): match[2]})
        elif match and not _ANYWAY.match(match[2]):
            found.append(_Message(match[1], match[2]))
    return found


def setting_faults(output: str, name: str, text: str) -> list[Fault]:
    """What is wrong with the settings, from what the server said of the file ``name`` with the content ``text``."""
    messages = _messages(output)
    return (
        _named_faults(messages, name, text) or [Fault(message.words) for message in messages] or [_unexplained(output)]
    )


def _named_faults(messages: Sequence[_Message], name: str, text: str) -> list[Fault]:
    lines = {setting: number for number, setting, _value in lines_of(text)}
    found = []
    for message in messages:
        setting = _NAME.search(message.text)
        named = _NAMED_LINE.match(message.text)
        if named and Path(named[2]).name == name:
            words = replace(message, text=f"{named[1]}{named[4]}").words
            found.append(Fault(words, name, int(named[3])))
        elif setting:
            line = lines.get(setting[1].lower(), 0)
            found.append(Fault(message.words, name if line else "", line))
    return found


def start_faults(output: str, name: str, text: str) -> list[Fault]:
    """What is wrong with the rules of access, the maps of users, and the settings that libraries have.

    A library's setting that it does not know, or whose value is wrong, the server only warns of; it goes on without.
    """
    messages = _messages(output)
    found = _named_faults([message for message in messages if message.level == "WARNING"], name, text)
    # It names what cannot match, too, and loads it.
    refused = any(one.level == "FATAL" and one.text.startswith("could not load ") for one in messages)
    for message in messages:
        rule = _RULE.match(message.context)
        # Without maps that it cannot read it goes on: nobody who needs one could log in.
        if rule and "cannot match" not in message.text and (refused or Path(rule[2]).name == _names.IDENT_FILE.name):
            found.append(Fault(message.words, Path(rule[2]).name, int(rule[1])))
    if found or any(_ENDS.search(message.text) for message in messages):
        return found
    return [Fault(one.words) for one in messages if one.level == "FATAL"] or [_unexplained(output)]


def _unexplained(output: str) -> Fault:
    return Fault(" ".join(output.split()[-60:]) or "it gave no reason")


def try_configuration(server: Server, files: Mapping[Path, str]) -> list[Fault]:
    """Have the server's own program judge these files, by their path, as if they were in place."""
    with _laid_out(server, files) as (data, config):
        command = [str(server.bin_directory / "postgres"), "-D", str(data)]
        where = _settings_of(
            config_file=config / _names.CONFIG_FILE.name,
            hba_file=config / _names.HBA_FILE.name,
            ident_file=config / _names.IDENT_FILE.name,
            data_directory=data,
            external_pid_file=data / "pid",
        )
        judge = [*command, "-C", "shared_memory_size", *where]
        text = files[_names.CONFIG_FILE]
        done = _process.run(judge, TIMEOUT)
        if done.returncode:
            # Again, so that its words come here. What is wrong with the settings of that is in what it said first.
            again = _process.run([*judge, *_settings_of(**_SAY)], TIMEOUT)
            said = (again if again.returncode else done).stderr
            return setting_faults(_in_place(said, config), _names.CONFIG_FILE.name, text)
        # With a library that is not there no session begins any more, ours included.
        libraries = libraries_of(text)
        if libraries:
            done = _process.run([*judge, *_settings_of(**_SAY, shared_preload_libraries=libraries)], TIMEOUT)
            if done.returncode:
                return setting_faults(_in_place(done.stderr, config), _names.CONFIG_FILE.name, text)
        small = _settings_of(**_SAY, **_SMALL, unix_socket_directories=data)
        done = _process.run([*command, *where, *small], TIMEOUT)
        return start_faults(_in_place(done.stderr, config), _names.CONFIG_FILE.name, text)


def libraries_of(text: str) -> str:
    """All libraries of the server and its sessions, as ``shared_preload_libraries``; empty without a session's."""
    settings = settings_of(text)
    names = {kind: settings.get(f"{kind}_preload_libraries", "").strip() for kind in ("shared", "session", "local")}
    local = [name.strip(' "').removeprefix("$libdir/plugins/") for name in names["local"].split(",") if name.strip()]
    if not names["session"] and not local:
        return ""
    # Those may be loaded by anybody, and so lie in a directory of their own.
    return ", ".join(filter(None, [names["shared"], names["session"], *(f'"$libdir/plugins/{one}"' for one in local)]))


def try_start(server: Server) -> list[Fault]:
    """Have it judge the files that are in place, and the memory that they want; for a server that is down."""
    # What ALTER SYSTEM has set may be what it does not start with.
    paths = (_names.CONFIG_FILE, _names.HBA_FILE, _names.IDENT_FILE, server.pgdata / "postgresql.auto.conf")
    files = {path: path.read_text() for path in paths if path.exists()}
    faults = try_configuration(server, files)
    if faults:
        return faults
    with _laid_out(server, files) as (data, config):
        command = [str(server.bin_directory / "postgres"), "--check", "-D", str(data)]
        where = _settings_of(config_file=config / _names.CONFIG_FILE.name, data_directory=data, **_SAY)
        done = _process.run([*command, *where], TIMEOUT)
        if not done.returncode:
            return []
        return setting_faults(_in_place(done.stderr, config), _names.CONFIG_FILE.name, files[_names.CONFIG_FILE])


def _in_place(said: str, config: Path) -> str:
    return said.replace(str(config), str(_names.CONFIG_DIR))


def _settings_of(**settings: object) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


@contextmanager
def _laid_out(server: Server, files: Mapping[Path, str]) -> Iterator[tuple[Path, Path]]:
    """A data directory that a server begins to start with, and the files in a directory where it may read them."""
    scratch = Path(tempfile.mkdtemp(prefix="relevo-trial-"))
    try:
        data, config = scratch / "data", scratch / "config"
        for directory in (data, *(data / name for name in _DIRECTORIES), config):
            directory.mkdir(mode=0o700, parents=True)
        (data / "PG_VERSION").write_text(f"{server.pgdata.parent.name}\n")
        (data / "recovery.signal").touch()
        (data / "global" / "pg_control").touch()
        for path, text in files.items():
            ((data if path.parent == server.pgdata else config) / path.name).write_text(text)
        # What they include, relative to where they will be.
        for path in _names.CONFIG_DIR.iterdir() if _names.CONFIG_DIR.is_dir() else ():
            if path not in files:
                (config / path.name).symlink_to(path)
        if not (config / _names.REPLICATION_CONF.parent.name).exists():
            (config / _names.REPLICATION_CONF.parent.name).mkdir()
        _give_to_postgres(scratch)
        _make_control_file(server, data)
        yield data, config
    finally:
        shutil.rmtree(scratch)


def _give_to_postgres(scratch: Path) -> None:
    if os.geteuid() == 0:
        account = pwd.getpwnam(_process.POSTGRES)
        for path in (scratch, *scratch.rglob("*")):
            os.lchown(path, account.pw_uid, account.pw_gid)


def _make_control_file(server: Server, data: Path) -> None:
    # Invented where there is none; only the size of a segment of WAL is one that settings are compared with.
    size = server.wal_segment_size()
    command = [str(server.bin_directory / "pg_resetwal"), "-f", *([f"--wal-segsize={size}"] if size else []), "-D"]
    done = _process.run([*command, str(data)], TIMEOUT)
    if done.returncode:
        raise RelevoError(f"The configuration cannot be tried: pg_resetwal says: {done.stderr.strip()}")


#: By file, what somebody has to correct.
CORRECT = {
    _names.CONFIG_FILE.name: "postgresql_parameters",
    _names.HBA_FILE.name: "postgresql_hba",
}


def refusal(faults: Sequence[Fault]) -> str:
    """The sentence for a configuration that the server does not take."""
    variables = sorted({CORRECT.get(fault.file, CORRECT[_names.CONFIG_FILE.name]) for fault in faults})
    return (
        "PostgreSQL refuses this configuration, and none of its files was replaced: "
        f"{'; '.join(fault.sentence for fault in faults)}. Correct {' and '.join(variables)}, then run this again."
    )
