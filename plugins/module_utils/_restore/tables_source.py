# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking tables, or a database, out of a scratch instance: looking at them, and dumping them.

The tables are moved into a schema of the name that they get on the primary before they are dumped, and back again:
PostgreSQL takes their indexes, constraints, sequences and defaults along, which no change of a dump's text could do.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._durable import write_file
from .._errors import RelevoError
from .._server.session import Session, SessionError, socket_dsn
from . import blame, instance
from .scratch import Files
from .tables import MOVED, ROWS, WHOLE, TableName, literal, moved_from, moved_note, quoted
from .tables_check import Table, keys_of, list_without

#: What a subscriber or a publisher is stays with the original; a tablespace need not be there any more.
_LEFT_OUT = ("--no-publications", "--no-subscriptions", "--no-tablespaces")

_TABLES = """
WITH RECURSIVE asked AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN json_to_recordset($1::json) AS w(schema text, name text) ON w.schema = n.nspname AND w.name = c.relname
), tree AS (
  SELECT oid FROM asked UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree t ON i.inhparent = t.oid
)
SELECT coalesce(json_agg(json_build_object(
  'oid', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence,
  'partition', c.relispartition, 'asked', c.oid IN (SELECT oid FROM asked), 'owner', pg_get_userbyid(c.relowner),
  'size', pg_total_relation_size(c.oid),
  'columns', (SELECT coalesce(json_object_agg(attname, format_type(atttypid, atttypmod) ORDER BY attnum), '{}')
     FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''),
  'sequences', (SELECT coalesce(json_agg(json_build_array(sn.nspname, s.relname)), '[]')
     FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
       JOIN pg_namespace sn ON sn.oid = s.relnamespace
     WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
       AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')),
  'outside_parents', (SELECT coalesce(json_agg(inhparent::regclass::text), '[]') FROM pg_inherits
     WHERE inhrelid = c.oid AND inhparent NOT IN (SELECT oid FROM tree)),
  'outside_keys', (SELECT coalesce(json_object_agg(k.oid, k.conname || ' to ' || k.confrelid::regclass), '{}')
     FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid NOT IN (SELECT oid FROM tree)),
  'extension', coalesce((SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
       AND d.refclassid = 'pg_extension'::regclass), ''),
  'ancestors', (SELECT coalesce(json_agg(json_build_array(an.nspname, a.relname)), '[]')
     FROM pg_partition_ancestors(c.oid) AS p(id) JOIN pg_class a ON a.oid = p.id AND a.oid <> c.oid
       JOIN pg_namespace an ON an.oid = a.relnamespace),
  'large_objects', (SELECT coalesce(json_agg(attname), '[]') FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
     WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND 'oid'::regtype IN (t.oid, t.typbasetype))
) ORDER BY c.oid), '[]')
FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
"""
#: Foreign keys that lead to these tables; those of partitions come with their table's.
_INCOMING = """
SELECT k.confrelid::bigint AS oid, n.nspname AS schema, c.relname AS table, k.conname AS name,
  pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND k.confrelid IN (SELECT value::oid FROM json_array_elements_text($1::json))
ORDER BY n.nspname, c.relname, k.conname
"""
#: What a tablespace, an index or a sequence takes along by itself is not among them; extended statistics do not.
_STATISTICS = """
SELECT n.nspname AS schema, s.stxname AS name FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE s.stxrelid = $1::oid
"""


class Source:
    """The database ``database`` of the scratch instance ``files``, which is not worked on by anybody else."""

    def __init__(self, files: Files, database: str, version: str, lock: int, timeout: float) -> None:
        self.files = files
        self.database = database
        self.lock = lock
        self.timeout = timeout
        self.programs = _names.bin_directory(version)
        self.there = instance.look(files)

    def session(self, database: str = "") -> Session:
        session = Session.at_socket(self.there.port, database or self.database, "the scratch instance", self.timeout)
        # An instance that was made read-only says so to each session.
        session.query("SET default_transaction_read_only = off")
        return session

    def databases(self) -> dict[str, dict[str, Any]]:
        with self.session("postgres") as session:
            rows = session.query(
                "SELECT (to_jsonb(d) || jsonb_build_object('owner', pg_get_userbyid(datdba), 'size', "
                "pg_database_size(d.oid), 'encoding_name', pg_encoding_to_char(encoding)))::text AS one "
                "FROM pg_database d WHERE datallowconn"
            )
        return {one["datname"]: one for one in (json.loads(row["one"]) for row in rows)}

    def require_database(self) -> dict[str, Any]:
        have = self.databases()
        if self.database not in have:
            named = ", ".join(sorted(name for name in have if not name.startswith("template")))
            raise RelevoError(f"There was no database {self.database} at that moment. There were {named}.")
        return have[self.database]

    # --- looking -------------------------------------------------------------------------------------------------

    def tables(self, names: Sequence[TableName]) -> list[Table]:
        """What was asked for with its partitions and children; large objects that a table refers to are looked for."""
        asked = json.dumps([{"schema": name.schema, "name": name.name} for name in names])
        with self.session() as session:
            self.put_back(session)
            found = [Table.from_dict(one) for one in json.loads(session.value(_TABLES, (asked,)))]
            found = [replace(one, large_objects=self._references(session, one)) for one in found]
            found = [replace(one, sequences=self._positions(session, one)) for one in found]
            # Last, since it is this that has the schema of every name told, as somebody will need it who types it.
            session.query("SET search_path = pg_catalog")
            rows = session.query(_INCOMING, (json.dumps([one.oid for one in found]),))
        return [replace(one, incoming=incoming(one.oid, rows)) for one in found]

    def _references(self, session: Session, table: Table) -> list[str]:
        """Those of its columns of type oid that hold the number of a large object."""
        if table.kind != "r":
            return []
        return [
            column
            for column in table.large_objects
            if session.flag(
                f"SELECT EXISTS (SELECT FROM ONLY {table.table.sql} t JOIN pg_largeobject_metadata m "
                f"ON t.{quoted(column)}::oid = m.oid)"
            )
        ]

    @staticmethod
    def _positions(session: Session, table: Table) -> list[list[Any]]:
        """Its sequences with their last value and whether that was handed out: 0 is a value like others."""
        found = []
        for schema, name in table.sequences:
            row = session.query(f"SELECT last_value, is_called FROM {TableName(schema, name).sql}")[0]
            found.append([schema, name, int(row["last_value"] or 0), row["is_called"] == "t"])
        return found

    def counted(self, found: Sequence[Table]) -> list[Table]:
        """With the rows of those that were named, by which the load is checked."""
        with self.session() as session:
            return [
                replace(one, rows=int(session.value(f"SELECT count(*) FROM {one.table.sql}"))) if one.asked else one
                for one in found
            ]

    # --- moving --------------------------------------------------------------------------------------------------

    def put_back(self, session: Session) -> None:
        """What an earlier run that was killed has moved goes where it was."""
        left = session.query(
            "SELECT nspname, obj_description(oid, 'pg_namespace') AS note FROM pg_namespace "
            "WHERE starts_with(obj_description(oid, 'pg_namespace'), $1)",
            (MOVED,),
        )
        for row in left:
            schema = quoted(row["nspname"])
            moves = [
                f"ALTER {kind} {schema}.{name} SET SCHEMA {home}"
                for (kind, name), home in ((one.split(" ", 1), home) for one, home in moved_from(row["note"]).items())
            ]
            session.query("; ".join(["BEGIN", *moves, f"DROP SCHEMA {schema}", "COMMIT"]))

    @contextlib.contextmanager
    def moved(self, found: Sequence[Table], schema: str) -> Iterator[None]:
        """The tables are in ``schema`` while this lasts."""
        with self.session() as session:
            things = [(f"TABLE {quoted(one.name)}", one.schema) for one in found]
            for one in found:
                rows = session.query(_STATISTICS, (one.oid,))
                things += [(f"STATISTICS {quoted(row['name'])}", row["schema"]) for row in rows]
            note = moved_note({what: quoted(home) for what, home in things})
            moves = [
                f"ALTER {kind} {quoted(home)}.{name} SET SCHEMA {quoted(schema)}"
                for (kind, name), home in ((what.split(" ", 1), home) for what, home in things)
            ]
            begin = [
                "BEGIN",
                f"CREATE SCHEMA {quoted(schema)}",
                f"COMMENT ON SCHEMA {quoted(schema)} IS {literal(note)}",
            ]
            try:
                session.query("; ".join([*begin, *moves, "COMMIT"]))
            except SessionError as error:
                raise RelevoError(
                    f"These tables cannot be put into one schema {schema}: {error.message}. Restore them one after "
                    "the other, or give another name with -e into=NAME."
                ) from error
            try:
                yield
            finally:
                self.put_back(session)

    # --- dumping -------------------------------------------------------------------------------------------------

    def definitions(self, found: Sequence[Table], schema: str) -> str:
        """The SQL that makes the tables in ``schema``, without their rows, to be tried."""
        with self.moved(found, schema):
            archive = self._dump("definitions.dump", ["--schema-only", f"--schema={schema}"])
        program = str(self.programs / "pg_restore")
        contents = self._text([program, "-l", str(archive)])
        chosen = self.files.home / "definitions.list"
        write_file(chosen, list_without(contents, keys_of(found), schema=True))
        text = self._text([program, f"--use-list={chosen}", "--file=-", str(archive)])
        for path in (archive, chosen):
            path.unlink()
        return text

    def dump_into(self, found: Sequence[Table], schema: str) -> Path:
        with self.moved(found, schema):
            return self._dump(WHOLE, [f"--schema={schema}"])

    def dump_database(self) -> Path:
        return self._dump(WHOLE, [])

    def dump_rows(self, found: Sequence[Table]) -> Path:
        """Of tables that are there: only their rows, for whatever partitions there are now."""
        names = [f"--table={one.table.sql}" for one in found]
        return self._dump(ROWS, ["--data-only", "--load-via-partition-root", *names])

    def dump_whole(self, found: Sequence[Table]) -> Path:
        """Of tables that are gone: as they were."""
        return self._dump(WHOLE, [f"--table={one.table.sql}" for one in found])

    def _dump(self, name: str, options: list[str]) -> Path:
        path = self.files.home / name
        # Its content is somebody's: nobody else reads it, whatever the umask is.
        write_file(path, "")
        dsn = socket_dsn(self.there.port, self.database)
        command = [str(self.programs / "pg_dump"), f"--dbname={dsn}", "--format=custom", f"--file={path}"]
        done = _process.run_with_lock([*command, *_LEFT_OUT, *options], self.timeout, self.lock)
        if done.returncode:
            raise blame.fault(f"pg_dump failed: {_last(done.stdout)}.", done.stdout, stderr=done.stdout[-4000:])
        return path

    def _text(self, command: list[str]) -> str:
        done = _process.run(command, self.timeout)
        if done.returncode:
            raise RelevoError(f"pg_restore failed: {_last(done.stderr)}.")
        return done.stdout


def incoming(table: int, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Those of the foreign keys, as ``_INCOMING`` has them, that lead to the table of this oid."""
    columns = ("schema", "table", "name", "definition")
    return [{column: str(row[column]) for column in columns} for row in rows if int(row["oid"]) == table]


def room(files: Files, size: int) -> None:
    """Refuse a dump of at most ``size`` bytes where the disk has not as much."""
    system = os.statvfs(files.home)
    free = system.f_bavail * system.f_frsize
    if free < size:
        raise RelevoError(
            f"This host has {free // 2**20} MiB free below {files.root}, and the dump may take {size // 2**20} MiB. "
            "Make room there, then run this again."
        )


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return (errors or lines or ["it gave no reason"])[0].rstrip(".")
