"""What becomes of the replication slots of others when the role moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.answer import Slot
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.slots import (
    left_behind,
    not_synchronised,
    of_others,
    ready,
    stale,
)

NODES = ["a", "B-1"]
BARMAN = Slot("barman")
PLAIN = Slot("plain", "logical", database="shop")
FAILOVER = Slot("kept", "logical", database="shop", failover=True)
COPY = replace(FAILOVER, synced=True)


def test_the_slots_of_the_nodes_are_ours() -> None:
    assert of_others([Slot("a"), Slot("b_1"), BARMAN, PLAIN], NODES) == [BARMAN, PLAIN]
    assert of_others([Slot("a", "logical")], NODES), "a logical one is nobody's standby"
    assert not of_others([replace(BARMAN, temporary=True)], NODES), "it goes with its connection"


@pytest.mark.parametrize(
    ("slot", "words"),
    [
        (BARMAN, "The slot barman, which is not one of this cluster's standbys, stays behind on a"),
        (PLAIN, "The logical slot plain (database shop) stays behind on a"),
        (FAILOVER, "The failover slot kept (database shop) is not synchronised to b and will not be there."),
    ],
)
def test_what_stays_behind_is_named(slot: Slot, words: str) -> None:
    (said,) = left_behind("a", [slot, Slot("b_1")], "b", [], NODES)
    assert words in said


def test_a_synchronised_slot_is_not() -> None:
    assert left_behind("a", [FAILOVER], "b", [COPY], NODES) == []


@pytest.mark.parametrize(
    "there",
    [replace(COPY, temporary=True), replace(COPY, synced=False), replace(COPY, invalidated="wal_removed")],
    ids=["not ready yet", "of its own time as the primary", "lost"],
)
def test_a_copy_that_would_not_outlive_the_promotion_does_not_count(there: Slot) -> None:
    assert not_synchronised([FAILOVER], [there]) == [FAILOVER]
    assert ready([there]) == []


def test_a_slot_that_is_lost_on_the_primary_is_missed_nowhere() -> None:
    assert not_synchronised([replace(FAILOVER, invalidated="wal_removed"), PLAIN], []) == []


def test_a_standby_drops_the_failover_slots_of_its_time_as_the_primary_only() -> None:
    assert stale([FAILOVER, COPY, PLAIN, BARMAN, replace(FAILOVER, active=True)]) == [FAILOVER]
