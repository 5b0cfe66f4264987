"""Settings that a server or pgBackRest does not take: what works goes on working."""

from __future__ import annotations

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import PRIMARY, REPOSITORY, STANDBY, labels, missing, nothing_needs_attention, play, psql, rows_of, shell

pytestmark = [pytest.mark.usefixtures("backed_up"), pytest.mark.long]

NOT_INSTALLED = '{"postgresql_parameters": {"shared_preload_libraries": "pg_cron"}}'


def test_a_primary_is_not_restarted_with_what_a_standby_did_not_start_with() -> None:
    since = psql(PRIMARY, "SELECT pg_postmaster_start_time()")
    with Writer() as writer, NeverTwo():
        more(writer)
        failed = play("site.yml", "-e", NOT_INSTALLED, "-e", "restart=true", expect=2)
        assert f"{PRIMARY} was not restarted" in failed.text
        assert f"{STANDBY} did not come back" in failed.text
        assert takes_writes(PRIMARY)
        assert psql(PRIMARY, "SELECT pg_postmaster_start_time()") == since
        more(writer)
        # The way out that the message names.
        play("site.yml")
        wait_until_streaming(PRIMARY)
        assert play("site.yml").changed == 0
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    # To PostgreSQL a setting that has left the file waits for a restart, also where its value is what it was.
    play("site.yml", "-e", "restart=true")
    nothing_needs_attention()


def test_options_for_pgbackrest_replace_ours_in_every_section() -> None:
    options = '{"pgbackrest_options": {"compress-type": "lz4", "process-max": 1, "start-fast": true}}'
    play("site.yml", "-e", options)
    for node in (PRIMARY, REPOSITORY):
        text = shell(node, "cat", "/etc/pgbackrest/pgbackrest.conf")
        assert text.count("compress-type=") == 1
        assert text.count("process-max=") == 1
    before = labels()
    play("backup.yml", "-e", "day=1")
    made = [label for label in labels() if label not in before]
    files = shell(REPOSITORY, "find", f"/var/lib/pgbackrest/backup/main/{made[0]}", "-name", "*.lz4")
    assert files
    assert play("site.yml", "-e", options).changed == 0
    play("site.yml")
    nothing_needs_attention()
