"""Planned hand-overs, one after the other, under clients that write without a pause to speak of: none loses a row."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import PRIMARY, STANDBY, missing, play, rows_of

CLIENTS = 4


def acknowledged(ledger: Path) -> list[int]:
    return [int(line) for line in ledger.read_text().split()]


@pytest.mark.long
@pytest.mark.parametrize("hand_overs", [2, 200])
def test_planned_hand_overs_lose_no_acknowledged_row(hand_overs: int, tmp_path: Path) -> None:
    ledgers = [tmp_path / f"client-{number}" for number in range(CLIENTS)]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(Writer(pause=0.01, series=number, ledger=ledger))
            for number, ledger in enumerate(ledgers, start=1)
        ]
        stack.enter_context(NeverTwo())
        for number in range(hand_overs):
            before, after = (PRIMARY, STANDBY) if takes_writes(PRIMARY) else (STANDBY, PRIMARY)
            play(f"playbooks/{'failover' if before == PRIMARY else 'failback'}.yml")
            assert takes_writes(after), f"hand-over {number + 1} did not move the role"
            assert not takes_writes(before)
        for writer in writers:
            more(writer)
    rows = rows_of(after)
    for ledger, writer in zip(ledgers, writers, strict=True):
        ids = acknowledged(ledger)
        print(f"{len(ids)} rows acknowledged, longest outage {writer.longest_outage:.3f} s")
        assert ids == writer.acknowledged
        assert missing(rows, ids) == []
    play("playbooks/failback.yml")
    wait_until_streaming(PRIMARY)
