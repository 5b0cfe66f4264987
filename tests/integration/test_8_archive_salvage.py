"""The primary and its disk are lost while the standby is cut off: what was archived must not be lost with them."""

from __future__ import annotations

from functools import partial

import pytest
from clients import Writer, more, takes_writes, wait_until_streaming
from cluster import NETWORK, PRIMARY, STANDBY, docker, missing, play, psql, rows_of, wait_until
from disasters import lose


def is_archived(segment: str) -> bool:
    return psql(PRIMARY, f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver") == "t"


@pytest.mark.long
def test_what_only_the_archive_has_is_promoted_with_the_standby() -> None:
    with Writer() as writer:
        more(writer)
        docker("network", "disconnect", NETWORK, STANDBY)
        for _segment in range(3):
            archived = more(writer)
            segment = psql(PRIMARY, "SELECT pg_walfile_name(pg_switch_wal())")
            wait_until(partial(is_archived, segment), f"{segment} to be archived", 60)
        seen = more(writer)
        lose(PRIMARY)
        docker("network", "connect", NETWORK, STANDBY)
        assert missing(rows_of(STANDBY), archived) != [], "the standby has all rows: the archive proves nothing"

        said = play("playbooks/failover.yml").text
        assert "From the archive came" in said
        assert "how much is unknown" in said
        assert takes_writes(STANDBY)
        assert missing(rows_of(STANDBY), archived) == []
        lost = missing(rows_of(STANDBY), seen)
        print(f"{len(lost)} of {len(seen)} rows had neither been sent nor archived")
        more(writer)
        play("playbooks/failback.yml")
    wait_until_streaming(PRIMARY)
