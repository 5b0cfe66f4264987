"""A primary and a standby that others have set up are adopted: nothing is restarted unasked, every row is there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import machines
import pytest
import strangers
import yaml
from clients import NeverTwo, Writer, more, role_inside, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PGDATA,
    PRIMARY,
    REJOIN,
    STANDBY,
    STATUS,
    killed_play,
    missing,
    nothing_needs_attention,
    play,
    psql,
    records,
    rows_of,
    shell,
)
from machines import UNIT, reboot, unit_state

pytestmark = pytest.mark.long

ADOPT = ("-e", "adopt=true")


@pytest.fixture(scope="module", autouse=True)
def provisioned() -> Iterator[None]:
    """In place of the session's: each test makes machines, and sets up servers in its own way."""
    yield
    machines.remove()


@pytest.fixture(autouse=True)
def unharmed() -> None:
    machines.make()


def suggested(text: str) -> dict[str, Any]:
    """The lines for the inventory that a refusal has, as somebody copies them."""
    lines = [line.strip() for line in text[text.index("postgresql_parameters:") :].splitlines()]
    wanted = re.compile(r"postgresql_\w+:$|\w+: \"|- \{")
    kept = itertools.takewhile(wanted.match, lines)
    indented = (line if line.startswith("postgresql_") else f"  {line}" for line in kept)
    variables: dict[str, Any] = yaml.safe_load("\n".join(indented))
    return variables


def hands_over_with_every_row() -> None:
    # As docs/adopting.md says: the standby has one of ours.
    psql(PRIMARY, "SELECT pg_drop_replication_slot('theirs')")
    with Writer() as writer, NeverTwo():
        play("backup.yml", "-e", "day=1")
        play(FAILOVER)
        assert (role_inside(PRIMARY), role_inside(STANDBY)) == ("standby", "primary")
        play("backup.yml", "-e", "day=2")
        more(writer)
        play(FAILBACK)
        assert takes_writes(PRIMARY)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    assert psql(PRIMARY, "SELECT count(*) FROM theirs") == str(strangers.ROWS)
    assert [record["maestro_usado"] for record in records()] == [PRIMARY, STANDBY]
    wait_until_streaming(PRIMARY)
    # Each server was started anew by a hand-over, so it is ours.
    for node in (PRIMARY, STANDBY):
        assert unit_state(node) == "active"
        assert psql(node, "SHOW config_file") == "/etc/relevo/postgresql.conf"
        assert psql(node, "SHOW work_mem") == "7MB"


def test_what_debians_tools_made_is_adopted_without_a_restart() -> None:
    strangers.found_cluster(strangers.debian_primary, strangers.debian_standby)
    before = [strangers.started(node) for node in (PRIMARY, STANDBY)]
    untouched = shell(PRIMARY, "cat", f"{strangers.CONFIG}/postgresql.conf")

    refused = play("site.yml", expect=2)
    print(refused.output)
    assert "a primary that others have set up runs here" in refused.text
    assert "Nothing was configured." in refused.text
    strangers.write_variables(suggested(refused.output))
    assert "site.yml -e adopt=true adopts it." in play("site.yml", expect=2).text

    said = play("site.yml", "--check", "--diff", *ADOPT)
    print(said.output)
    assert "Changed at its next start:" in said.text
    assert "+include '/etc/relevo/postgresql.conf'" in said.output
    assert shell(PRIMARY, "cat", f"{strangers.CONFIG}/postgresql.conf") == untouched
    assert shell(PRIMARY, "ls", "/etc").split().count("relevo") == 0

    print(play("site.yml", *ADOPT).output)
    assert [strangers.started(node) for node in (PRIMARY, STANDBY)] == before
    wait_until_streaming(PRIMARY)
    assert play("site.yml").changed == 0
    # Debian's unit, which starts nobody again.
    assert play(STATUS).text.count("still runs under postgresql@") == 2
    hands_over_with_every_row()
    nothing_needs_attention()


def test_one_that_was_cut_off_is_finished_and_is_ready_for_the_worst_before_any_restart() -> None:
    """Debian's cluster: killed twice in the middle, an emergency, and only then the first start of a server."""
    strangers.found_cluster(strangers.debian_primary, strangers.debian_standby)
    strangers.write_variables(suggested(play("site.yml", expect=2).output))
    nodes = (PRIMARY, STANDBY)
    started = [strangers.started(node) for node in nodes]
    theirs = {node: strangers.files(node) for node in nodes}
    for task in ("Let the server read the configuration", "Make the collection's internal roles and database"):
        killed_play("site.yml", task, *ADOPT)
        assert [strangers.started(node) for node in nodes] == started
    play("site.yml", *ADOPT)
    assert play("site.yml").changed == 0
    assert [strangers.started(node) for node in nodes] == started
    for node in nodes:
        assert strangers.files(node) != theirs[node], "nothing was added, so the next line would prove nothing"
        assert strangers.without_ours(strangers.files(node)) == theirs[node]
    wait_until_streaming(PRIMARY)

    psql(PRIMARY, "SELECT pg_drop_replication_slot('theirs')")
    with Writer() as writer, NeverTwo():
        more(writer)
        shell(PRIMARY, "systemctl", "kill", "--signal=KILL", strangers.DEBIANS)
        said = play(FAILOVER).text
        assert f"{PRIMARY} is fenced" in said
        assert takes_writes(STANDBY)
        seen = more(writer)
        assert missing(rows_of(STANDBY), seen) == []
        play(REJOIN)
        assert unit_state(PRIMARY) == "active"

        # Still the process that its owner has started, as a standby at that time.
        assert strangers.started(STANDBY) == started[1]
        reboot(STANDBY)
        wait_until_streaming(STANDBY)
        assert unit_state(STANDBY) == "active"
        assert strangers.state_of(strangers.DEBIANS, STANDBY) == "inactive"
        assert psql(STANDBY, "SHOW config_file") == "/etc/relevo/postgresql.conf"
        assert psql(STANDBY, "SELECT count(*) FROM theirs") == str(strangers.ROWS)
        play(FAILBACK)
        assert takes_writes(PRIMARY)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    wait_until_streaming(PRIMARY)
    play("backup.yml", "-e", "day=1")
    nothing_needs_attention()


def test_what_was_made_by_hand_is_restarted_when_that_is_asked_for() -> None:
    strangers.found_cluster(strangers.hand_primary, strangers.hand_standby)
    refused = play("site.yml", *ADOPT, expect=2)
    assert "archive_mode is off" in refused.text
    strangers.write_variables(suggested(refused.output))
    assert "give -e restart=true" in play("site.yml", *ADOPT, expect=2).text
    play("site.yml", *ADOPT, "-e", "restart=true")
    assert [unit_state(node) for node in (PRIMARY, STANDBY)] == ["active", "active"]
    assert strangers.state_of(strangers.BY_HAND, PRIMARY) == "inactive"
    hands_over_with_every_row()
    reboot(PRIMARY)
    wait_until_streaming(PRIMARY)
    assert unit_state(PRIMARY) == "active", f"{UNIT} brings it back"
    assert psql(PRIMARY, "SELECT count(*) FROM theirs") == str(strangers.ROWS)


def test_what_cannot_be_kept_is_refused_and_nothing_touched() -> None:
    """The archive of others, and a data directory elsewhere."""
    strangers.found_cluster(strangers.debian_primary, strangers.debian_standby)
    shell(
        PRIMARY,
        "sed",
        "-i",
        "s|^archive_command = .*|archive_command = 'cp %p /tmp/%f'|",
        f"{strangers.CONFIG}/postgresql.conf",
    )
    strangers.as_postgres(PRIMARY, "SELECT pg_reload_conf()")
    refused = play("site.yml", *ADOPT, expect=2)
    assert "it archives its WAL with cp %p /tmp/%f: that archive would end here" in refused.text
    assert "Nothing was configured." in refused.text
    assert shell(PRIMARY, "ls", "/etc").split().count("relevo") == 0

    elsewhere = "/var/lib/postgresql/elsewhere"
    shell(PRIMARY, "systemctl", "stop", strangers.DEBIANS)
    shell(PRIMARY, "mv", PGDATA, elsewhere)
    told = f"s|^data_directory = .*|data_directory = '{elsewhere}'|"
    shell(PRIMARY, "sed", "-i", told, f"{strangers.CONFIG}/postgresql.conf")
    shell(PRIMARY, "systemctl", "start", strangers.DEBIANS)
    refused = play("site.yml", *ADOPT, expect=2)
    assert f"A PostgreSQL server runs here with the data directory {elsewhere}, at the port" in refused.text
    assert "Nothing was configured." in refused.text
    assert shell(PRIMARY, "ls", "/etc").split().count("relevo") == 0
    shell(PRIMARY, "test", "!", "-e", f"{PGDATA}/PG_VERSION")
    assert strangers.as_postgres(PRIMARY, "SELECT count(*) FROM theirs", "imdb") == str(strangers.ROWS)
