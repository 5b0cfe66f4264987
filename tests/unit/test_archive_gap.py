"""Which segments the archive must hold after a hand-over."""

from __future__ import annotations

from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_gap import (
    Span,
    oldest_needed,
    spans,
)
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT_SIZE, Fork


def test_the_whole_segments_before_the_fork_are_needed() -> None:
    found = spans([Fork(1, 9 * SEGMENT_SIZE + 100)], oldest=5)
    assert found == [Span(1, 5, 9)]
    assert found[0].names()[0] == "000000010000000000000005"
    assert found[0].names()[-1] == "000000010000000000000008"


def test_each_ancestor_begins_where_the_one_before_ended() -> None:
    history = [Fork(1, 4 * SEGMENT_SIZE + 1), Fork(2, 7 * SEGMENT_SIZE + 1)]
    assert spans(history, oldest=2) == [Span(2, 4, 7), Span(1, 2, 4)]


def test_a_timeline_that_ended_in_its_first_segment_needs_none() -> None:
    history = [Fork(1, 4 * SEGMENT_SIZE + 1), Fork(2, 4 * SEGMENT_SIZE + 9)]
    assert spans(history, oldest=1) == [Span(1, 1, 4)]


def test_what_is_older_than_the_archive_is_not_needed() -> None:
    assert spans([Fork(1, 4 * SEGMENT_SIZE)], oldest=4) == []


def backup(start: str | None) -> dict[str, dict[str, str | None]]:
    return {"archive": {"start": start, "stop": start}}


def test_what_the_oldest_backup_does_not_need_is_not_pushed_again() -> None:
    # A server that did not know of the expiry archived segment 2 of timeline 1 once more.
    archived = {"000000010000000000000002", "00000005000000000000001B"}
    kept = [backup(None), backup("000000050000000000000020"), backup("00000005000000000000001B")]
    assert oldest_needed(kept, archived) == 0x1B


def test_a_primary_that_died_before_it_archived_anything_leaves_a_gap_too() -> None:
    assert oldest_needed([backup("000000020000000000000007")], archived=set()) == 7


def test_without_a_backup_the_archive_tells_what_is_needed() -> None:
    assert oldest_needed([], {"000000010000000000000004", "000000010000000000000003"}) == 3
    assert oldest_needed([backup(None)], set()) is None
