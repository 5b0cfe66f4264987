"""A standby is added to a cluster under load and taken out again: killed, run again, and started by hand afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from clients import Writer, more, role_inside
from cluster import (
    FAILBACK,
    FAILOVER,
    FIRST_PORT,
    INVENTORY,
    NETWORK,
    PGDATA,
    PRIMARY,
    REJOIN,
    REPOSITORY,
    SECRETS,
    STANDBY,
    STATUS,
    VERSION,
    Play,
    docker,
    gone,
    guard_says,
    killed_play,
    play,
    psql,
    running,
    shell,
    wait_until,
)

pytestmark = pytest.mark.long

ADD, REMOVE = "playbooks/add_node.yml", "playbooks/remove_node.yml"
THIRD = f"{NETWORK}_third"
SLOT = THIRD.replace("-", "_")
STARTED = "SELECT pg_postmaster_start_time()"
FREE_SLOTS = "generate_series(1, 10 - (SELECT count(*)::int FROM pg_replication_slots))"
FILLERS = "pg_replication_slots WHERE slot_name LIKE 'filler%'"
#: What restore.yml -e restore_host=... leaves on the repository host.
NOTE = f"/var/lib/postgresql/scratch/.elsewhere/{THIRD}+main_latest.json"
REPOSITORY_CONF = "/etc/pgbackrest/pgbackrest.conf"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory of the cluster with one host more."""
    given = yaml.safe_load(INVENTORY.read_text().replace("{{ inventory_dir }}", str(INVENTORY.parent)))
    given["all"]["children"]["postgres"]["hosts"][THIRD] = {"node_published_port": FIRST_PORT + 47}
    given["all"]["vars"]["relevo_secrets_dir"] = str(SECRETS)
    path = tmp_path_factory.mktemp("three") / "hosts.yml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    yield path
    gone(THIRD)


def node(playbook: str, inventory: Path, *arguments: str, name: str = THIRD, expect: int = 0) -> Play:
    named = [f"node={name}", *arguments]
    return play(playbook, *(part for one in named for part in ("-e", one)), inventory=inventory, expect=expect)


def knows(name: str) -> dict[str, bool]:
    """Whether the guards of the others, the repository host and the primary's slots know a node."""
    guards = {one: name in shell(one, "cat", "/etc/relevo/guard.json") for one in (PRIMARY, STANDBY)}
    slots = psql(PRIMARY, "SELECT slot_name FROM pg_replication_slots")
    return {**guards, "repository": name in shell(REPOSITORY, "cat", REPOSITORY_CONF), "slot": SLOT in slots.split()}


def known(yes: bool) -> dict[str, bool]:
    return dict.fromkeys((PRIMARY, STANDBY, "repository", "slot"), yes)


def started() -> dict[str, str]:
    """When the servers of the others, and the repository host, were started."""
    servers = {one: psql(one, STARTED) for one in (PRIMARY, STANDBY)}
    return {**servers, REPOSITORY: docker("inspect", "-f", "{{.State.StartedAt}}", REPOSITORY)}


def alike() -> bool:
    return psql(THIRD, "SELECT count(*) FROM trial") == psql(PRIMARY, "SELECT count(*) FROM trial")


def settled() -> None:
    wait_until(alike, f"{THIRD} to have the rows of {PRIMARY}", 30)


def test_a_host_with_data_of_another_cluster_is_left_alone(three: Path) -> None:
    image = docker("inspect", "-f", "{{.Config.Image}}", PRIMARY).strip()
    labels = ("--label", "relevo.managed=true", "--label", "relevo.cluster=main")
    docker("volume", "create", *labels, f"{THIRD}_data")
    program = f"/usr/lib/postgresql/{VERSION}/bin/initdb"
    volume = f"{THIRD}_data:/var/lib/postgresql"
    docker("run", "--rm", "-u", "postgres", "-v", volume, "--entrypoint", program, image, "-D", PGDATA)
    before = started()
    try:
        said = node(ADD, three, expect=2).text
        assert f"{THIRD} holds the data of another cluster (system identifier " in said
        assert knows(THIRD) == known(False)
        assert started() == before
    finally:
        gone(THIRD)


def test_what_is_refused_before_anything_is_touched(three: Path) -> None:
    before = started()
    assert "No node was named" in play(ADD, inventory=three, expect=2).text
    assert "There is no node nobody" in node(ADD, three, name="nobody", expect=2).text
    assert node(ADD, three, name=PRIMARY).changed == 0
    already = node(ADD, three, name=STANDBY)
    assert f"{STANDBY} is part of it already, and follows {PRIMARY}." in already.text
    assert already.changed == 0
    docker("pause", STANDBY)
    try:
        assert f"{STANDBY} does not answer (its container is paused)" in node(ADD, three, expect=2).text
    finally:
        docker("unpause", STANDBY)
    psql(PRIMARY, f"SELECT count(pg_create_physical_replication_slot('filler_' || n)) FROM {FREE_SLOTS} n")
    try:
        said = node(ADD, three, expect=2).text
        assert f"{PRIMARY} has 0 of its replication slots left, and a copy for {THIRD} takes 1." in said
        assert "Set max_replication_slots in postgresql_parameters to 11 or more" in said
    finally:
        psql(PRIMARY, f"SELECT pg_drop_replication_slot(slot_name) FROM {FILLERS}")
    docker("pause", REPOSITORY)
    try:
        said = node(ADD, three, expect=2).text
        assert f"The repository host {REPOSITORY} does not answer (its container is paused)" in said
        assert "does not answer" in node(REMOVE, three, f"confirm={STANDBY}", name=STANDBY, expect=2).text
    finally:
        docker("unpause", REPOSITORY)
    shell(PRIMARY, "sv", "-w", "30", "stop", "postgresql")
    try:
        assert "No primary answers" in node(ADD, three, expect=2).text
    finally:
        shell(PRIMARY, "sv", "-w", "30", "start", "postgresql")
    wait_until(lambda: role_inside(PRIMARY) == "primary", f"{PRIMARY} to be primary again", 30)
    shown = node(ADD, three, "plan=text").text
    assert f"Plan of add_node for main: {THIRD} becomes a standby of {PRIMARY}." in shown
    assert f"{THIRD} gets a container, and is made a standby." in shown
    assert knows(THIRD) == known(False)
    assert docker("ps", "-aq", "--filter", f"name=^{THIRD}$").strip() == ""
    assert started()[STANDBY] == before[STANDBY]


def test_it_is_added_under_load_killed_and_run_again(three: Path) -> None:
    before = started()
    with Writer() as writer:
        for at in (
            "Start the container",
            "Write the node's key pair and passwords",
            "Let the TLS server read what was written",
            "Install the start guard",
            "Follow the primary",
        ):
            killed_play(ADD, at, "-e", f"node={THIRD}", inventory=three)
        said = node(ADD, three).text
        more(writer)
    assert f"{THIRD} is a standby of {PRIMARY}." in said
    assert str(FIRST_PORT + 47) in said
    assert writer.trouble == writer.last_error == ""
    assert knows(THIRD) == known(True)
    assert started() == before
    settled()
    again = node(ADD, three)
    assert again.changed == 0
    assert f"{THIRD} is part of it already, and follows {PRIMARY}." in again.text
    assert play("site.yml", inventory=three).changed == 0
    assert "2 streaming" in play(STATUS, inventory=three).text
    assert started() == before


def test_it_is_removed_and_its_data_stay_down(three: Path) -> None:
    before = started()
    assert (
        "is the primary. Hand over first: failover.yml -e candidate="
        in node(REMOVE, three, f"confirm={PRIMARY}", name=PRIMARY, expect=2).text
    )
    assert f"Confirm it with -e confirm={THIRD}." in node(REMOVE, three, expect=2).text
    assert "its data stay" in node(REMOVE, three, "plan=text").text
    assert knows(THIRD) == known(True)
    shell(THIRD, "touch", f"{PGDATA}/not_copied", user="postgres")
    answers = ("-e", f"node={THIRD}", "-e", f"confirm={THIRD}")
    with Writer() as writer:
        for at in (
            "Stop its server for good",
            "Stop the node from outside",
            "Install the start guard",
            "Write pgBackRest's configuration",
            "Drop its slots",
        ):
            killed_play(REMOVE, at, *answers, inventory=three)
        said = node(REMOVE, three, f"confirm={THIRD}").text
        more(writer)
    assert f"Take {THIRD} out of the inventory" in said
    assert writer.trouble == writer.last_error == ""
    assert node(REMOVE, three, f"confirm={THIRD}").changed == 0
    assert knows(THIRD) == known(False)
    assert not running(THIRD)
    assert started() == before
    assert not list((SECRETS / "tls").glob(f"{THIRD}.*"))

    # It stays in the inventory: nobody brings it back half-way.
    removed = f"{THIRD} was removed from its cluster by "
    said = play(STATUS, inventory=three).text
    assert removed in said
    assert f"add_node.yml -e node={THIRD}" in said
    assert removed in play("site.yml", "-e", "plan=text", inventory=three).text
    assert removed in play(REJOIN, inventory=three).text
    assert not running(THIRD)
    play(FAILOVER, "-e", f"candidate={THIRD}", "-e", "force=true", inventory=three, expect=2)
    assert not running(THIRD)
    assert knows(THIRD) == known(False)
    site = play("site.yml", inventory=three, expect=2).text
    assert f"{THIRD} was removed from its cluster by " in site
    assert not running(THIRD)
    docker("start", THIRD)
    wait_until(lambda: guard_says(THIRD)["verdict"] == "refuse", "the start guard to refuse", 30)
    assert "it was removed from its cluster by " in guard_says(THIRD)["reason"]
    assert role_inside(THIRD) not in ("primary", "standby")
    site = play("site.yml", inventory=three, expect=2).text
    assert f"{THIRD} was removed from its cluster by " in site
    assert removed in play(REJOIN, inventory=three).text
    assert removed in play(STATUS, inventory=three).text
    assert role_inside(THIRD) not in ("primary", "standby")
    assert knows(THIRD) == known(False)
    assert play("site.yml").changed == 0

    # What it holds is used when it is added again.
    node(ADD, three)
    settled()
    shell(THIRD, "test", "-f", f"{PGDATA}/not_copied")
    assert knows(THIRD) == known(True)
    assert play("site.yml", inventory=three).changed == 0
    assert started() == before


def test_what_others_have_there_does_not_go_unasked(three: Path) -> None:
    answers = (f"confirm={THIRD}", "remove_data=true")
    psql(THIRD, "SELECT pg_create_physical_replication_slot('barman')")
    named = f"The slot barman, which is not one of this cluster's standbys, is on {THIRD} alone"
    said = node(REMOVE, three, *answers, expect=2).text
    assert f"Others read from {THIRD}. {named}" in said
    assert "-e lose_consumers=true" in said
    note = {"host": THIRD, "name": "main_latest", "cluster": "main", "backup": "", "reading": False}
    shell(REPOSITORY, "mkdir", "-p", str(Path(NOTE).parent))
    shell(REPOSITORY, "sh", "-c", f"cat >{NOTE}", stdin=json.dumps(note))
    try:
        said = node(REMOVE, three, *answers, "lose_consumers=true", expect=2).text
        command = f"restore.yml -e cluster=main -e remove=main_latest -e restore_host={THIRD}."
        assert f"main_latest was restored beside main on {THIRD}. Remove it first: {command}" in said
    finally:
        shell(REPOSITORY, "rm", NOTE)
    assert knows(THIRD) == known(True)
    said = node(REMOVE, three, *answers, "lose_consumers=true", "plan=text").text
    assert f"Risk: {named}" in said
    assert "REFUSED" not in said
    psql(THIRD, "SELECT pg_drop_replication_slot('barman')")


def counted() -> list[str]:
    return [name for name in (STANDBY, THIRD) if name in psql(PRIMARY, "SHOW synchronous_standby_names")]


def test_a_stopped_one_goes_with_its_data_and_no_commit_waits_for_it(three: Path) -> None:
    before = started()
    wanted = ("-e", "postgresql_synchronous=true")
    play("site.yml", *wanted, inventory=three)
    assert counted() == [STANDBY, THIRD]
    docker("kill", THIRD)
    # The other one is the last that streams.
    last = node(REMOVE, three, f"confirm={STANDBY}", "last_standby=true", name=STANDBY, expect=2).text
    assert f"{PRIMARY} requires a synchronous standby, and without {STANDBY} none streams" in last
    answers = ("-e", f"node={THIRD}", "-e", f"confirm={THIRD}", "-e", "remove_data=true")
    killed_play(REMOVE, "Stop the node from outside", *answers, inventory=three)
    assert counted() == [STANDBY]
    killed_play(REMOVE, "Remove the volumes", *answers, inventory=three)
    assert "would make it anew" in node(REMOVE, three, f"confirm={THIRD}", "remove_data=true").text
    assert docker("ps", "-aq", "--filter", f"name=^{THIRD}$").strip() == ""
    assert docker("volume", "ls", "-q", "--filter", f"name=^{THIRD}_").strip() == ""
    assert knows(THIRD) == known(False)
    assert node(REMOVE, three, f"confirm={THIRD}", "remove_data=true").changed == 0
    assert play("site.yml", *wanted).changed == 0

    # Added while one is required, it counts.
    node(ADD, three)
    assert counted() == [STANDBY, THIRD]
    node(REMOVE, three, f"confirm={THIRD}", "remove_data=true")
    assert counted() == [STANDBY]
    play("site.yml", "-e", "postgresql_synchronous=false")
    assert started() == before


def test_the_last_standby_goes_only_when_that_is_said(three: Path) -> None:
    said = node(REMOVE, INVENTORY, f"confirm={STANDBY}", name=STANDBY, expect=2).text
    assert f"Without {STANDBY} no standby streams, and nobody could take over." in said
    node(REMOVE, INVENTORY, f"confirm={STANDBY}", "last_standby=true", name=STANDBY)
    assert not running(STANDBY)
    assert psql(PRIMARY, "SELECT count(*) FROM pg_replication_slots") == "0"
    node(ADD, INVENTORY, name=STANDBY)
    wait_until(partial(_streams, STANDBY), f"{STANDBY} to stream", 30)
    assert play("site.yml").changed == 0


def test_a_fenced_old_primary_is_removed_and_added_again() -> None:
    docker("kill", PRIMARY)
    play(FAILOVER)
    play(REMOVE, "-e", f"node={PRIMARY}", "-e", f"confirm={PRIMARY}", "-e", "last_standby=true")
    assert psql(STANDBY, "SELECT count(*) FROM pg_replication_slots") == "0"
    said = play(STATUS).text
    assert f"{PRIMARY} was removed from its cluster by " in said
    assert f"add_node.yml -e node={PRIMARY}" in said
    # It was fenced for its successor, too: who asks rejoin.yml is sent to add_node.yml, and that goes on.
    assert f"{PRIMARY} was removed from its cluster by " in play(REJOIN).text
    assert not running(PRIMARY)
    play(FAILBACK, expect=2)
    assert not running(PRIMARY)
    assert role_inside(STANDBY) == "primary"
    assert f"{PRIMARY} is a standby of {STANDBY}." in node(ADD, INVENTORY, name=PRIMARY).text
    assert play("site.yml").changed == 0
    play(FAILBACK)
    assert role_inside(PRIMARY) == "primary"


def _streams(name: str) -> bool:
    return psql(PRIMARY, f"SELECT count(*) FROM pg_stat_replication WHERE application_name = '{name}'") == "1"
