# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of settings as PostgreSQL reads it (``postgresql.conf``, ``postgresql.auto.conf``), one setting a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .._errors import RelevoError

_SETTING = re.compile(r"^\s*([A-Za-z_][\w.$]*)\s*=?\s*(.*)$")
_QUOTED = re.compile(r"^'((?:[^'\\]|''|\\.)*)'")
_ESCAPED = re.compile(r"''|\\(.)")
_WORDS = {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}
#: What the other nodes, the start guard and our own questions stand on, and where it is decided instead.
_NOT_GIVEN = {
    **dict.fromkeys(("data_directory", "config_file"), "postgresql_version decides where the data are"),
    **dict.fromkeys(("hba_file", "ident_file"), "rules of access are given in postgresql_hba"),
    "port": "it is given as postgresql_port",
    "unix_socket_directories": "every play asks the server at its socket there",
    "hot_standby": "a standby that answers nobody can take no role",
    "archive_mode": "only the primary archives, and without it there is no backup",
    **dict.fromkeys(
        ("ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file"),
        "the nodes ask one another over TLS; an authority of yours is given in secrets_authority_certificate",
    ),
}
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
    return _ESCAPED.sub(lambda found: found[1] or "'", match[1]) if match else value.partition("#")[0].strip()


def line_for(name: str, value: str) -> str:
    """Within quotes PostgreSQL takes a backslash for the beginning of an escape, as it does a quote."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"{name} = '{escaped}'"


def server_lines(ours: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """A line for each of our parameters, with those that an owner gives in their place, and theirs after it.

    A list is written with commas, and null leaves a parameter out. Raises ``RelevoError`` where one is given that the
    collection stands on, with another value than ours.
    """
    refused = decided_elsewhere(ours, given)
    if refused:
        raise RelevoError(f"{refused} Nothing was configured.")
    values = {**ours, **given}
    return "".join(f"{line_for(name, _text(value))}\n" for name, value in values.items() if value is not None)


def decided_elsewhere(ours: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Why an owner cannot give one of these parameters, as a sentence; empty where they can."""
    for name, value in given.items():
        if (reason := _NOT_GIVEN.get(name.lower())) and not same(str(value), str(ours.get(name.lower()))):
            return (
                f"postgresql_parameters has {name}, which is not for it: {reason}. Correct postgresql_parameters: "
                "leave it out there."
            )
    return ""


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def same(one: str, other: str) -> bool:
    """Whether two ways to write a setting's value mean the same; when in doubt they do not."""
    first, second = (" ".join(value.lower().split()) for value in (one, other))
    return _WORDS.get(first, first) == _WORDS.get(second, second)


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
