# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest's configuration with the options that an owner gives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .._errors import RelevoError

GLOBAL = "[global]"
#: Lines of ours that older releases of pgBackRest refuse, and since when they take them. Debian 12 has 2.45.
SINCE = {"repo1-block=y": (2, 46), "repo2-block=y": (2, 46), "backup-standby=prefer": (2, 54)}

#: Since when the address of a certificate is looked at; before, one is looked for among its names, where IPv6 is not.
ADDRESSES_SINCE = (2, 53)
_HOST = re.compile(r"^(?:pg|repo)\d+-host=(.*:.*)$", re.MULTILINE)


def release(version: str) -> tuple[int, int] | None:
    """From what ``pgbackrest version`` says; None where nobody knows it."""
    found = re.search(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def require_names(text: str, version: str) -> None:
    """Refuse hosts with addresses of IPv6 for a pgBackRest that finds none in a certificate."""
    has, hosts = release(version), list(dict.fromkeys(_HOST.findall(text)))
    if has and has < ADDRESSES_SINCE and hosts:
        raise RelevoError(
            f"pgBackRest {has[0]}.{has[1]} finds no address of IPv6 in a certificate, and would refuse "
            f"{' and '.join(hosts)}. Its configuration was not changed. Give those hosts a node_address that is a "
            f"name, or install {ADDRESSES_SINCE[0]}.{ADDRESSES_SINCE[1]} or newer (Debian 13 has it)."
        )


def known_to(text: str, version: str) -> str:
    """Our configuration without what this pgBackRest does not know. ``version``: what ``pgbackrest version`` says.

    Where nobody knows the version, which is where pgBackRest is not installed yet, it stays as it is.
    """
    has = release(version)
    if not has:
        return text
    kept = [line for line in text.splitlines() if SINCE.get(line, has) <= has]
    return "\n".join(kept) + "\n"


def with_options(text: str, options: Mapping[str, Any]) -> str:
    """The configuration in which each given option stands once, in the section ``[global]``, and ours nowhere.

    pgBackRest refuses an option that stands twice where it may have one value ([031]), and one of ours in a narrower
    section would win over the one that was given.
    """
    kept = [line for line in text.splitlines() if _key(line) not in options]
    given = [line for key in sorted(options) for line in _lines(key, options[key])]
    end = next((number for number, line in enumerate(kept) if line.startswith("[") and line != GLOBAL), len(kept))
    # Before the empty line that ends the section.
    while end and not kept[end - 1].strip():
        end -= 1
    return "\n".join([*kept[:end], *given, *kept[end:]]) + "\n"


def _key(line: str) -> str:
    return line.partition("=")[0].strip() if "=" in line and not line.startswith("#") else ""


def _lines(key: str, value: Any) -> Iterator[str]:
    """In pgBackRest's own form: ``y`` and ``n``, and a line for each of several values."""
    for one in value if isinstance(value, list) else [value]:
        yield f"{key}={('y' if one else 'n') if isinstance(one, bool) else one}"
