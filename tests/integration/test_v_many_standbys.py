"""One primary, three standbys: the most advanced is chosen, the others follow without a copy, whatever holds one up.

A cluster of its own. A test that fails leaves the next one a cluster that it may not have expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from clients import Writer, more, role_inside, takes_writes_inside
from cluster import (
    FAILBACK,
    FAILOVER,
    FIRST_PORT,
    NETWORK,
    PGDATA,
    REJOIN,
    STATUS,
    docker,
    inventory,
    killed_play,
    missing,
    play,
    psql,
    rows_of,
    running,
    shell,
    wait_until,
)

MANY = f"{NETWORK}4"
FIRST, SECOND, THIRD, FOURTH = (f"{MANY}_{name}" for name in ("primary", "standby", "third", "fourth"))
NODES = (FIRST, SECOND, THIRD, FOURTH)
STARTED = "SELECT pg_postmaster_start_time()"
REPLAYED = "SELECT pg_last_wal_replay_lsn()"


@pytest.fixture(scope="module")
def many() -> Iterator[Path]:
    """The inventory of a cluster with three standbys, which lives as long as this module's tests."""
    path = inventory(MANY, FIRST_PORT + 30, others=["third", "fourth"])
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)
    play("site.yml", inventory=path)
    yield path
    play("playbooks/down.yml", "-e", "down_data=true", inventory=path)


def write(primary: str, rows: int = 100) -> None:
    psql(primary, "CREATE TABLE IF NOT EXISTS trial (id bigserial PRIMARY KEY, at timestamptz DEFAULT now())")
    psql(primary, f"INSERT INTO trial SELECT FROM generate_series(1, {rows})")


def count(node: str) -> int:
    return int(psql(node, "SELECT count(*) FROM trial"))


def mark(*nodes: str) -> dict[str, str]:
    """Leave a file in their data that no copy would leave there; returns when their servers were started."""
    for node in nodes:
        shell(node, "touch", f"{PGDATA}/not_copied", user="postgres")
    return {node: psql(node, STARTED) for node in nodes}


def went_on(before: dict[str, str]) -> None:
    """Their servers were neither copied nor restarted since ``mark``."""
    for node, started in before.items():
        shell(node, "test", "-f", f"{PGDATA}/not_copied")
        assert psql(node, STARTED) == started, f"{node} was restarted"


def streaming(inventory: Path, how_many: int) -> str:
    text = play(STATUS, inventory=inventory).text
    assert f"{how_many} streaming" in text, text
    return text


def _alike(node: str, primary: str) -> bool:
    return count(node) == count(primary)


def await_rows(nodes: list[str], primary: str) -> None:
    for node in nodes:
        wait_until(partial(_alike, node, primary), f"{node} to have the rows of {primary}", 30)


@pytest.mark.long
def test_the_others_follow_a_planned_hand_over_as_they_are(many: Path) -> None:
    write(FIRST)
    before = mark(*NODES[1:])
    said = play(FAILOVER, "-e", f"candidate={SECOND}", inventory=many).text
    assert f"{THIRD} follows {SECOND} (follow)." in said
    assert f"{FOURTH} follows {SECOND} (follow)." in said
    went_on(before)
    write(SECOND)
    await_rows([FIRST, THIRD, FOURTH], SECOND)
    streaming(many, 3)


@pytest.mark.long
def test_an_emergency_with_one_server_stopped_and_one_delayed(many: Path) -> None:
    """The delayed one has received as much; it is passed over, and not waited for."""
    shell(FOURTH, "psql", "-qc", "ALTER SYSTEM SET recovery_min_apply_delay = '1h'", user="postgres")
    psql(FOURTH, "SELECT pg_reload_conf()")
    shell(THIRD, "sv", "-w", "30", "stop", "postgresql")
    before = mark(FIRST, FOURTH)
    write(SECOND)
    await_rows([FIRST], SECOND)
    late = count(FOURTH)
    docker("kill", SECOND)
    done = play(FAILOVER, inventory=many)
    assert f"Promote {FIRST}." in done.text
    assert (
        f"{THIRD} does not answer and was stopped, since it might have been promoted unseen. Run rejoin.yml"
        in done.text
    )
    assert f"{FOURTH} follows {FIRST} (follow) at its own pace: it replays with a delay" in done.text
    assert "Archiving from" in done.text
    went_on(before)
    assert count(FOURTH) == late < count(FIRST)

    # Again: there is nothing to do, and nobody waits.
    assert f"{FOURTH} is told" not in play(REJOIN, "-e", "plan=text", inventory=many).text
    said = play(STATUS, inventory=many).text
    assert f"{FOURTH} replays with a delay, on purpose, and does not stream from {FIRST}" in said
    assert "Run rejoin.yml" in said, "for those that are down"

    said = play(REJOIN, inventory=many).text
    assert f"{FOURTH} follows {FIRST} at its own pace" in said
    assert f"{SECOND} follows {FIRST}" in said
    assert f"{THIRD} follows {FIRST}" in said
    shell(FOURTH, "psql", "-qc", "ALTER SYSTEM RESET recovery_min_apply_delay", user="postgres")
    psql(FOURTH, "SELECT pg_reload_conf()")
    await_rows([SECOND, THIRD, FOURTH], FIRST)
    went_on(before)
    streaming(many, 3)


@pytest.mark.long
def test_the_most_advanced_is_chosen_while_one_is_cut_off_and_one_behind(many: Path) -> None:
    """Replay on the most advanced is paused by somebody, and goes on; the one that is cut off is stopped first."""
    docker("pause", FOURTH)
    psql(THIRD, "SELECT pg_wal_replay_pause()")
    write(FIRST)
    received = psql(FIRST, "SELECT pg_current_wal_flush_lsn()")
    reached = f"SELECT pg_last_wal_receive_lsn() >= '{received}'"
    wait_until(lambda: psql(THIRD, reached) == "t", f"{THIRD} to receive all", 30)
    rows = count(FIRST)
    docker("network", "disconnect", MANY, SECOND)
    docker("kill", FIRST)
    docker("unpause", FOURTH)
    wait_until(lambda: role_inside(FOURTH) == "standby", f"{FOURTH} to answer", 30)
    before = mark(THIRD, FOURTH)
    done = play(FAILOVER, inventory=many)
    assert f"Promote {THIRD}." in done.text
    assert f"{SECOND} does not answer and was stopped" in done.text
    assert f"{FOURTH} follows {THIRD} (follow)." in done.text
    assert not running(SECOND)
    went_on(before)
    assert count(THIRD) == rows
    await_rows([FOURTH], THIRD)

    docker("network", "connect", MANY, SECOND)
    play(REJOIN, inventory=many)
    await_rows([FIRST, SECOND, FOURTH], THIRD)
    streaming(many, 3)


@pytest.mark.long
def test_an_emergency_with_one_container_paused_and_one_whose_replay_is(many: Path) -> None:
    docker("pause", SECOND)
    psql(FOURTH, "SELECT pg_wal_replay_pause()")
    write(THIRD)
    before = mark(FIRST, FOURTH)
    # So that it is not the most advanced.
    docker("pause", FOURTH)
    write(THIRD)
    await_rows([FIRST], THIRD)
    docker("kill", THIRD)
    docker("unpause", FOURTH)
    wait_until(lambda: role_inside(FOURTH) == "standby", f"{FOURTH} to answer", 30)
    done = play(FAILOVER, inventory=many)
    assert f"{SECOND} does not answer and was stopped" in done.text
    assert f"{FOURTH} follows {FIRST} (follow) once its replay goes on" in done.text
    assert takes_writes_inside(FIRST)
    went_on(before)
    said = play(STATUS, inventory=many).text
    assert f"Replay is paused on {FOURTH}, which does not stream meanwhile." in said
    psql(FOURTH, "SELECT pg_wal_replay_resume()")
    await_rows([FOURTH], FIRST)
    play(REJOIN, inventory=many)
    await_rows([SECOND, THIRD, FOURTH], FIRST)
    went_on(before)
    streaming(many, 3)


@pytest.mark.long
def test_a_planned_hand_over_names_who_is_cut_off_and_goes_on_without_it(many: Path) -> None:
    docker("network", "disconnect", MANY, FOURTH)
    docker("pause", THIRD)
    before = mark(SECOND)
    done = play(FAILOVER, "-e", f"candidate={SECOND}", inventory=many)
    assert f"{FOURTH} is cut off and does not follow {SECOND}." in done.text
    assert f"{THIRD} does not answer and was left alone. Run rejoin.yml" in done.text
    assert f"Archiving from {SECOND} is proven" in done.text
    went_on(before)

    # A paused container keeps nobody from helping the others.
    docker("stop", FIRST)
    stays = f"{THIRD} stays as it is. The container {THIRD} is paused. Run docker unpause {THIRD}, then this again."
    assert stays in play(REJOIN, "-e", "plan=text", inventory=many).text
    said = play(REJOIN, inventory=many, expect=2).text
    assert f"{FIRST} follows {SECOND}" in said
    assert f"The container {THIRD} is paused. Run docker unpause {THIRD}, then this again. All else was done." in said
    await_rows([FIRST], SECOND)
    docker("unpause", THIRD)
    said = play(REJOIN, inventory=many, expect=2).text
    assert f"{FOURTH} cannot reach the primary {SECOND}, and does not follow it. All else was done." in said
    docker("network", "connect", MANY, FOURTH)
    play(REJOIN, inventory=many)
    play(FAILBACK, inventory=many)
    await_rows([SECOND, THIRD, FOURTH], FIRST)
    streaming(many, 3)


@dataclass
class Client(Writer):
    """A client outside that inserts numbers into this cluster, whichever of its servers takes writes."""

    secrets: Path = Path()

    def where(self) -> str:
        password = (self.secrets / "user_imdb").read_text().strip().replace("\\", "\\\\").replace("'", "\\'")
        ports = ",".join(str(FIRST_PORT + 30 + offset) for offset in (0, 1, 3, 4))
        return (
            f"host={','.join(['127.0.0.1'] * 4)} port={ports} user=imdb password='{password}' dbname=imdb"
            " connect_timeout=2 target_session_attrs=read-write sslmode=verify-full"
            f" sslrootcert={self.secrets / 'tls' / 'ca.crt'}"
        )


@pytest.mark.long
def test_an_upgrade_that_was_killed_before_all_followed_is_finished_by_the_next(many: Path) -> None:
    """One has been promoted; of the others one is delayed on purpose, and one runs on and asks the old primary."""
    other = ("-e", "docker_nodes_shm_size=257M", "-e", "confirm=main")
    upgrade = "playbooks/upgrade_minor.yml"
    before = {node: docker("inspect", "-f", "{{.Id}}", node) for node in NODES}
    psql(FIRST, "DROP TABLE IF EXISTS trial")
    with Client(secrets=many.parent / ".secrets") as client:
        psql(FOURTH, "ALTER SYSTEM SET recovery_min_apply_delay = '1h'")
        psql(FOURTH, "SELECT pg_reload_conf()")
        more(client)
        killed_play(upgrade, "Make the other nodes follow", *other, inventory=many)
        more(client)
        [promoted] = [node for node in NODES[1:] if takes_writes_inside(node)]
        assert promoted != FOURTH
        [third] = {SECOND, THIRD} - {promoted}
        for node in (third, FOURTH):
            assert f"host={FIRST} " in f"{psql(node, 'SHOW primary_conninfo')} "

        done = play(upgrade, *other, inventory=many).text
        more(client)
        assert f"The end of the hand-over to {promoted}" in done
        assert done.count(f"follows {promoted}") >= 2
        for node in (third, FOURTH):
            assert f"host={promoted} " in f"{psql(node, 'SHOW primary_conninfo')} "
        assert takes_writes_inside(promoted)
        assert [node for node in NODES if docker("inspect", "-f", "{{.Id}}", node) == before[node]] == []
        again = play(upgrade, *other, inventory=many)
        assert again.changed == 0
        assert "Nothing to do" in again.text
    assert client.trouble == ""
    psql(FOURTH, "ALTER SYSTEM RESET recovery_min_apply_delay")
    psql(FOURTH, "SELECT pg_reload_conf()")
    await_rows([node for node in NODES if node != promoted], promoted)
    for node in NODES:
        assert missing(rows_of(node), client.acknowledged) == []
    streaming(many, 3)
