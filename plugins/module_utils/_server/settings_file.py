# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of settings as PostgreSQL reads it (``postgresql.conf``, ``postgresql.auto.conf``), one setting a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_SETTING = re.compile(r"^\s*([A-Za-z_][\w.$]*)\s*=?\s*(.*)$")
_QUOTED = re.compile(r"^'((?:[^']|'')*)'")
#: What is not a setting, and ends our own file: settings after it would override it.
_INCLUDES = ("include", "include_dir", "include_if_exists")


def lines_of(text: str) -> Iterator[tuple[int, str, str]]:
    """The number of each line that sets something, with the name in lower case and the value as it is written."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _SETTING.match(line)
        if match:
            yield number, match[1].lower(), match[2]


def settings_of(text: str) -> dict[str, str]:
    """The values by name, without their quotes; the last one of a name counts."""
    return {name: unquoted(value) for _number, name, value in lines_of(text)}


def unquoted(value: str) -> str:
    match = _QUOTED.match(value)
    return match[1].replace("''", "'") if match else value.partition("#")[0].strip()


def line_for(name: str, value: str) -> str:
    return f"{name} = '{value.replace(chr(39), chr(39) * 2)}'"


def with_values(text: str, values: Mapping[str, str | None], missing: bool = True) -> str:
    """The file with these values, in place of what it says; what it does not say is added if ``missing``.

    None is no value at all: what the file says of that name is left out.
    """
    left = {name.lower(): "" if value is None else line_for(name, value) for name, value in values.items()}
    said = {number: name for number, name, _value in lines_of(text)}
    added = [line for name, line in left.items() if line and missing and name not in said.values()]
    written: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if said.get(number) in _INCLUDES:
            written += added
            added = []
        replaced = left.get(said.get(number, ""), line)
        written += [replaced] if replaced or replaced == line else []
    return "\n".join([*written, *added, ""])
