# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the Python of a machine can run what is sent there: an older one ends with an ImportError and no sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

Version = tuple[int, int]

#: That of Debian 12, and of the classifiers in pyproject.toml.
OLDEST: Version = (3, 11)
#: That which the unit of the server runs the start guard with, and Debian's psycopg is for.
SYSTEM = "/usr/bin/python3"
_ASK = "import sys; print('relevo-python', *sys.version_info[:2])"
_SAID = re.compile(r"^relevo-python (\d+) (\d+)$", re.MULTILINE)


def interpreters(named: str | None, has_server: bool) -> list[str]:
    """Which are asked on a machine; ``named``: that of its variables. ``has_server``: its start guard runs there."""
    return list(dict.fromkeys([named or SYSTEM, *([SYSTEM] if has_server else [])]))


def question(programs: list[str]) -> str:
    """The command for a shell that has each of them print its version; one that is not there prints nothing."""
    return "; ".join(f"{shlex.quote(program)} -c {shlex.quote(_ASK)}" for program in programs)


def version_in(output: str) -> Version | None:
    """The oldest that said what it is; None when none did."""
    return min(((int(major), int(minor)) for major, minor in _SAID.findall(output)), default=None)


def refusal(found: Mapping[str, Version | None]) -> str:
    """The sentences on machines whose Python is too old; empty when there are none.

    One that did not say is left to what comes after: it may be down, and Ansible has words for one without Python.
    """
    old = [
        f"{name} has Python {version[0]}.{version[1]}"
        for name, version in found.items()
        if version and version < OLDEST
    ]
    if not old:
        return ""
    return (
        f"{', '.join(old)}, and {OLDEST[0]}.{OLDEST[1]} is the oldest that works (docs/reference/platforms.md). "
        "Nothing was touched. Use a newer release of the system there, such as Debian 12 or Ubuntu 24.04: "
        f"{SYSTEM} has to be that new on a node."
    )
