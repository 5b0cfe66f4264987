# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load SQL files and archives of pg_dump into a database exactly once.

One transaction holds the file and the record that says that it is loaded, so that whatever is killed, both
are there or neither. Two things would break that, and are ruled out here:

* psql's ``--single-transaction`` commits when its input ends, and its input also ends when the process that feeds
  it is killed. So psql runs with ``AUTOCOMMIT=off``, and only the epilogue, sent after the whole file, commits.
* The file may hold a COMMIT of its own. A deferred constraint trigger refuses every commit before the epilogue.
  Those by which pg_dump encloses large objects, which can only be written in a transaction, are taken out: they are in
  one already.

An archive (pg_dump's custom or tar format) is turned into SQL by pg_restore and goes the same way, so it is loaded
with its record, too, and at once.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import hashlib
import io
import json
import os
import pwd
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from . import _names, _process
from ._errors import RelevoError

CHUNK = 1 << 18
QUERY_TIMEOUT = 30
#: What psql, in an otherwise clean environment, is told by variables.
ENVIRONMENT = {
    "PGAPPNAME": "relevo_seed",
    "PGCLIENTENCODING": "UTF8",
    "PGCONNECT_TIMEOUT": "10",
    # A server process whose client was killed would finish its statement, holding its locks, first.
    "PGOPTIONS": "-c client_min_messages=warning -c client_connection_check_interval=2000",
}
#: Stands for the owner of the database, as the predefined role of that name does in PostgreSQL.
DATABASE_OWNER = "pg_database_owner"

# SQLSTATEs of our own; the class RV is used by nobody else.
LOADED_BEFORE, ON_A_STANDBY, EARLY_COMMIT, TRANSACTION_GONE = "RV001", "RV002", "RV003", "RV004"
ACTIVE_TRANSACTION, DUPLICATE_SCHEMA = "25001", "42P06"
# Syntax error, bad value, bad COPY data: how the epilogue fails when it is taken for a part of the file.
UNFINISHED = ("42601", "22P02", "22P04")

#: What an archive of pg_dump begins with, and its format for pg_restore.
ARCHIVES = {b"PGDMP": "custom", b"toc.dat\0": "tar"}
FORMATS = {
    b"PK\x03\x04": "a zip file: unpack it, or compress with gzip",
    b"BZh": "compressed with bzip2: use gzip",
    b"\xfd7zXZ": "compressed with xz: use gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd: use gzip",
}

#: What a file begins with that ansible-vault has encrypted.
VAULT = b"$ANSIBLE_VAULT;"
#: Every other byte of ASCII in UTF-16, where it says by no mark what it is.
NULS = bytes(4)
# What pg_dump writes around the content of large objects (pg_backup_null.c), with the comment that comes before it: in
# the rows of a table nobody will have these lines one after another.
LARGE_OBJECTS = re.compile(
    rb"(\n-- Data for Name: [^\n]*; Type: BLOBS; [^\n]*\n--\n\n)BEGIN;(?=\n\nSELECT pg_catalog\.lo_open\()"
    rb"|(\nSELECT pg_catalog\.lo_close\(0\);\n\n)COMMIT;(?=\n)"
)
#: More than what LARGE_OBJECTS matches is long.
LONGEST_MATCH = 1024

# The lock is per database: two loads into one database run one after the other, so that
# the second sees the record (and the schema) of the first.
PROLOGUE = """\
DO $relevo$
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE EXCEPTION 'the server is a standby' USING ERRCODE = 'RV002';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('relevo_seed', 0));
END
$relevo$;
DO $relevo$
DECLARE
  seen boolean;
BEGIN
  IF to_regclass('relevo_seed.loaded') IS NOT NULL THEN
    SELECT EXISTS (SELECT FROM relevo_seed.loaded WHERE name = {name}) INTO seen;
    IF seen THEN
      RAISE EXCEPTION 'loaded before' USING ERRCODE = 'RV001';
    END IF;
  END IF;
END
$relevo$;
CREATE TEMPORARY TABLE relevo_seed_loading (name text NOT NULL, complete boolean NOT NULL DEFAULT false);
CREATE FUNCTION pg_temp.relevo_seed_commit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $relevo$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_temp.relevo_seed_loading WHERE complete) THEN
    RAISE EXCEPTION 'commit before the end of the file' USING ERRCODE = 'RV003';
  END IF;
  RETURN NULL;
END
$relevo$;
CREATE CONSTRAINT TRIGGER relevo_seed_commit AFTER INSERT ON pg_temp.relevo_seed_loading
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.relevo_seed_commit();
INSERT INTO pg_temp.relevo_seed_loading (name) VALUES ({name});
"""

# ASCII only and every name qualified: the file may have changed the client encoding, the search path and the role.
# The schema is made here, not in the prologue: a dump of a seeded database brings its own.
EPILOGUE = """
;
RESET SESSION AUTHORIZATION;
RESET ROLE;
DO $relevo$
BEGIN
  IF to_regclass('pg_temp.relevo_seed_loading') IS NULL THEN
    RAISE EXCEPTION 'the transaction is gone' USING ERRCODE = 'RV004';
  END IF;
END
$relevo$;
UPDATE pg_temp.relevo_seed_loading SET complete = true;
CREATE SCHEMA IF NOT EXISTS relevo_seed;
CREATE TABLE IF NOT EXISTS relevo_seed.loaded (
  name text PRIMARY KEY, sha256 text NOT NULL, bytes bigint NOT NULL, loaded_at timestamptz NOT NULL);
INSERT INTO relevo_seed.loaded (name, sha256, bytes, loaded_at)
  SELECT name, '{sha256}', {bytes}, clock_timestamp() FROM pg_temp.relevo_seed_loading
  ON CONFLICT (name) DO UPDATE
    SET sha256 = excluded.sha256, bytes = excluded.bytes, loaded_at = excluded.loaded_at;
COMMIT;
"""

RECORDS = """\
SELECT to_regclass('relevo_seed.loaded') IS NOT NULL AS there \\gset
\\if :there
SELECT coalesce(json_agg(r ORDER BY loaded_at, name), '[]')
  FROM (SELECT name, sha256, bytes, loaded_at FROM relevo_seed.loaded) r;
\\else
\\echo []
\\endif
"""

SURROUNDINGS = """\
SELECT json_build_object('standby', pg_is_in_recovery(), 'owners',
  (SELECT json_object_agg(datname, pg_get_userbyid(datdba)) FROM pg_database WHERE datallowconn));
"""


@dataclass(frozen=True)
class Seed:
    """One file to load: its identity in the database is ``name``, not its path and not its content."""

    name: str
    database: str
    path: str | None = None
    sha256: str | None = None
    owner: str | None = None


@dataclass(frozen=True)
class PsqlTarget:
    """How psql reaches the server on this node."""

    bin_dir: str
    socket: str
    port: int
    login_user: str
    os_user: str

    def psql(self, database: str) -> list[str]:
        """Return the command line; verbose errors carry the SQLSTATE, which no language setting changes."""
        options = ["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"]
        variables = ["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]
        target = [f"--host={self.socket}", f"--port={self.port}", f"--username={self.login_user}"]
        return [str(Path(self.bin_dir, "psql")), *options, *variables, *target, f"--dbname={database}"]

    @property
    def environment(self) -> dict[str, str]:
        """What psql is told by variables; some options depend on the server's major version, the programs' too."""
        unlimited = _names.unlimited(int(Path(self.bin_dir).parent.name))
        return ENVIRONMENT | {"PGOPTIONS": f"{ENVIRONMENT['PGOPTIONS']} {unlimited}"}

    @property
    def user(self) -> str:
        """As whom psql runs: not as root where that can be avoided.

        A dump may hold ``\\!`` commands, so psql gets the rights that the server process has anyway.
        """
        return self.os_user if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def pg_restore(self, archive_format: str) -> list[str]:
        """The command line that turns an archive, its input, into SQL."""
        return [str(Path(self.bin_dir, "pg_restore")), f"--format={archive_format}", "--file=-"]


@dataclass(frozen=True)
class Failure:
    """What psql said: the line in the file (none when the error came outside of it), the SQLSTATE, the text, the
    server's hint."""

    line: int | None
    sqlstate: str | None
    text: str
    hint: str = ""


def seeds_from(files: Iterable[Mapping[str, Any]]) -> list[Seed]:
    """Return the seeds of a list of dictionaries; the name defaults to the path's last part."""
    seeds: list[Seed] = []
    known: set[tuple[str, str]] = set()
    for entry in files:
        path = entry.get("path") or None
        name = entry.get("name") or Path(path or "").name
        if not name:
            raise RelevoError("A seed file has neither a name nor a path. Give it a path.")
        identity = (entry["database"], name)
        if identity in known:
            raise RelevoError(
                f"Two seed files for the database {identity[0]} are named {name}. "
                "Give one of them another name: the name is what tells whether a file is loaded."
            )
        known.add(identity)
        seeds.append(
            Seed(name, entry["database"], path, entry.get("sha256") or None, entry.get("owner") or None),
        )
    return seeds


def as_entry(seed: Seed) -> dict[str, Any]:
    """Return the seed as a dictionary that ``seeds_from`` (and so the module) takes again."""
    return asdict(seed)


class _Hashing(io.RawIOBase):
    """A raw stream that hashes and counts what passes, so that the record is about the very bytes that were loaded."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__()
        self._raw = raw
        self._hash = hashlib.sha256()
        self.bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._raw.readinto(buffer) or 0
        self._hash.update(memoryview(buffer)[:count])
        self.bytes += count
        return count

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _unreadable(name: str, path: str, error: Exception) -> RelevoError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return RelevoError(
        f"The seed file {name} ({path}) cannot be read: {reason}. Check the path, its rights and that it is complete.",
    )


@contextlib.contextmanager
def _opened(name: str, path: str) -> Iterator[tuple[_Hashing, io.BufferedReader[_Hashing]]]:
    """Open a file and refuse at once what cannot be SQL."""
    try:
        raw = io.FileIO(path)
    except OSError as error:
        raise _unreadable(name, path, error) from error
    with raw:
        hashing = _Hashing(raw)
        reader = io.BufferedReader(hashing, CHUNK)
        start = reader.peek(8)
        if not start:
            raise RelevoError(f"The seed file {name} ({path}) is empty. Remove it from the list or make it again.")
        fault = _text_fault(_unpacked(start, reader))
        if fault:
            raise RelevoError(f"The seed file {name} ({path}) {fault}.")
        for magic, advice in FORMATS.items():
            if start.startswith(magic):
                raise RelevoError(
                    f"The seed file {name} ({path}) must be plain or gzipped SQL or an archive of pg_dump, but it is "
                    f"{advice}."
                )
        yield hashing, reader


def _unpacked(start: bytes, reader: io.BufferedReader[_Hashing]) -> bytes:
    """The first bytes of the text, also of one that is gzipped. Whether that is whole is seen when it is read."""
    if not start.startswith(b"\x1f\x8b"):
        return start
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(wbits=31).decompress(reader.peek(CHUNK), 64)
    return b""


def _text_fault(start: bytes) -> str:
    """Why a text that begins so is not SQL that psql reads; empty where it may be."""
    if start.startswith(VAULT):
        return "is encrypted by ansible-vault, which only the controller can decrypt. Have the role seed load it"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or NULS in (start[0:8:2], start[1:8:2]):
        return (
            "is in UTF-16, as PowerShell's > writes it, and psql reads UTF-8. Dump again with pg_dump --file, since > "
            "may have changed letters, too; or convert it with iconv -f UTF-16 -t UTF-8"
        )
    return ""


def _chunks(name: str, path: str, stream: io.BufferedIOBase) -> Iterator[bytes]:
    while True:
        try:
            chunk = stream.read(CHUNK)
        except (OSError, EOFError, zlib.error) as error:
            raise _unreadable(name, path, error) from error
        if not chunk:
            return
        yield chunk


def without_transactions_of_pg_dump(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The SQL with blanks for the BEGIN and COMMIT around large objects, so that no line and no length changes."""
    kept = b""
    for chunk in chunks:
        text = LARGE_OBJECTS.sub(_blanked, kept + chunk)
        yield text[:-LONGEST_MATCH]
        kept = text[-LONGEST_MATCH:]
    yield kept


def _blanked(found: re.Match[bytes]) -> bytes:
    before = found.group(1) or found.group(2)
    return before + b" " * (len(found.group(0)) - len(before))


def archive_format(start: bytes) -> str:
    """That of an archive of pg_dump which begins so; empty for anything else."""
    return next((name for magic, name in ARCHIVES.items() if start.startswith(magic)), "")


def described(seed: Seed) -> Seed:
    """Return the seed with an absolute path and the file's digest; raise when it cannot be a seed file."""
    if seed.path is None:
        raise RelevoError(f"The seed file {seed.name} has no path. Give the path of a .sql or .sql.gz file.")
    path = str(Path(seed.path).absolute())
    with _opened(seed.name, path) as (hashing, reader):
        for _chunk in _chunks(seed.name, path, reader):
            pass
        return Seed(seed.name, seed.database, path, hashing.sha256, seed.owner)


def literal(value: str) -> str:
    """Quote a string for SQL."""
    if "\0" in value:
        raise RelevoError("The name of a seed file holds a NUL character. Give it another name.")
    escaped = value.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else f"'{escaped}'"


def identifier(value: str) -> str:
    """Quote the name of a role for SQL."""
    return '"' + value.replace('"', '""') + '"'


def parse_failure(stderr: str) -> Failure:
    """Find psql's error in its output: the last one, since it stops at the first and warnings come before."""
    server = re.findall(r"^(?:psql:<stdin>:(\d+): )?[^\s:]+:\s+([0-9A-Z]{5}): (.*)$", stderr, re.MULTILINE)
    if server:
        line, sqlstate, text = server[-1]
        # Within COPY psql counts only up to the statement; the server's context names the line of the data.
        copy = re.findall(r"^CONTEXT:\s+(COPY [^:\n]*)", stderr, re.MULTILINE)
        hints = re.findall(r"^HINT:\s+(.*)$", stderr.rpartition(f" {sqlstate}: ")[2], re.MULTILINE)
        said = f"{text} ({copy[-1]})" if copy else text
        return Failure(int(line) if line else None, sqlstate, said, hints[-1] if hints else "")
    client = re.findall(r"^psql:(?:<stdin>:(\d+):)? error: (.*)$", stderr, re.MULTILINE)
    if client:
        line, text = client[-1]
        return Failure(int(line) if line else None, None, text)
    lines = stderr.strip().splitlines()
    return Failure(None, None, lines[-1] if lines else "psql gave no reason")


def excerpt(stderr: str) -> str:
    """Return the end of psql's output without the whole rows that it quotes: nobody wants those in a job's log."""
    rows = re.compile(r"^(CONTEXT:\s+COPY [^:\n]*|DETAIL:\s+Failing row contains).*$", re.MULTILINE)
    return rows.sub(r"\1", stderr)[-4000:]


def failure_message(seed: Seed, failure: Failure) -> str:
    """Turn psql's error into the sentence for the user."""
    subject = f"The seed file {seed.name} was not loaded into the database {seed.database}"
    where = f" in line {failure.line}" if failure.line else ""
    nothing = "None of it was loaded."
    if failure.sqlstate == ON_A_STANDBY:
        return standby_message()
    if failure.sqlstate == EARLY_COMMIT:
        return (
            f"{subject}, since it ends the transaction itself{where}. {nothing} Remove its BEGIN and COMMIT, and "
            "SET CONSTRAINTS ALL IMMEDIATE: the whole file is loaded in one transaction."
        )
    if failure.sqlstate == TRANSACTION_GONE:
        return (
            f"{subject}, since it left the transaction in which it was loaded. Remove every ROLLBACK, DISCARD and "
            "\\connect from it, and dump without --create."
        )
    advice = "Remove the cause and run again."
    if failure.sqlstate == ACTIVE_TRANSACTION:
        advice = "Remove that statement: the whole file is loaded in one transaction."
    elif failure.sqlstate == DUPLICATE_SCHEMA and "relevo_seed" in failure.text:
        advice = "Dump again with --exclude-schema=relevo_seed, since this database has records of its own."
    hint = f" The server's hint: {failure.hint.rstrip('.')}." if failure.hint else ""
    return f"{subject}: error{where}: {failure.text.rstrip('.')}.{hint} {nothing} {advice}"


def unfinished_message(seed: Seed, text: str) -> str:
    """Return the sentence for a file after whose end psql was not ready for a new statement, or gone."""
    return (
        f"The seed file {seed.name} was not loaded into the database {seed.database}, since it ends inside a "
        f"statement, a quote or a COPY block, or leaves psql by \\q ({text}). "
        "None of it was loaded. Check that it is complete."
    )


def standby_message() -> str:
    """Return the sentence for a server that must not be seeded."""
    return "This server is a standby, and only the primary can be seeded. Run the task on the primary's node."


def _query(server: PsqlTarget, database: str, script: str) -> Any:
    """Run a script that prints one JSON value."""
    command = [*server.psql(database), "--file=-"]
    try:
        done = _process.run(command, QUERY_TIMEOUT, text=script, user=server.user, **server.environment)
    except (FileNotFoundError, PermissionError) as error:
        raise _no_psql(server, error) from error
    except RelevoError as error:
        raise RelevoError(
            f"PostgreSQL on {server.socket} port {server.port} could not be asked: {error.message} "
            "Look at its log, then run again.",
        ) from error
    if done.returncode != 0:
        failure = parse_failure(done.stderr)
        raise RelevoError(
            f"The database {database} could not be asked for its seed files: {failure.text.rstrip('.')}. "
            "Check that PostgreSQL runs on this node and that the login is allowed.",
            stderr=done.stderr,
            rc=done.returncode,
        )
    return json.loads(done.stdout)


def _no_psql(server: PsqlTarget, error: OSError) -> RelevoError:
    return RelevoError(
        f"psql could not be started as the system user {server.os_user} from {server.bin_dir}: {error}. "
        "Check bin_dir and os_user.",
    )


def database_owners(server: PsqlTarget) -> dict[str, str]:
    """Return the databases and their owners; raise when the server is a standby."""
    answer = _query(server, "postgres", SURROUNDINGS)
    if answer["standby"]:
        raise RelevoError(standby_message())
    return dict(answer["owners"])


def records(server: PsqlTarget, database: str) -> dict[str, dict[str, Any]]:
    """Return what was loaded into a database, by name."""
    return {record["name"]: record for record in _query(server, database, RECORDS)}


def missing_database_message(database: str) -> str:
    """Return the sentence for a seed file whose database is not there."""
    return f"The database {database} does not exist on this server. Create it first (postgresql_databases)."


def changed_since(seed: Seed, record: Mapping[str, Any]) -> str | None:
    """Return the warning for a file whose content is not the one that was loaded."""
    if seed.sha256 is None or seed.sha256 == record["sha256"]:
        return None
    return (
        f"The seed file {seed.name} changed after it was loaded into the database {seed.database} "
        f"({record['loaded_at']}). It is not loaded again: give it another name, or drop the database, to load it."
    )


def _prologue(seed: Seed, owners: Mapping[str, str]) -> str:
    sql = PROLOGUE.format(name=literal(seed.name))
    if seed.owner is not None:
        owner = owners[seed.database] if seed.owner == DATABASE_OWNER else seed.owner
        sql += f"SET ROLE {identifier(owner)};\n"
    return sql


class _Feed:
    """Sends the file and, only when all of it was read, the epilogue that commits."""

    def __init__(self, seed: Seed, path: str, server: PsqlTarget) -> None:
        self.seed = seed
        self.server = server
        self.path = path
        self.lines = 0
        self.finished = False

    def send(self, sink: IO[bytes]) -> None:
        """Send all. A broken pipe means that psql ended first; its exit status and its words say why."""
        with contextlib.suppress(BrokenPipeError):
            self._send(sink)
        with contextlib.suppress(BrokenPipeError):
            sink.close()

    def _send(self, sink: IO[bytes]) -> None:
        with _opened(self.seed.name, self.path) as (hashing, reader):
            packed_as = archive_format(reader.peek(8))
            if packed_as:
                self._send_archive(sink, packed_as)
                for _chunk in _chunks(self.seed.name, self.path, reader):
                    pass
            else:
                self._send_sql(sink, self._plain(reader))
            self.finished = True
            sink.write(EPILOGUE.format(sha256=hashing.sha256, bytes=hashing.bytes).encode("ascii"))

    def _plain(self, reader: io.BufferedReader[_Hashing]) -> Iterator[bytes]:
        packed = reader.peek(2).startswith(b"\x1f\x8b")
        stream: io.BufferedIOBase = gzip.GzipFile(fileobj=reader) if packed else reader
        first = True
        for chunk in _chunks(self.seed.name, self.path, stream):
            if first and packed and archive_format(chunk):
                raise RelevoError(
                    f"The seed file {self.seed.name} ({self.path}) is a gzipped archive of pg_dump. Unpack it first: "
                    "pg_dump has compressed it itself."
                )
            first = False
            yield chunk

    def _send_archive(self, sink: IO[bytes], packed_as: str) -> None:
        command = self.server.pg_restore(packed_as)
        try:
            with Path(self.path).open("rb") as file, _process.output_of(command, file, user=self.server.user) as sql:
                self._send_sql(sink, iter(lambda: sql.read(CHUNK), b""))
        except RelevoError as error:
            raise RelevoError(
                f"The seed file {self.seed.name} was not loaded into the database {self.seed.database}, since it "
                f"cannot be read: {error.message.rstrip('.')}. None of it was loaded. Check that it is complete, and "
                "not of a newer major version."
            ) from error

    def _send_sql(self, sink: IO[bytes], chunks: Iterable[bytes]) -> None:
        ending = b"\n"
        for chunk in without_transactions_of_pg_dump(chunks):
            sink.write(chunk)
            self.lines += chunk.count(b"\n")
            ending = chunk[-1:] or ending
        self.lines += ending != b"\n"


def load(server: PsqlTarget, seed: Seed, path: str, owners: Mapping[str, str], timeout: float) -> dict[str, Any] | None:
    """Load one file and return its record and the seconds; return None when another run had loaded it meanwhile."""
    feed = _Feed(seed, path, server)
    done = _feed_psql(server, seed, feed, owners, timeout)
    if not _judge(seed, feed, done):
        return None
    record = records(server, seed.database).get(seed.name)
    if record is None:
        raise RelevoError(unfinished_message(seed, "psql took no commit"), stderr=excerpt(done.stderr))
    return {**record, "seconds": round(done.seconds, 3)}


def _feed_psql(
    server: PsqlTarget, seed: Seed, feed: _Feed, owners: Mapping[str, str], timeout: float
) -> _process.Finished:
    """Send psql the file; returns how psql ended."""
    options = ["--set=AUTOCOMMIT=off", f"--command={_prologue(seed, owners)}", "--file=-"]
    command = [*server.psql(seed.database), *options]
    try:
        done = _process.run_fed(command, feed.send, timeout, user=server.user, **server.environment)
    except (FileNotFoundError, PermissionError) as error:
        raise _no_psql(server, error) from error
    if done is None:
        raise RelevoError(
            f"The seed file {seed.name} was not loaded into the database {seed.database} within {timeout:g} s, "
            "which counts the wait for another load. None of it was loaded; raise the timeout or end the other load."
        )
    return done


def _judge(seed: Seed, feed: _Feed, done: _process.Finished) -> bool:
    """Whether the file was loaded; False when another run had done it. Raises ``RelevoError`` when it was not."""
    code, stderr = done.returncode, done.stderr
    if code == 0:
        return True
    failure = parse_failure(stderr) if code > 0 else Failure(None, None, f"psql was ended by signal {-code}")
    if failure.sqlstate == LOADED_BEFORE:
        return False
    if feed.finished and failure.line is not None and failure.line > feed.lines:
        # The epilogue failed: it was read as a part of the file, or the commit met a deferred constraint.
        failure = Failure(None, failure.sqlstate, failure.text)
        if failure.sqlstate in UNFINISHED:
            raise RelevoError(unfinished_message(seed, failure.text), stderr=excerpt(stderr), line=None, rc=code)
    raise RelevoError(failure_message(seed, failure), stderr=excerpt(stderr), line=failure.line, rc=code)
