# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records a view shows. Pure: the same rules choose an index in Redis and pick among records in memory."""

from __future__ import annotations

import calendar
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from .._errors import RelevoError
from .records import TYPES, UNKNOWN_PRIMARY, is_verified, score_for

#: A moment as people write it; a date alone is its beginning.
_FORMS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True)
class Facet:
    """What an index of the catalog has in common: the type, the primary, and whether a drill has restored it."""

    type: str
    primary: str
    verified: bool

    @classmethod
    def of(cls, record: Mapping[str, str]) -> Facet:
        return cls(
            record.get("tipo_backup", ""), record.get("maestro_usado", "") or UNKNOWN_PRIMARY, is_verified(record)
        )

    @classmethod
    def from_text(cls, text: str) -> Facet:
        return cls(*json.loads(text))

    @property
    def text(self) -> str:
        """As a part of a key: a primary may be called anything."""
        return json.dumps([self.type, self.primary, self.verified], ensure_ascii=False)


@dataclass(frozen=True)
class Filters:
    """``type``: as records have it. ``since`` and ``before``: scores, see ``score_for``; None for no bound."""

    type: str = ""
    primary: str = ""
    verified: bool | None = None
    since: int | None = None
    before: int | None = None

    @classmethod
    def given(
        cls, *, type: str = "", primary: str = "", verified: bool | None = None, since: str = "", before: str = ""
    ) -> Filters:
        """From what was typed: ``full``, ``diff``, ``incr`` or a record's own word; moments as ``2026-11-25 12:00``.

        Raises ``RelevoError`` for what is neither.
        """
        kind = TYPES.get(type, type)
        if kind and kind not in TYPES.values():
            known = ", ".join([*TYPES, *TYPES.values()])
            raise RelevoError(f"There is no type of backup '{type}'. Choose one of {known}.")
        return cls(kind, primary, verified, _moment("since", since), _moment("before", before))

    @property
    def empty(self) -> bool:
        return self == Filters()

    @property
    def text(self) -> str:
        """As it is typed."""
        verified = None if self.verified is None else str(self.verified).lower()
        since, before = (None if at is None else _written(at) for at in (self.since, self.before))
        given = {"type": self.type, "primary": self.primary, "verified": verified, "since": since, "before": before}
        return ", ".join(f"{name}={value}" for name, value in given.items() if value)

    @property
    def by_facet(self) -> bool:
        return bool(self.type or self.primary) or self.verified is not None

    def takes(self, facet: Facet) -> bool:
        return (
            self.type in ("", facet.type)
            and self.primary in ("", facet.primary)
            and self.verified in (None, facet.verified)
        )

    def matches(self, key: str, record: Mapping[str, str]) -> bool:
        score = score_for(key)
        return (
            self.takes(Facet.of(record))
            and (self.since is None or score >= self.since)
            and (self.before is None or score < self.before)
        )


def _written(score: int) -> str:
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(score))
    return text.removesuffix(" 00:00:00")


def _moment(name: str, text: str) -> int | None:
    """A moment of the repository host's local time, which labels are in, as a score."""
    if not text:
        return None
    for form in _FORMS:
        try:
            return calendar.timegm(time.strptime(text.strip(), form))
        except ValueError:
            continue
    raise RelevoError(
        f"{name}='{text}' is not a moment. Write it as 2026-11-25 or '2026-11-25 12:00', in the repository host's "
        "local time, as the labels are."
    )
