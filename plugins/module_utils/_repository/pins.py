# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that must stay until a date: an annotation of the backup says until when.

pgBackRest does not know of that, so each of our calls that lets it expire something asks ``fulls_to_keep`` how many
full backups it may not go below; where the retention is by time, it asks ``days_to_keep`` of how many days. A backup
that is made by hand, or a timer that calls pgBackRest itself, still expires it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from typing import Any

from .._errors import RelevoError

#: The annotation; its value is a moment in UTC, ``20261231T235959Z``.
PINNED = "relevo-pinned"
#: What takes a pin off.
NOW = "now"
DAY = 86400
_INSTANT = "%Y%m%dT%H%M%SZ"
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def pinned_until(backup: Mapping[str, Any], now: datetime) -> datetime | None:
    """Until when a backup must stay; None where that is over, or was never said."""
    try:
        until = datetime.strptime((backup.get("annotation") or {}).get(PINNED, ""), _INSTANT).replace(tzinfo=UTC)
    except ValueError:
        return None
    return until if until > now else None


def pin_value(until: str, now: datetime) -> str:
    """The annotation's value for ``2026-12-31`` (the end of that day in UTC) or ``now`` (empty: the pin is taken off).

    Raises ``RelevoError`` for what is neither, and for a day that is over.
    """
    text = until.strip()
    if text == NOW:
        return ""
    try:
        day = datetime.strptime(text if _DATE.match(text) else "", "%Y-%m-%d").date()
    except ValueError:
        raise RelevoError(
            f"pin_until='{until}' is not a date. Nothing was changed. Write it as 2026-12-31; pin_until=now takes the "
            "pin off."
        ) from None
    end = datetime.combine(day, time(23, 59, 59), UTC)
    if end <= now:
        raise RelevoError(f"pin_until={text} is over. Nothing was changed. Name a day to come, or pin_until=now.")
    return end.strftime(_INSTANT)


def pin_through(backup: Mapping[str, Any], until: datetime, now: datetime) -> dict[str, str]:
    """The annotation that keeps a backup until a moment, or for as long as somebody has pinned it already."""
    there = pinned_until(backup, now)
    return {PINNED: max(until, there or until).strftime(_INSTANT)}


def chain(label: str, backups: Iterable[Mapping[str, Any]]) -> list[str]:
    """The backup and all that it needs: what it builds on, and what it refers to; the oldest last."""
    known = {str(backup["label"]): backup for backup in backups}
    found, ahead = list[str](), [label]
    while ahead:
        name = ahead.pop(0)
        if name in known and name not in found:
            found.append(name)
            ahead += [*(known[name].get("reference") or []), *filter(None, [known[name].get("prior")])]
    return sorted(found, reverse=True)


def is_full(backup: Mapping[str, Any]) -> bool:
    return backup.get("type") == "full"


def stop_of(backup: Mapping[str, Any]) -> int:
    return int((backup.get("timestamp") or {}).get("stop") or 0)


def fulls_to_keep(backups: Iterable[Mapping[str, Any]], needed: Iterable[str], configured: int, coming: int = 0) -> int:
    """How many of the newest full backups must stay, so that those in ``needed`` do: at least ``configured``.

    ``coming``: full backups that are about to be made, and count as the newest.
    """
    listed = list(backups)
    fulls = sorted((backup for backup in listed if is_full(backup)), key=stop_of, reverse=True)
    bases = {name for label in needed for name in chain(label, listed)}
    places = [place + coming for place, full in enumerate(fulls, start=1) if full["label"] in bases]
    return max([configured, *places])


def days_to_keep(backups: Iterable[Mapping[str, Any]], needed: Iterable[str], configured: int, now: datetime) -> int:
    """From how many days ago full backups must stay, so that those in ``needed`` do: at least ``configured``.

    A day more than that takes: pgBackRest counts from the end of the backup that is about to be made.
    """
    listed = list(backups)
    bases = {name for label in needed for name in chain(label, listed)}
    ages = [now.timestamp() - stop_of(full) for full in listed if is_full(full) and full["label"] in bases]
    return max([configured, *(math.ceil(age / DAY) + 1 for age in ages)])
