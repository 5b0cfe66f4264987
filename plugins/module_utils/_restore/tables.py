# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables, or a database, out of a scratch instance: what is asked for, where it goes, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .. import _names
from .._errors import RelevoError

#: The archives: of tables that are there only their rows, of others all.
ROWS, WHOLE = "rows.dump", "whole.dump"
#: In place of what is there.
ORIGINAL = "original"
#: What the comment of a schema begins with into which tables were moved for their dump.
MOVED = "relevo moved: "
UNFINISHED = _names.UNFINISHED_RESTORE
_PART = re.compile(r'\s*"(?P<quoted>(?:[^"]|"")+)"\s*|(?P<plain>[^".]*[^".\s][^".]*)')
_NEW_NAME = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_LONGEST = 63
_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast")
NOT_TO_RESTORE = ("template0", "template1", _names.OWN_DATABASE)


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
    parts, position, more = [], 0, True
    while more:
        found = _PART.match(given, position)
        if found is None:
            break
        parts.append((found["quoted"] or "").replace('""', '"') or found["plain"].strip().lower())
        more = given[found.end() : found.end() + 1] == "."
        position = found.end() + more
    if more or position != len(given) or len(parts) > 2:
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
            if not names and not into:
                raise RelevoError(
                    "Tables, or a database, were asked for, and no database was named. Name the one that comes back, "
                    "or whose tables do: -e database=NAME."
                )
            what = "The tables were" if names else f"into={into} was"
            raise RelevoError(f"{what} given without a database. Say in which they are: -e database=NAME.")
        if database in NOT_TO_RESTORE:
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


def moved_note(moved: Mapping[str, str]) -> str:
    """The comment of a schema of the scratch instance into which tables were moved for the dump: where they were."""
    return MOVED + json.dumps(moved)


def moved_from(comment: str) -> dict[str, str]:
    return dict(json.loads(comment.removeprefix(MOVED)))
