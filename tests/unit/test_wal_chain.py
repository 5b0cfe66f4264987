"""The check of the fault tests that the archive has no hole: it must see one, also at the fork of a timeline."""

from __future__ import annotations

import pytest
from wal_chain import chain, hole

CHECKSUM = "-" + "a" * 40 + ".zst"
HISTORY = "1\t0/5000000\tno recovery target specified\n\n2\t0/7800000\tno recovery target specified\n"


def archived(*names: str) -> list[str]:
    return [f"./{name[:16]}/{name}{CHECKSUM}" for name in names]


def test_one_timeline() -> None:
    expected = [f"00000001000000000000000{number}" for number in (3, 4, 5)]
    assert chain(expected[0], expected[-1], "") == expected
    assert hole(expected[0], expected[-1], "", archived(*expected)) == []
    assert hole(expected[0], expected[-1], "", archived(expected[0], expected[2])) == [expected[1]]


def test_along_the_history() -> None:
    """Timeline 1 ends at the border of segment 5, timeline 2 in the middle of segment 7."""
    expected = [
        "000000010000000000000003",
        "000000010000000000000004",
        "000000020000000000000005",
        "000000020000000000000006",
        "000000030000000000000007",
        "000000030000000000000008",
    ]
    assert chain(expected[0], expected[-1], HISTORY) == expected
    for lost in expected:
        assert hole(expected[0], expected[-1], HISTORY, archived(*(n for n in expected if n != lost))) == [lost]


def test_a_segment_of_another_timeline_does_not_fill_a_hole() -> None:
    names = archived("000000010000000000000004", "000000010000000000000005", "000000020000000000000006")
    assert hole("000000010000000000000004", "000000020000000000000006", HISTORY, names) == ["000000020000000000000005"]


def test_a_partial_segment_is_none() -> None:
    segment = "000000010000000000000004"
    assert hole(segment, segment, "", [f"./{segment[:16]}/{segment}.partial{CHECKSUM}"]) == [segment]


def test_from_one_id_to_the_next() -> None:
    assert chain("0000000100000000000000FF", "000000010000000100000000", "") == [
        "0000000100000000000000FF",
        "000000010000000100000000",
    ]


def test_a_backup_of_a_lost_timeline() -> None:
    with pytest.raises(AssertionError, match="timeline 4 of the backup"):
        chain("000000040000000000000003", "000000030000000000000008", HISTORY)
