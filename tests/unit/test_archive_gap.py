"""Which segments the archive must hold after a hand-over."""

from __future__ import annotations

from ansible_collections.relevo.postgres.plugins.module_utils._archive_gap import SEGMENT_SIZE, Span, spans
from ansible_collections.relevo.postgres.plugins.module_utils._lsn import Fork


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
