# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody asks a restore for: one target, which has one meaning, or a sentence that says why it has none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .._errors import RelevoError
from .._server.lsn import format_lsn, parse_lsn

TargetType = Literal["time", "lsn", "xid", "name", "immediate", "latest"]
TYPES: tuple[TargetType, ...] = get_args(TargetType)
#: Those that say all by themselves.
WITHOUT_VALUE = ("immediate", "latest")

#: How to give a time so that neither the shell nor Ansible cuts it.
TIME_FORM = "-e target=2026-11-25T12:00:00+01:00 (or ...Z for UTC), with a T and without a space"
_TIME = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ]+(?P<clock>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?) *(?P<zone>\S.*)?", re.IGNORECASE
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?")
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}", re.IGNORECASE)
#: Also what ``restore_point.yml`` takes: the name becomes a part of an annotation's key and of a path.
POINT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Target:
    """``moment`` of a time, in UTC, and ``zone`` that in which it was typed; ``lsn`` in bytes of an lsn. ``value`` is
    what PostgreSQL is told, empty where nothing is."""

    type: TargetType
    value: str = ""
    moment: datetime | None = None
    lsn: int | None = None
    zone: tzinfo | None = None

    def sentence(self, local: datetime | None = None) -> str:
        """The target in words, a time also in the zone in which it was typed; ``local``: a moment in the reader's."""
        if self.moment is not None:
            utc = f"{self.moment:%Y-%m-%d %H:%M:%S.%f}".rstrip("0").rstrip(".")
            words = f"the moment {utc} UTC"
            for zone, whose in ((self.zone, ""), (local.tzinfo if local else None, " local time")):
                there = self.moment.astimezone(zone or UTC)
                # One that is the same says nothing.
                if there.utcoffset():
                    return f"{words} ({there:%Y-%m-%d %H:%M:%S %z}{whose})"
            return words
        return {
            "lsn": f"the position {self.value}",
            "xid": f"the end of transaction {self.value}",
            "name": f"the restore point {self.value}",
            "immediate": "the first consistent point of the backup",
            "latest": "the end of the archive",
        }[self.type]


def _zone(text: str | None, given: str) -> ZoneInfo | timedelta:
    """The zone of a time; ``RelevoError`` where it is missing, or means several."""
    if not text:
        raise RelevoError(
            f"The target {given} has no time zone, and a wrong guess would restore another moment. Give one: "
            f"{TIME_FORM}."
        )
    if text.upper() in ("Z", "UTC"):
        return timedelta(0)
    offset = _OFFSET.fullmatch(text)
    if offset:
        hours, minutes = int(offset["hours"]), int(offset["minutes"] or 0)
        if hours <= 15 and minutes < 60:
            distance = timedelta(hours=hours, minutes=minutes)
            return -distance if offset["sign"] == "-" else distance
    elif "/" in text:
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise RelevoError(
        f'The target {given} has the time zone "{text}", which is not known, or means several zones as '
        "abbreviations do (CST is one of China, of Cuba and of America). Give the distance from UTC, or a name such "
        f"as Europe/Madrid: {TIME_FORM}."
    )


def parse_time(given: str) -> datetime:
    """A time with its zone, in UTC."""
    return _moment_and_zone(given)[0]


def _moment_and_zone(given: str) -> tuple[datetime, tzinfo]:
    found = _TIME.fullmatch(given)
    if found is None:
        if _DATE.fullmatch(given):
            raise RelevoError(
                f"The target {given} is a date without a time. Where a time was given, Ansible cut it off at the "
                f"space: {TIME_FORM}."
            )
        hint = " For a position in the WAL add -e target_type=lsn." if _LSN.fullmatch(given) else ""
        raise RelevoError(f"The target {given} is not a time. Give {TIME_FORM}.{hint}")
    try:
        naive = datetime.fromisoformat(f"{found['date']}T{found['clock']}")
    except ValueError as error:
        raise RelevoError(f"The target {given} is not a time: {error}. Give {TIME_FORM}.") from None
    zone = _zone(found["zone"], given)
    if isinstance(zone, timedelta):
        return (naive - zone).replace(tzinfo=UTC), timezone(zone)
    first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first != second:
        # In the hour that is skipped, and in that which comes twice, the two answers differ.
        kind = "comes twice" if first < second else "does not exist"
        raise RelevoError(
            f"The target {given} {kind} there, since the clocks were changed. Give the distance from UTC: {TIME_FORM}."
        )
    return first, zone


def parse(target_type: str, target: str) -> Target:
    """One target from what was typed, both empty where nothing was; ``RelevoError`` where it has not one meaning."""
    given = target.strip()
    if not given and not target_type:
        raise RelevoError(
            f"No target was given, and this does not guess how far to go. Give {TIME_FORM}, or "
            "-e target_type=lsn, xid or name with -e target=..., or -e target_type=latest or immediate."
        )
    if target_type and target_type not in TYPES:
        raise RelevoError(f"target_type is {target_type}. It is one of {', '.join(TYPES)}.")
    kind: TargetType = target_type or "time"
    if kind in WITHOUT_VALUE:
        if given:
            raise RelevoError(
                f"Two targets were given: target_type={kind}, which is one by itself, and {given}. Leave one of "
                f"them out."
            )
        return Target(kind)
    if not given:
        raise RelevoError(f"target_type={kind} was given without a target. Give it with -e target=...")
    if kind == "time":
        moment, zone = _moment_and_zone(given)
        return Target(kind, f"{moment:%Y-%m-%d %H:%M:%S.%f}+00", moment, zone=zone)
    if kind == "lsn":
        if not _LSN.fullmatch(given):
            raise RelevoError(f"The target {given} is not a position in the WAL. One looks like 16/B374D848.")
        position = parse_lsn(given)
        return Target(kind, format_lsn(position), lsn=position)
    if kind == "xid":
        # PostgreSQL takes the lower 32 bits only, and 0 to 2 are no transactions of anybody.
        if not given.isdecimal() or not 2 < int(given) < 2**32:
            raise RelevoError(
                f"The target {given} is not a transaction id: a whole number from 3 to {2**32 - 1}. Of what "
                f"pg_current_xact_id() says, give the remainder of the division by {2**32}."
            )
        return Target(kind, str(int(given)))
    if not POINT_NAME.fullmatch(given):
        raise RelevoError(
            f"{given} cannot be the name of a restore point: letters, digits, _, . and -, at most 63, not one of "
            f"the last three first."
        )
    return Target(kind, given)
