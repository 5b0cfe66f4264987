# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading tables, or a database, on the primary: all of it in one transaction, over the server's own socket.

As for seed files (``_seed``), psql does not commit by itself: only the last lines do, which are sent after all that the
archives hold. Whatever is killed, all of it is there or nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .. import _names, _process
from .._durable import write_file
from .._errors import RelevoError
from .._seed import (
    CHUNK,
    ENVIRONMENT,
    Failure,
    PsqlTarget,
    excerpt,
    parse_failure,
    without_transactions_of_pg_dump,
)
from .._server.installation import local_port
from .._server.server import Server
from .._server.session import Session, socket_dsn
from .tables import ROWS, UNFINISHED, TableName, Wanted, literal, quoted
from .tables_check import Living, Table, keys_of, list_without
from .tables_plan import Primary

INCOMING = _names.RESTORE_DIR
RESERVE = 0.02
#: One load at a time, and one database that is being made.
LOAD, MAKING = (f"pg_catalog.hashtextextended('relevo_restore', {number})" for number in (0, 1))

#: A foreign key among the tables that are replaced; the class RV is used by nobody else (``_seed``).
KEY_AMONG_THEM = "RV005"
_LIVING = """
SELECT coalesce(json_agg(json_build_object(
  'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
  'columns', (SELECT coalesce(json_object_agg(attname, format_type(atttypid, atttypmod) ORDER BY attnum), '{}')
     FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''),
  'referenced_by', (SELECT coalesce(json_agg(DISTINCT k.conrelid::regclass::text), '[]') FROM pg_constraint k
     WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conrelid NOT IN (SELECT oid FROM tree)),
  'rules', EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid),
  'inherits', c.relkind = 'r' AND NOT c.relispartition
     AND EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent))
)), '[]')
FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
"""
# A constraint's name is unique on its table only.
_LACKING = """
SELECT w.schema, w.table, w.name, w.definition
FROM json_to_recordset($1::json) AS w(schema text, "table" text, name text, definition text)
  JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.table
WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (
  SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = w.name AND k.contype = 'f')
ORDER BY w.schema, w.table, w.name
"""
_TREE = """
WITH RECURSIVE tree AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN json_to_recordset($1::json) AS w(schema text, name text) ON w.schema = n.nspname AND w.name = c.relname
  UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid
)
"""

# No trigger of somebody's may run, or change what is loaded; foreign keys are checked all the same. Those of a
# partitioned table go over to its partitions, so what was set for one of these comes last.
# Foreign keys among these tables wait for all of the rows: pg_dump has no order for those in a circle, nor for those
# onto partitions, and knows none that was added since. Altered, not made again: their comments, and what was set for
# their triggers, stay. One of a partition is altered where it was declared.
_REPLACE = """
SET LOCAL lock_timeout = {timeout};
LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;
CREATE TEMPORARY TABLE relevo_replaced ON COMMIT DROP AS
  SELECT coalesce(t.relid, r.oid)::oid AS oid FROM pg_catalog.unnest(ARRAY[{classes}]::pg_catalog.regclass[]) AS r(oid)
    LEFT JOIN LATERAL pg_catalog.pg_partition_tree(r.oid) AS t ON true;
CREATE TEMPORARY TABLE relevo_triggers ON COMMIT DROP AS
  SELECT tgrelid::regclass AS rel, tgname AS name, tgenabled AS state, row_number() OVER (ORDER BY tgrelid, tgname) AS n
  FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'
    AND tgrelid IN (SELECT oid FROM pg_temp.relevo_replaced);
CREATE TEMPORARY TABLE relevo_keys ON COMMIT DROP AS
  WITH RECURSIVE up AS (
    SELECT oid, conparentid FROM pg_catalog.pg_constraint WHERE contype = 'f'
      AND conrelid IN (SELECT oid FROM pg_temp.relevo_replaced)
      AND confrelid IN (SELECT oid FROM pg_temp.relevo_replaced)
    UNION SELECT k.oid, k.conparentid FROM pg_catalog.pg_constraint k JOIN up ON up.conparentid = k.oid
  )
  SELECT k.conrelid::regclass AS rel, n.nspname AS schema, k.conname AS name, k.condeferrable AS deferrable,
    k.condeferred AS deferred, row_number() OVER (ORDER BY k.oid) AS n
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
  WHERE k.oid IN (SELECT oid FROM up WHERE conparentid = 0);
DO $relevo$
DECLARE one record;
BEGIN
  FOR one IN SELECT * FROM pg_temp.relevo_triggers ORDER BY n LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s DISABLE TRIGGER %I', one.rel, one.name);
  END LOOP;
  FOR one IN SELECT * FROM pg_temp.relevo_keys WHERE NOT deferred ORDER BY n LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY DEFERRED', one.rel, one.name);
  END LOOP;
END $relevo$;
TRUNCATE {tables};
"""
# Apart from those that lead elsewhere: somebody has to do something else.
_KEYS = f"""
DO $relevo$
DECLARE one record;
BEGIN
  FOR one IN SELECT * FROM pg_temp.relevo_keys ORDER BY n LOOP
    EXECUTE pg_catalog.format('SET CONSTRAINTS %I.%I IMMEDIATE', one.schema, one.name);
  END LOOP;
EXCEPTION WHEN foreign_key_violation THEN
  RAISE EXCEPTION USING ERRCODE = '{KEY_AMONG_THEM}', MESSAGE = SQLERRM;
END $relevo$;
"""
_REPLACED = """
DO $relevo$
DECLARE one record;
BEGIN
  FOR one IN SELECT * FROM pg_temp.relevo_keys WHERE NOT deferred ORDER BY n LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s ALTER CONSTRAINT %I %s', one.rel, one.name,
      CASE WHEN one.deferrable THEN 'DEFERRABLE INITIALLY IMMEDIATE' ELSE 'NOT DEFERRABLE' END);
  END LOOP;
  FOR one IN SELECT * FROM pg_temp.relevo_triggers ORDER BY n LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE %s TRIGGER %I', one.rel,
      CASE one.state WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, one.name);
  END LOOP;
END $relevo$;
"""
# Only ever moved on, which is down where it counts down: what was handed out since the restored moment is not handed
# out again. It is no part of a transaction, and so comes last. Its limits may be others now.
_SEQUENCE = """
SELECT pg_catalog.setval({name}::pg_catalog.regclass, {value}, {called}) FROM {sql} s, pg_catalog.pg_sequence q
WHERE q.seqrelid = {name}::pg_catalog.regclass AND {value} BETWEEN q.seqmin AND q.seqmax
  AND (CASE WHEN q.seqincrement > 0 THEN s.last_value < {value} ELSE s.last_value > {value} END
    OR s.last_value = {value} AND {called} AND NOT s.is_called);
"""
_COUNT = """
DO $relevo$
BEGIN
  IF (SELECT count(*) FROM {sql}) <> {rows} THEN
    RAISE EXCEPTION '% of {rows} rows of % arrived', (SELECT count(*) FROM {sql}), {name};
  END IF;
END $relevo$;
"""


@dataclass(frozen=True)
class Job:
    """What is loaded where, and the comment (``note``) that says so. Seconds."""

    wanted: Wanted
    found: Sequence[Table]
    destination: str
    note: str
    timeout: float = 86400
    lock_timeout: float = 10


class Target:
    """The server of this node, which is the primary."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.server = Server()

    def primary(self, database: str) -> Primary:
        """What is there; raises ``RelevoError`` on a standby."""
        with Session.local("postgres") as session:
            if session.flag("SELECT pg_is_in_recovery()"):
                raise RelevoError(f"{self.name} is a standby now. Nothing was loaded; run this again.")
            databases = self._noted(session, "pg_database", "datname", "WHERE datallowconn")
        schemas, published = {}, []
        if database in databases:
            with Session.local(database) as session:
                schemas = self._noted(session, "pg_namespace", "nspname")
                published = session.query("SELECT pubname FROM pg_publication WHERE puballtables ORDER BY 1")
        system = os.statvfs(self.server.pgdata)
        return Primary(
            self.name,
            databases,
            schemas,
            [str(row["pubname"]) for row in published],
            system.f_bavail * system.f_frsize,
            int(system.f_blocks * system.f_frsize * RESERVE),
        )

    @staticmethod
    def _noted(session: Session, catalog: str, name: str, where: str = "") -> dict[str, str]:
        describe = (
            f"shobj_description(oid, '{catalog}')" if catalog == "pg_database" else f"obj_description(oid, '{catalog}')"
        )
        rows = session.query(f"SELECT {name} AS name, coalesce({describe}, '') AS note FROM {catalog} {where}")
        return {str(row["name"]): str(row["note"]) for row in rows}

    def living(self, database: str, names: Sequence[TableName]) -> list[Living]:
        """Those of the tables that are there now, with their partitions."""
        asked = json.dumps([{"schema": name.schema, "name": name.name} for name in names])
        with Session.local(database) as session:
            return [Living(**one) for one in json.loads(session.value(_TREE + _LIVING, (asked,), 60))]

    def lacking(self, database: str, keys: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """Those of the foreign keys whose table is there and has none of that name."""
        if not keys:
            return []
        with Session.local(database) as session:
            rows = session.query(_LACKING, (json.dumps([dict(key) for key in keys]),))
        return [{name: str(value) for name, value in row.items()} for row in rows]

    # --- trying and loading --------------------------------------------------------------------------------------

    def try_definitions(self, job: Job, sql: str) -> None:
        """Make the tables and take them back: the server says what they need that is not there."""
        text = f"{self._beside(job)}{sql}\nROLLBACK;\n"

        def send(pipe: IO[bytes]) -> None:
            pipe.write(text.encode())

        self._run(job, send, job.wanted.database)

    def load(self, job: Job, archives: Sequence[Path], living: Sequence[Living], source: dict[str, Any]) -> float:
        """Load it; the seconds that it took. ``source``: the database's row of the scratch instance."""
        if not job.wanted.tables:
            return self._load_database(job, archives[0], source)
        lines = self._replacing(job, living) if job.wanted.replaces else self._beside(job)
        after = self._after(job, living)
        keys = _KEYS if job.wanted.replaces and replaced(job, living) else ""
        return self._feed(job, job.wanted.database, lines, archives, after, keys)

    def _feed(
        self, job: Job, database: str, before: str, archives: Sequence[Path], after: str, between: str = ""
    ) -> float:
        def send(pipe: IO[bytes]) -> None:
            pipe.write(before.encode())
            for archive in archives:
                with self._sql_of(job, archive) as sql:
                    for chunk in without_transactions_of_pg_dump(_chunks(sql)):
                        pipe.write(chunk)
                # A table with a check that waits for the commit cannot be altered.
                pipe.write(f"{between}\nSET CONSTRAINTS ALL IMMEDIATE;\n".encode())
            pipe.write(f"{after}COMMIT;\n".encode())

        return self._run(job, send, database)

    def _run(self, job: Job, send: Callable[[IO[bytes]], None], database: str) -> float:
        psql = PsqlTarget(
            str(self.server.bin_directory), str(_names.SOCKET_DIR), local_port(), _process.POSTGRES, _process.POSTGRES
        )
        # Before anything else: a database may be read-only by default.
        first = f"SET TRANSACTION READ WRITE; SELECT pg_catalog.pg_advisory_xact_lock({LOAD})"
        command = [
            *psql.psql(socket_dsn(local_port(), database, ENVIRONMENT["PGOPTIONS"])),
            "--output=/dev/null",
            "--set=AUTOCOMMIT=off",
        ]

        def feed(pipe: IO[bytes]) -> None:
            with contextlib.suppress(BrokenPipeError):
                send(pipe)
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

        done = _process.run_fed(
            [*command, f"--command={first}", "--file=-"], feed, job.timeout, user=psql.user, **psql.environment
        )
        if done is None:
            raise RelevoError(
                f"The load did not end within {job.timeout:g} s. None of it is there; raise restore_timeout."
            )
        if done.returncode:
            raise RelevoError(failure_message(job, parse_failure(done.stderr)), stderr=excerpt(done.stderr))
        return done.seconds

    @contextlib.contextmanager
    def _sql_of(self, job: Job, archive: Path) -> Iterator[IO[bytes]]:
        program = str(self.server.bin_directory / "pg_restore")
        listed = _process.run([program, "-l", str(archive)], 600)
        if listed.returncode:
            raise RelevoError(f"pg_restore cannot read {archive}: {listed.stderr.strip()}")
        beside = bool(job.wanted.tables) and not job.wanted.replaces
        keys = keys_of(job.found) if beside else []
        chosen = archive.with_suffix(".list")
        write_file(chosen, list_without(listed.stdout, keys, schema=beside, sequences=archive.name == ROWS))
        with archive.open("rb") as file, _process.output_of([program, f"--use-list={chosen}", "--file=-"], file) as sql:
            yield sql

    # --- what comes before and after an archive ------------------------------------------------------------------

    @staticmethod
    def _beside(job: Job) -> str:
        owners = {one.owner for one in job.found if one.asked}
        # With several owners it is nobody's but a superuser's, who can give it away.
        owner = f" AUTHORIZATION {quoted(owners.pop())}" if len(owners) == 1 else ""
        schema = quoted(job.destination)
        return f"CREATE SCHEMA {schema}{owner};\nCOMMENT ON SCHEMA {schema} IS {literal(job.note)};\n"

    @staticmethod
    def _replacing(job: Job, living: Sequence[Living]) -> str:
        there = replaced(job, living)
        if not there:
            return ""
        names = ", ".join(one.table.sql for one in there)
        classes = ", ".join(literal(one.table.sql) for one in there)
        return _REPLACE.format(timeout=int(job.lock_timeout * 1000), tables=names, classes=classes)

    @staticmethod
    def _after(job: Job, living: Sequence[Living]) -> str:
        there = {one.table for one in replaced(job, living)} if job.wanted.replaces else set()
        text = ""
        for one in job.found:
            table = one.table if job.wanted.replaces else TableName(job.destination, one.name)
            if one.asked:
                text += _COUNT.format(sql=table.sql, rows=one.rows, name=literal(str(table)))
                text += f"ANALYZE {table.sql};\n"
        if there:
            text += _REPLACED
            for one in job.found:
                for schema, name, value, called in one.sequences if one.table in there else ():
                    sequence, taken = TableName(schema, name), "true" if called else "false"
                    text += _SEQUENCE.format(
                        name=literal(sequence.sql), sql=sequence.sql, value=int(value), called=taken
                    )
        return text

    @staticmethod
    def remove_archives() -> int:
        """Their bytes."""
        size = 0
        for path in sorted(INCOMING.iterdir()) if INCOMING.is_dir() else []:
            size += path.stat().st_size if path.suffix == ".dump" else 0
            path.unlink()
        return size

    # --- a whole database ----------------------------------------------------------------------------------------

    def _load_database(self, job: Job, archive: Path, source: dict[str, Any]) -> float:
        name = quoted(job.destination)
        with Session.at_socket(local_port(), "postgres", self.name, job.timeout) as session:
            # Held for the whole load: what has no comment of an ended load belongs to nobody who lives.
            session.query(f"SELECT pg_advisory_lock({MAKING})")
            for left, note in self._noted(session, "pg_database", "datname").items():
                if note == UNFINISHED:
                    session.query(f"DROP DATABASE {quoted(left)} WITH (FORCE)")
            session.query(create_database(job.destination, source))
            # Nobody comes in whom the original kept out: its own privileges are not carried over.
            session.query(
                f"COMMENT ON DATABASE {name} IS {literal(UNFINISHED)}; REVOKE ALL ON DATABASE {name} FROM PUBLIC"
            )
            done = f"COMMENT ON DATABASE {name} IS {literal(job.note)};\n"
            loaded = False
            try:
                seconds = self._feed(job, job.destination, "", [archive], done)
                loaded = True
            finally:
                if not loaded:
                    session.query(f"DROP DATABASE {name} WITH (FORCE)")
            return seconds


def replaced(job: Job, living: Sequence[Living]) -> list[Living]:
    """Those of the named tables that are there, and are emptied."""
    asked = {one.table for one in job.found if one.asked}
    return [one for one in living if one.table in asked]


def create_database(name: str, source: dict[str, Any]) -> str:
    """``source``: the row of pg_database, whose columns for the locale have other names in every major version."""
    providers = {"c": "libc", "i": "icu", "b": "builtin"}
    provider = providers[source.get("datlocprovider") or "c"]
    locale = source.get("datlocale") or source.get("daticulocale")
    words = [
        f"CREATE DATABASE {quoted(name)} TEMPLATE template0 OWNER {quoted(source['owner'])}",
        f"ENCODING {literal(source['encoding_name'])} LOCALE_PROVIDER {provider}",
        f"LC_COLLATE {literal(source['datcollate'])} LC_CTYPE {literal(source['datctype'])}",
    ]
    if provider != "libc" and locale:
        words.append(f"{'ICU_LOCALE' if provider == 'icu' else 'BUILTIN_LOCALE'} {literal(locale)}")
    if source.get("daticurules"):
        words.append(f"ICU_RULES {literal(source['daticurules'])}")
    return " ".join(words)


_ADVICE = {
    "42704": "Create what is missing (a role: CREATE ROLE ... NOLOGIN; a type or an extension: as it was then)",
    "42883": "Create that function, as it was then",
    "42P01": "Create it, or name it, too",
    "3F000": "Create that schema",
    "42P06": "Somebody has made it meanwhile: run this again, or give another name with -e into=NAME",
    "55P03": "Somebody works on these tables: wait until they are done",
    "23503": "A foreign key leads to rows that are not there now: name that table, too, or leave out into",
    KEY_AMONG_THEM: "The rows of that moment do not keep this foreign key, which is younger than they are, or was not "
    "valid: drop it, add it again as NOT VALID when they are there, or leave out into",
    "53100": "Make room on its disk",
    "42501": "A trigger or policy of this database forbids it",
}


def failure_message(job: Job, failure: Failure) -> str:
    """psql's error as the sentence for the user."""
    advice = _ADVICE.get(failure.sqlstate or "", "Remove the cause") + ", then run this again."
    hint = f" The server's hint: {failure.hint.rstrip('.')}." if failure.hint else ""
    return (
        f"The primary does not take {job.wanted.what}: {failure.text.rstrip('.')}.{hint} None of it is there, since "
        f"it is one transaction. {advice}"
    )


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk
