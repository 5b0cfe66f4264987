# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables, or a database, out of a scratch instance: what is asked for, where it goes, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import _names
from .._errors import RelevoError
from .._operation_plan import Effect, OperationPlan
from .._tables import format_bytes
from .plan import WAL_ROOM

#: The archives: of tables that are there only their rows, of others all.
ROWS, WHOLE = "rows.dump", "whole.dump"
#: In place of what is there.
ORIGINAL = "original"
#: What a database's comment is until all of it is loaded.
UNFINISHED = "relevo: this restore has not ended"
_PART = re.compile(r'\s*"(?P<quoted>(?:[^"]|"")+)"\s*|(?P<plain>[^".]*[^".\s][^".]*)')
_NEW_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_LONGEST = 63
_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")
_NOT_TO_RESTORE = ("template0", "template1", _names.OWN_DATABASE)


@dataclass(frozen=True, order=True)
class TableName:
    schema: str
    name: str

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return ".".join(part if _NEW_NAME.fullmatch(part) else quoted(part) for part in (self.schema, self.name))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """As SQL, whatever ``standard_conforming_strings`` is."""
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in doubled else f"'{doubled}'"


def parse_table(given: str) -> TableName:
    """``schema.table`` as SQL writes it: capitals only count in double quotes."""
    parts, position = [], 0
    while True:
        found = _PART.match(given, position)
        if found is None:
            break
        parts.append((found["quoted"] or "").replace('""', '"') or found["plain"].strip().lower())
        position = found.end()
        if position == len(given) or given[position] != ".":
            break
        position += 1
    if position != len(given) or len(parts) not in (1, 2):
        raise RelevoError(
            f"{given} is not the name of a table. Write schema.table, with double quotes where a name needs them: "
            """-e '{"tables": ["public.\\"Order Items\\""]}'."""
        )
    if len(parts) == 1:
        raise RelevoError(f"The table {given} was given without its schema. Write public.{given}, if it is in public.")
    if parts[0] in _SYSTEM_SCHEMAS:
        raise RelevoError(f"{given} is a table of PostgreSQL's own; that is never put back alone.")
    return TableName(*parts)


@dataclass(frozen=True)
class Wanted:
    """``tables`` empty: the whole database. ``into``: empty for a name made of the moment, ORIGINAL, or a name."""

    database: str
    tables: tuple[TableName, ...] = ()
    into: str = ""

    @classmethod
    def given(cls, database: str, tables: Iterable[str], into: str) -> Wanted:
        names = [one for one in tables if one.strip()]
        if not database:
            what = "The tables were" if names else f"into={into} was"
            raise RelevoError(f"{what} given without a database. Say in which they are: -e database=NAME.")
        if database in _NOT_TO_RESTORE:
            raise RelevoError(f"The database {database} holds nothing of yours. Name another one.")
        wanted = tuple(parse_table(one) for one in names)
        twice = sorted({str(one) for one in wanted if wanted.count(one) > 1})
        if twice:
            raise RelevoError(f"{twice[0]} was named twice. Name each table once.")
        if into and into != ORIGINAL and not _NEW_NAME.fullmatch(into):
            raise RelevoError(
                f"into={into}: give {ORIGINAL}, or a new name of small letters, digits and _, at most {_LONGEST}, "
                "that does not begin with a digit or pg_."
            )
        if into == ORIGINAL and not wanted:
            raise RelevoError(
                f"A whole database cannot be replaced in one transaction, and {database} would be gone for a while. "
                "Restore it beside (leave out into), look at it, and rename both: ALTER DATABASE ... RENAME TO."
            )
        return cls(database, wanted, into)

    @property
    def replaces(self) -> bool:
        return self.into == ORIGINAL

    @property
    def what(self) -> str:
        """In words."""
        if not self.tables:
            return f"the database {self.database}"
        listed = ", ".join(map(str, self.tables))
        return f"{'the table' if len(self.tables) == 1 else 'the tables'} {listed} of {self.database}"

    def destination(self, stamp: str) -> str:
        """The name of the schema, or of the database, beside the original; ``stamp``: of ``stamp_of``."""
        if self.replaces:
            return ""
        name = self.into or (f"restored_{stamp}" if self.tables else f"{self.database}_restored_{stamp}")
        if len(name.encode()) > _LONGEST:
            raise RelevoError(f"{name} is too long for a name. Give a shorter one: -e into=NAME.")
        return name

    def place(self, destination: str) -> str:
        """In words, where it goes."""
        if self.replaces:
            return "in place of what is there"
        return f"{'schema' if self.tables else 'database'} {destination}"

    def note(self, moment: str) -> str:
        """The comment of what was made, by which a second run knows that it was."""
        return f"Restored by relevo: {self.what}, as of {moment}"


def stamp_of(request: Mapping[str, Any], reached: Mapping[str, Any]) -> str:
    """The moment in a name: the target's, or that of the last commit before it; UTC.

    ``request`` and ``reached``: of the scratch instance, ``reached`` empty before there is one.
    """
    if request.get("target_type") == "time":
        text = str(request["target"])
    elif reached:
        text = str(reached.get("last_commit") or reached.get("backup") or "")
    else:
        return "TIME_OF_ITS_LAST_COMMIT"
    digits = re.sub(r"\D", "", text)[:14]
    return f"{digits[:8]}_{digits[8:]}"


def moment_of(request: Mapping[str, Any], reached: Mapping[str, Any]) -> str:
    """The target in words, for comments and reports; of one without a value, the position that was reached."""
    kind, value = str(request.get("target_type") or ""), str(request.get("target") or "")
    if kind == "time":
        return f"{value.partition('+')[0].rstrip('0').rstrip('.')} UTC"
    return f"{kind} {value}" if value else f"the position {reached.get('lsn')}"


# --- what the primary says before anything is done ---------------------------------------------------------------


@dataclass(frozen=True)
class Primary:
    """``databases`` and ``schemas`` (those of the wanted database): name to comment. ``published_whole``: publications
    FOR ALL TABLES. Bytes; ``reserve`` stays free."""

    name: str
    databases: Mapping[str, str]
    schemas: Mapping[str, str]
    published_whole: Sequence[str] = ()
    free: int = 0
    reserve: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Primary:
        return cls(**given)


def noted(wanted: Wanted, primary: Primary, destination: str) -> str | None:
    """The comment of what is there under the name that is wanted; None where nothing is."""
    there = primary.schemas if wanted.tables else primary.databases
    return there.get(destination) if destination else None


def named_already(wanted: Wanted, primary: Primary, destination: str, note: str) -> list[str]:
    """Why it would not be put onto the primary under that name, in sentences.

    ``note``: the comment of what an earlier run has made, in its own transaction; empty where that is not known yet.
    """
    if wanted.tables and wanted.database not in primary.databases:
        have = ", ".join(sorted(set(primary.databases) - set(_NOT_TO_RESTORE)))
        return [
            f"{primary.name} has no database {wanted.database}. It has {have}. Where it was dropped, restore all of "
            "it: leave out tables."
        ]
    comment = noted(wanted, primary, destination)
    if comment is None or comment in (note, UNFINISHED):
        return []
    kind = "schema" if wanted.tables else "database"
    return [
        f"{primary.name} has a {kind} {destination} already, with something else in it ({comment or 'no comment'}). "
        "Drop it, or give another name: -e into=NAME."
    ]


def room_refusal(primary: Primary, size: int) -> str:
    """Why the primary has too little space, as a sentence; ``size``: bytes of what comes.

    As much for the file it is loaded from, at most, and for the WAL that is written.
    """
    want = 2 * size + WAL_ROOM
    if primary.free - primary.reserve >= want:
        return ""
    return (
        f"{primary.name} has {primary.free // 2**20} MiB free, of which {primary.reserve // 2**20} MiB stay free, and "
        f"this needs {want // 2**20} MiB: the data twice and WAL. Make room there; nothing of it was loaded."
    )


def question(wanted: Wanted, cluster: str) -> str:
    """What has to be confirmed with the cluster's name; empty where nothing is lost."""
    if not wanted.replaces:
        return ""
    return f"This replaces {wanted.what}, and what was written to it since is lost. Confirm it: -e confirm={cluster}."


@dataclass(frozen=True)
class Origin:
    """The scratch instance ``name`` on ``host``. ``there``: it has reached its target already. ``stays``: at the end.

    ``request`` and ``reached`` as it has them; ``sentence``: its target in words.
    """

    host: str
    name: str
    request: Mapping[str, Any]
    reached: Mapping[str, Any]
    sentence: str
    there: bool
    stays: bool


def describe_tables(
    base: OperationPlan, wanted: Wanted, origin: Origin, primary: Primary
) -> tuple[OperationPlan, bool]:
    """The plan, and whether an earlier run has done it; ``base``: the plan of the scratch instance."""
    destination = wanted.destination(stamp_of(origin.request, origin.reached))
    known = bool(origin.reached) or origin.request.get("target_type") not in ("latest", "immediate")
    note = wanted.note(moment_of(origin.request, origin.reached)) if known else ""
    refusals = [*base.refusals, *named_already(wanted, primary, destination, note)]
    if refusals:
        message = "It would not be begun. Nothing was touched."
        return OperationPlan("restore", base.cluster, "none", message, expected=base.expected, refusals=refusals), False
    place = wanted.place(destination)
    if note and noted(wanted, primary, destination) == note:
        return OperationPlan("restore", base.cluster, "none", f"{wanted.what} is there already, in the {place}."), True
    expected = [one for one in base.expected if not one.startswith("The cluster loses nothing")]
    risks = list(base.risks)
    if wanted.replaces:
        change = f"gets back {wanted.what} as it was, in one transaction"
        risks.append("Nobody can read or write these tables while they are loaded; what was written since is lost.")
    else:
        change = f"gets the {place}, in one transaction"
        expected.append("Nothing that is there now is changed.")
    if primary.published_whole and wanted.tables and not wanted.replaces:
        listed = ", ".join(primary.published_whole)
        risks.append(
            f"The new tables are published too ({listed} is FOR ALL TABLES); a subscriber that has no such tables "
            "stops at them."
        )
    action = "replace-tables" if wanted.replaces else "restore-tables" if wanted.tables else "restore-database"
    stays = "stays" if origin.stays else "is removed at the end"
    shown = OperationPlan(
        "restore",
        base.cluster,
        action,
        f"{wanted.what}, as of {origin.sentence}, {place}.",
        affects=[*base.affects, Effect(primary.name, change)],
        expected=[*expected, f"The scratch instance {origin.name} {stays}."],
        risks=risks,
    )
    return shown, False


# --- what the tables are -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """One table of the scratch instance. ``asked``: somebody named it, others are its partitions or children.

    ``kind`` and ``persistence`` as in pg_class. ``columns``: name to type, the generated ones apart. ``sequences``: owned ones,
    as schema, name and last value. ``outside_parents``, ``outside_keys``: tables that were not asked for; the latter by the foreign key's oid.
    ``rows`` None: not counted.
    """

    oid: int
    schema: str
    name: str
    kind: str
    persistence: str
    partition: bool
    asked: bool
    owner: str
    size: int
    columns: Mapping[str, str]
    sequences: Sequence[Sequence[Any]] = ()
    outside_parents: Sequence[str] = ()
    outside_keys: Mapping[str, str] = ()  # type: ignore[assignment]
    extension: str = ""
    large_objects: Sequence[str] = ()
    rows: int | None = None

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Table:
        return cls(**given)


_OTHER_KINDS = {
    "v": "is a view, which has no rows of its own",
    "m": "is a materialized view, which REFRESH fills",
    "f": "is a foreign table, whose rows are on another server",
    "S": "is a sequence",
    "c": "is a type",
    "i": "is an index",
    "I": "is an index",
    "t": "is PostgreSQL's own",
}


def source_refusals(wanted: Wanted, found: Sequence[Table]) -> list[str]:
    """Why the tables of the scratch instance are not taken, in sentences."""
    known = {one.table for one in found}
    why = [
        f"There was no table {name} in {wanted.database} at that moment. Capitals only count in double quotes."
        for name in wanted.tables
        if name not in known
    ]
    for one in found:
        if one.kind in _OTHER_KINDS:
            why.append(f"{one.table} {_OTHER_KINDS[one.kind]}. Name tables only.")
        elif one.persistence == "u":
            why.append(f"{one.table} is unlogged: it is in no backup. Name other tables.")
        elif one.extension:
            why.append(f"{one.table} belongs to the extension {one.extension}. Restore the whole database beside.")
        if one.outside_parents and not one.partition:
            parents = ", ".join(one.outside_parents)
            why.append(f"{one.table} inherits from {parents}, whose rows it would become. Name that table, too.")
        if one.large_objects:
            columns = ", ".join(one.large_objects)
            why.append(
                f"{one.table} refers to large objects ({columns}), which belong to the whole database. Restore that "
                "beside: leave out tables."
            )
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and not wanted.replaces:
        why.append(f"Several of these tables are named {twice[0]}, and they would come into one schema. Restore them "
                   "one after the other, each with -e into=NAME.")  # fmt: skip
    return why


@dataclass(frozen=True)
class Living:
    """A table of the primary that would be replaced; as ``Table``. ``rules``, ``children``: whether it has some.

    ``referenced_by``: tables that were not asked for and whose foreign keys lead to it.
    """

    schema: str
    name: str
    kind: str
    columns: Mapping[str, str]
    referenced_by: Sequence[str] = ()
    rules: bool = False
    inherits: bool = False

    @property
    def table(self) -> TableName:
        return TableName(self.schema, self.name)


def replace_refusals(found: Sequence[Table], living: Sequence[Living]) -> list[str]:
    """Why tables are not replaced in place, in sentences."""
    now = {one.table: one for one in living}
    why = []
    for one in found:
        there = now.get(one.table)
        if there is None:
            continue
        beside = "Restore it beside (leave out into), and take over what you need with SQL."
        if there.kind != one.kind and one.asked:
            why.append(f"{one.table} is of another kind now (relkind {there.kind}, then {one.kind}). {beside}")
        elif one.asked and dict(there.columns) != dict(one.columns):
            why.append(f"{one.table} has other columns now: {_differences(one.columns, there.columns)}. {beside}")
        if there.referenced_by:
            names = ", ".join(there.referenced_by)
            why.append(f"Foreign keys of {names} lead to {one.table}. Name these tables too, or restore it beside.")
        if there.rules:
            why.append(f"{one.table} has rules, which would change what is loaded. {beside}")
        if there.inherits:
            why.append(f"{one.table} has children or parents by INHERITS. {beside}")
    return why


def _differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    gone = [name for name in then if name not in now]
    new = [name for name in now if name not in then]
    other = [f"{name} was {then[name]} and is {now[name]}" for name in then if name in now and now[name] != then[name]]
    said = [f"{', '.join(gone)} is missing"] if gone else []
    said += [f"{', '.join(new)} is new"] if new else []
    return "; ".join([*said, *other]) or "their order"


def keys_of(found: Sequence[Table]) -> list[int]:
    """The foreign keys that lead to tables that were not asked for."""
    return [int(key) for one in found for key in one.outside_keys]


# --- what is in an archive of pg_dump ----------------------------------------------------------------------------

_ENTRY = re.compile(r"^(?P<id>\d+); (?P<catalog>\d+) (?P<oid>\d+) (?P<rest>.*)$")


def list_without(contents: str, keys: Iterable[int] = (), *, schema: bool = False, sequences: bool = False) -> str:
    """The list of an archive's contents, as ``pg_restore -l`` prints it, with some taken out by a leading ``;``.

    ``keys``: foreign keys by their oid. ``schema``: the schemas themselves. ``sequences``: their positions.
    """
    unwanted = set(keys)
    lines = []
    for line in contents.splitlines():
        found = _ENTRY.match(line)
        drop = False
        if found:
            rest = found["rest"]
            drop = (
                (rest.startswith(("FK CONSTRAINT ", "CONSTRAINT ")) and int(found["oid"]) in unwanted)
                or (schema and re.match(r"SCHEMA - |(COMMENT|ACL) - SCHEMA ", rest) is not None)
                or (sequences and rest.startswith("SEQUENCE SET "))
            )
        lines.append(f";{line}" if drop else line)
    return "\n".join([*lines, ""])


def report(
    wanted: Wanted, destination: str, found: Sequence[Table], moment: str, primary: str, size: int, seconds: float
) -> str:
    """What was done, in words."""
    lines = [f"{_upper(wanted.what)}, as of {moment}: on {primary}, {wanted.place(destination)}."]
    for one in found:
        if one.asked and one.rows is not None:
            where = str(one.table) if wanted.replaces else str(TableName(destination, one.name))
            lines.append(f"  {where}: {one.rows} rows")
    keys = sorted({key for one in found for key in dict(one.outside_keys).values()})
    if keys and not wanted.replaces:
        lines.append(f"  Without the foreign keys that led to tables that were not named: {', '.join(keys)}.")
    lines.append(f"  {format_bytes(size)} were carried over; loaded in {seconds:.1f} s, in one transaction.")
    if wanted.tables and not wanted.replaces:
        first = found[0].table if found else TableName("public", "t")
        copy = TableName(destination, first.name)
        lines += [
            f"  Take over:  INSERT INTO {first} (...) SELECT ... FROM {copy} WHERE ...  (or, where it was dropped, ALTER TABLE {copy} "
            f"SET SCHEMA {quoted(first.schema)})",
            f"  Remove:     DROP SCHEMA {destination} CASCADE",
        ]
    elif not wanted.tables:
        lines += [
            f"  Only its owner and superusers may connect: GRANT CONNECT ON DATABASE {quoted(destination)} TO ...",
            f"  Remove:     DROP DATABASE {quoted(destination)}",
        ]
    return "\n".join(lines)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def moved_note(moved: Mapping[str, str]) -> str:
    """The comment of a schema of the scratch instance into which tables were moved for the dump: where they were."""
    return MOVED + json.dumps(moved)


def moved_from(comment: str) -> dict[str, str]:
    return dict(json.loads(comment.removeprefix(MOVED)))


MOVED = "relevo moved: "
