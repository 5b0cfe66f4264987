"""Positions, segments and histories."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import (
    Fork,
    format_lsn,
    parse_history,
    parse_lsn,
    segment_name,
    segment_start,
)


@pytest.mark.parametrize(("text", "value"), [("0/0", 0), ("16/B374D848", 0x16B374D848), ("1/0", 1 << 32)])
def test_an_lsn_is_read_and_written(text: str, value: int) -> None:
    assert parse_lsn(text) == value
    assert format_lsn(value) == text


@pytest.mark.parametrize(
    ("lsn", "name"),
    [
        (0x0000000001000000, "000000020000000000000001"),
        (0x00000001_00000000, "000000020000000100000000"),
        (0x00000000_FFFFFFFF, "0000000200000000000000FF"),
    ],
)
def test_a_segment_is_named_after_its_position(lsn: int, name: str) -> None:
    assert segment_name(2, lsn) == name
    assert segment_start(name) == lsn - lsn % (16 * 1024 * 1024)


def test_a_history_lists_the_ancestors() -> None:
    text = "1\t0/3000110\tno recovery target specified\n\n2\t0/5000148\tno recovery target specified # x\n"
    assert parse_history(text) == [Fork(1, 0x3000110), Fork(2, 0x5000148)]


@pytest.mark.parametrize(
    ("reason", "at_target"),
    [
        ("no recovery target specified", False),
        ("before 2026-11-26 12:17:10.25+00", True),
        ("after transaction 745", True),
        ('at restore point "no # sign"', True),
        ("reached consistency", True),
        ("", False),
    ],
)
def test_a_fork_at_a_target_is_told_from_an_end(reason: str, at_target: bool) -> None:
    [fork] = parse_history(f"1\t0/3000110\t{reason}\n")
    assert fork.at_target is at_target


def test_an_ancestor_ends_where_the_recovery_stopped_that_followed_its_successor() -> None:
    # As PostgreSQL 17 wrote it: a moment of timeline 2 was restored to along timeline 3, which begins later.
    text = (
        "1\t0/80000A0\tno recovery target specified\n\n2\t0/C0000A0\tno recovery target specified\n\n"
        "3\t0/B0001D0\tbefore 2026-11-26 17:29:19.968877+00\n"
    )
    found = parse_history(text)
    assert found == [Fork(1, 0x80000A0), Fork(2, 0xB0001D0), Fork(3, 0xB0001D0)]
    assert [fork.at_target for fork in found] == [False, True, True]


def test_comments_and_blank_lines_are_no_ancestors() -> None:
    assert parse_history("# a comment\n\n") == []
