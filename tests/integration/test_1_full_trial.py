"""The full trial: backups across a failover and a failback, while a client outside goes on writing.

Some of it as AWX runs it: from a fresh checkout each time, with all secrets from its credential.
"""

from __future__ import annotations

import awx_job
import pytest
from awx_cluster import Jobs, changes_nothing, synchronised, typed
from clients import Writer
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REJOIN,
    STANDBY,
    json_document,
    labels,
    missing,
    play,
    psql,
    records,
    restore_rows,
    rows_of,
    timeline_of,
)


def test_the_full_trial() -> None:
    with awx_job.project() as checkout, Writer() as writer:
        job = Jobs(checkout, synchronised(), typed())
        play("backup.yml", "-e", "day=1")

        play("playbooks/failover.yml")
        assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "f"
        assert psql(PRIMARY, "SELECT pg_is_in_recovery()") == "t"
        assert play("playbooks/failover.yml").changed == 0, "a failover run again must move nothing"

        play("backup.yml", "-e", "day=2")
        again = job("Relevo provision")
        assert changes_nothing(again), "site.yml after a failover must change nothing"
        assert again.secrets == (), "a job makes no secrets for a cluster that has some"
        assert "[WARNING]" not in again.output

        play("playbooks/failback.yml")
        assert psql(PRIMARY, "SELECT pg_is_in_recovery()") == "f"
        committed_before = list(writer.acknowledged)
        job("Relevo backup", day="4")
        again = job("Relevo provision")
        assert changes_nothing(again), "site.yml after a failback must change nothing"
        assert again.secrets == ()

    assert len(writer.acknowledged) > 500, "the client outside hardly wrote"
    print(f"{len(writer.acknowledged)} rows acknowledged, longest write outage {writer.longest_outage:.3f} s")
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []

    catalog = records()
    assert [record["maestro_usado"] for record in catalog] == [PRIMARY, STANDBY, PRIMARY]
    assert [record["tipo_backup"] for record in catalog] == ["completo", "incremental", "incremental"]
    assert catalog[-1]["solicitado_por"] == "AWX job 17"

    restored = restore_rows(STANDBY, catalog[-1]["etiqueta"])
    assert missing(restored, committed_before) == []


PLANS = {"site.yml": "site", "backup.yml": "backup", FAILOVER: "failover", FAILBACK: "failback", REJOIN: "rejoin"}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_one_document_and_changes_nothing(name: str) -> None:
    before = (labels(), timeline_of(PRIMARY))
    found = json_document(play(name, "-e", "plan=json").output)
    assert (found["version"], found["operation"], found["cluster"]) == (1, PLANS[name], "main")
    assert {"action", "message", "affects", "expected", "risks", "refusals"} <= set(found)
    checked = play(name, "--check")
    if name == "site.yml":
        # What it would write --diff tells, line by line.
        assert checked.changed == 0
    else:
        assert f"Plan of {PLANS[name]} for main: {found['message']}" in checked.text
    assert (labels(), timeline_of(PRIMARY)) == before
