"""The full trial on machines: hand-overs and backups over SSH, with systemd, while a client outside goes on writing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from clients import NeverTwo, Writer, log_in, more, role_inside, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REPOSITORY,
    SECRETS,
    STANDBY,
    STATUS,
    docker,
    guard_says,
    missing,
    nothing_needs_attention,
    play,
    psql,
    records,
    rows_of,
    shell,
    wait_until,
)
from machines import (
    BINARY,
    BY_ADDRESS,
    FOLDER,
    MACHINES,
    UNIT,
    address,
    back_to_the_start,
    connect,
    cut_off,
    kill_server,
    reboot,
    systemctl,
    unit_state,
    wait_until_up,
)

#: Where each role may log in, of all these; "" is a connection for replication, which is to no database.
DATABASES = ("imdb", "postgres", "relevo", "")
GETS_INTO = {
    "relevo_monitor": {"relevo"},
    "relevo_handover": {"relevo"},
    "relevo_rewind": {"postgres"},
    "relevo_replication": {"relevo", ""},
    # What an application may, and our own database is none of its business.
    "imdb": {"imdb", "postgres"},
}


@pytest.fixture
def binary_away() -> Iterator[None]:
    """The primary's server goes on, but cannot be started again."""
    shell(PRIMARY, "mv", BINARY, f"{BINARY}.away")
    yield
    shell(PRIMARY, "mv", f"{BINARY}.away", BINARY)


def test_the_packages_are_installed_and_our_own_units_run() -> None:
    """The image has neither of them; ``packages_extra`` is set in the inventory."""
    for package in ("tree", "python3-psycopg"):
        assert shell(PRIMARY, "dpkg-query", "-W", "-f", "${Status}", package) == "install ok installed"
    shell(REPOSITORY, "dpkg-query", "-W", "redis-server", "python3-redis")
    assert unit_state(PRIMARY) == "active"
    assert systemctl(PRIMARY, "is-enabled", UNIT).strip() == "enabled"
    assert "relevo" in systemctl(REPOSITORY, "list-units", "--no-legend", "relevo-*")


def test_the_full_trial() -> None:
    with Writer() as writer, NeverTwo():
        play("backup.yml", "-e", "day=1")
        play(FAILOVER)
        assert (role_inside(PRIMARY), role_inside(STANDBY)) == ("standby", "primary")
        play("backup.yml", "-e", "day=2")
        assert play("site.yml").changed == 0, "site.yml after a failover must change nothing"
        play(FAILBACK)
        assert takes_writes(PRIMARY)
        play("backup.yml", "-e", "day=4")
        more(writer)
    print(f"{len(writer.acknowledged)} rows acknowledged, longest write outage {writer.longest_outage:.3f} s")
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    assert [record["maestro_usado"] for record in records()] == [PRIMARY, STANDBY, PRIMARY]
    wait_until_streaming(PRIMARY)
    nothing_needs_attention(play(STATUS, "-e", "require=healthy").output)


def test_the_nodes_reach_each_other_as_the_inventory_says() -> None:
    """By names, or all of it by addresses: certificates, the archive, replication, the guard's questions."""
    wanted = {name: address(name) if BY_ADDRESS else name for name in MACHINES}
    primary = PRIMARY if takes_writes(PRIMARY) else STANDBY
    standby = STANDBY if primary == PRIMARY else PRIMARY
    assert f"host={wanted[primary]} " in psql(standby, "SHOW primary_conninfo")
    archive = shell(primary, "cat", "/etc/pgbackrest/pgbackrest.conf")
    assert f"repo1-host={wanted[REPOSITORY]}\n" in archive
    guard = json.loads(shell(standby, "cat", "/etc/relevo/guard.json"))
    assert {peer["name"]: peer["host"] for peer in guard["peers"]}[primary] == wanted[primary]


def test_each_role_of_ours_gets_where_it_has_something_to_do_and_nowhere_else() -> None:
    """By logging in, with the right password: before PostgreSQL 16 a pattern in pg_hba.conf would keep nobody out."""
    for node in (PRIMARY, STANDBY):
        assert {(role, where): admitted(node, role, where) for role in GETS_INTO for where in DATABASES} == {
            (role, where): where in GETS_INTO[role] for role in GETS_INTO for where in DATABASES
        }, node


def admitted(node: str, role: str, database: str) -> bool:
    """Whether a login with the role's own password succeeds; any refusal but that of pg_hba.conf fails the test."""
    password = (SECRETS / ("user_imdb" if role == "imdb" else role)).read_text().strip()
    refusal = log_in(node, role, password, database)
    assert refusal == "" or "pg_hba.conf" in refusal, f"{role} into {database or 'replication'} at {node}: {refusal}"
    return refusal == ""


@pytest.mark.long
def test_a_server_that_does_not_come_up_gets_its_old_files_back() -> None:
    """systemd starts it again and again meanwhile."""
    nodes = (PRIMARY, STANDBY)
    since = psql(PRIMARY, "SELECT pg_postmaster_start_time()")
    before = {node: psql(node, "SHOW shared_buffers") for node in nodes}
    much = json.dumps({"postgresql_parameters": {"shared_buffers": "4000GB"}})
    with Writer() as writer, NeverTwo():
        more(writer)
        failed = play("site.yml", "-e", much, "-e", "restart=true", expect=2)
        assert "did not come up with the new shared_buffers: could not map anonymous shared memory" in failed.text
        assert f"{PRIMARY} was not restarted" in failed.text
        assert psql(PRIMARY, "SELECT pg_postmaster_start_time()") == since
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    # Both would come up again as they are.
    for node in nodes:
        assert "4000GB" not in shell(node, "cat", "/etc/relevo/postgresql.conf")
        assert psql(node, "SHOW shared_buffers") == before[node]
        assert unit_state(node) == "active"
    wait_until_streaming(PRIMARY)
    assert play("site.yml").changed == 0


def test_a_crashed_server_on_a_living_machine_needs_no_flag_and_costs_no_row(binary_away: None) -> None:
    """No fence command is set: the machine itself stops the server for good, and gives up its last WAL."""
    with Writer() as writer, NeverTwo():
        more(writer)
        cut_off(STANDBY)
        behind = more(writer, 100)
        # More than one answer holds.
        psql(PRIMARY, "SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000000)) FROM generate_series(1, 100)")
        behind = more(writer)
        kill_server()
        connect(STANDBY)
        assert missing(rows_of(STANDBY), behind) != [], "the standby has all rows: there is nothing to salvage"

        said = play(FAILOVER)
        assert takes_writes(STANDBY)
        assert missing(rows_of(STANDBY), behind) == []
        assert f"{PRIMARY} is fenced" in said.text
        print(said.output)
        more(writer)
        # It was waiting for its next try.
        assert unit_state(PRIMARY) in ("inactive", "failed")
    assert missing(rows_of(STANDBY), writer.acknowledged) == []


@pytest.mark.long
def test_the_fenced_server_stays_down_across_a_reboot_until_it_rejoins() -> None:
    with Writer() as writer, NeverTwo():
        reboot(PRIMARY)
        wait_until(lambda: "fenced" in guard_says(PRIMARY)["reason"], "the start guard's verdict", 30)
        assert guard_says(PRIMARY)["verdict"] == "refuse"
        assert unit_state(PRIMARY) == "activating", "the guard is the unit's first step"
        assert role_inside(PRIMARY) == ""
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
def test_a_second_run_changes_nothing_nor_would_it() -> None:
    assert play("site.yml").changed == 0
    assert play("site.yml", "--check").changed == 0


@pytest.mark.long
def test_a_server_that_hangs_is_stopped_by_its_machine() -> None:
    with Writer() as writer, NeverTwo():
        more(writer)
        # All at once: one that ends by itself meanwhile is no error.
        shell(PRIMARY, "pkill", "-STOP", "-u", "postgres", "-x", "postgres")
        play(FAILOVER)
        assert takes_writes(STANDBY)
        assert unit_state(PRIMARY) in ("inactive", "failed")
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0, 2, 4, 6])
def test_a_server_that_its_machine_brings_back_meanwhile_is_never_a_second_primary(seconds: int) -> None:
    """systemd starts it again ``seconds`` after it was killed: before the play looks, or while it acts."""
    folder = f"/run/systemd/system/{UNIT}.service.d"
    shell(PRIMARY, "mkdir", "-p", folder)
    shell(PRIMARY, "tee", f"{folder}/test.conf", stdin=f"[Service]\nRestartSec={seconds}\n")
    systemctl(PRIMARY, "daemon-reload")
    with Writer() as writer, NeverTwo():
        more(writer)
        kill_server()
        said = play(FAILOVER, expect=None)
        print(f"brought back after {seconds} s: status {said.code}")
        if said.code:
            assert "Nobody was promoted" in said.text
            more(writer)
            play(FAILOVER)
        assert takes_writes(STANDBY)
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    shell(PRIMARY, "rm", "-r", folder)
    systemctl(PRIMARY, "daemon-reload")


@pytest.mark.long
def test_a_machine_that_does_not_answer_is_fenced_by_the_command() -> None:
    """Without one nobody is promoted beside it."""
    fence = json.dumps({"failover_fence_command": [str(FOLDER / "fence.sh")]})
    with Writer() as writer, NeverTwo():
        more(writer)
        docker("kill", PRIMARY)
        refused = play(FAILOVER, expect=2).text
        assert "the machine does not answer, and failover_fence_command is empty" in refused
        assert "Nobody was promoted; nothing was touched." in refused
        play(FAILOVER, "-e", fence)
        assert takes_writes(STANDBY)
        more(writer)
        docker("start", PRIMARY)
        wait_until_up(PRIMARY)
        wait_until(lambda: guard_says(PRIMARY)["verdict"] == "refuse", "the start guard's verdict", 30)
        back_to_the_start()
        more(writer)


def test_the_fence_is_tested_before_it_counts() -> None:
    script = str(FOLDER / "fence.sh")
    # The test before may have left the old primary fenced.
    before = [unit_state(name) for name in (PRIMARY, STANDBY)]
    assert "active" in before
    commands = {"failover_fence_command": [script], "failover_fence_check_command": [script, "status"]}
    well = play("playbooks/fence_test.yml", "-e", json.dumps(commands)).text
    for node in (PRIMARY, STANDBY):
        assert f"{node}: status 0, on, and it answers" in well
    assert "failover_fence_command: is empty" in play("playbooks/fence_test.yml", expect=2).text
    wrong = commands | {"failover_fence_check_command": ["sh", "-c", "echo off"]}
    refused = play("playbooks/fence_test.yml", "-e", json.dumps(wrong), expect=2).text
    assert "so this is about another machine" in refused
    assert "Nothing was switched off." in refused
    assert [unit_state(name) for name in (PRIMARY, STANDBY)] == before


@pytest.mark.long
def test_each_node_can_be_rebooted_and_all_can_lose_their_power() -> None:
    with Writer() as writer, NeverTwo():
        for name in (STANDBY, REPOSITORY, PRIMARY):
            reboot(name)
            wait_until_streaming(PRIMARY)
            more(writer)
        docker("kill", *MACHINES)
        docker("start", *MACHINES)
        wait_until_streaming(PRIMARY)
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    assert play("site.yml").changed == 0
