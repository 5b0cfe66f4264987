# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked of a restore: one target of one meaning, or a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import Target, parse


@pytest.mark.parametrize(
    ("given", "utc"),
    [
        ("2026-11-25T12:00:00Z", "2026-11-25 12:00:00.000000+00"),
        ("2026-11-25T12:00Z", "2026-11-25 12:00:00.000000+00"),
        ("2026-11-25 12:00:00.25 UTC", "2026-11-25 12:00:00.250000+00"),
        ("2026-11-25T12:00:00+01:00", "2026-11-25 11:00:00.000000+00"),
        ("2026-11-25T12:00:00+01", "2026-11-25 11:00:00.000000+00"),
        ("2026-11-25T12:00:00-0330", "2026-11-25 15:30:00.000000+00"),
        ("2026-11-25T00:30:00+01:00", "2026-11-24 23:30:00.000000+00"),
        ("2026-11-25T12:00:00 Europe/Madrid", "2026-11-25 11:00:00.000000+00"),
        ("2026-07-25T12:00:00 Europe/Madrid", "2026-07-25 10:00:00.000000+00"),
    ],
)
def test_a_time_is_told_in_utc(given: str, utc: str) -> None:
    found = parse("", given)
    assert (found.type, found.value) == ("time", utc)
    assert parse("time", given) == found


@pytest.mark.parametrize(
    ("target_type", "target", "value"),
    [
        ("lsn", "0/3000060", "0/3000060"),
        ("lsn", "16/b374d848", "16/B374D848"),
        ("xid", "740", "740"),
        ("name", "before_release", "before_release"),
        ("immediate", "", ""),
        ("latest", "", ""),
    ],
)
def test_the_other_kinds(target_type: str, target: str, value: str) -> None:
    found = parse(target_type, target)
    assert (found.type, found.value) == (target_type, value)


@pytest.mark.parametrize(
    ("target_type", "target", "words"),
    [
        ("", "", "No target was given"),
        ("time", "", "given without a target"),
        ("latest", "2026-11-25T12:00:00Z", "Two targets were given"),
        ("immediate", "0/3000060", "Two targets were given"),
        ("moment", "2026-11-25T12:00:00Z", "It is one of time, lsn, xid, name, immediate, latest"),
        ("", "2026-11-25T12:00:00", "has no time zone"),
        ("", "2026-11-25T12:00:00 CET", "abbreviations"),
        ("", "2026-11-25T12:00:00 EST5EDT", "abbreviations"),
        ("", "2026-11-25T12:00:00 Europe/Atlantis", "is not known"),
        ("", "2026-11-25T12:00:00+25:00", "is not known"),
        # What Ansible leaves of -e target=2026-11-25 12:00.
        ("", "2026-11-25", "Ansible cut it off at the space: -e target=2026-11-25T12:00:00+01:00"),
        ("", "yesterday", "is not a time"),
        ("", "2026-02-30T12:00:00Z", "is not a time"),
        ("", "0/3000060", "add -e target_type=lsn"),
        ("", "2026-10-25T02:30:00 Europe/Madrid", "comes twice"),
        ("", "2026-03-29T02:30:00 Europe/Madrid", "does not exist"),
        ("lsn", "3000060", "is not a position"),
        ("xid", "0x1", "is not a transaction id"),
        ("xid", "2", "is not a transaction id"),
        ("xid", str(2**32), "is not a transaction id"),
        ("name", "../x", "cannot be the name"),
    ],
)
def test_what_has_not_one_meaning_is_refused(target_type: str, target: str, words: str) -> None:
    with pytest.raises(RelevoError, match=words.replace("+", r"\+")):
        parse(target_type, target)


def test_a_time_is_shown_in_utc_and_in_local_time() -> None:
    there = datetime(2026, 11, 26, tzinfo=timezone(timedelta(hours=1)))
    assert parse("", "2026-11-25T12:00:00.5Z").sentence(there) == (
        "the moment 2026-11-25 12:00:00.5 UTC (2026-11-25 13:00:00 +0100 local time)"
    )
    # A module's own clock is in UTC, which would be called local time.
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse("", "2026-11-25T12:00:00Z").sentence(now) == "the moment 2026-11-25 12:00:00 UTC"
    for typed in ("2026-11-25T13:00:00+01:00", "2026-11-25 13:00:00 Europe/Madrid"):
        assert parse("", typed).sentence(now) == ("the moment 2026-11-25 12:00:00 UTC (2026-11-25 13:00:00 +0100)")
    assert Target("xid", "740").sentence() == "the end of transaction 740"
