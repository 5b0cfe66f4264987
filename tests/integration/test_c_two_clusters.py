# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two clusters in one inventory, with one repository host and one Redis: what is done to one leaves the other alone."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml
from certificates import make
from cluster import (
    FAILOVER,
    FIRST_PORT,
    NETWORK,
    RECAP,
    STATUS,
    docker,
    json_document,
    play,
    psql,
    shell,
    wait_until,
)
from holding import Controller, frozen
from two_clusters import TwoClusters

PAIRS = TwoClusters(f"{NETWORK}_two", FIRST_PORT + 30)
TWO, CLUSTERS, REPOSITORY, REDIS = PAIRS.name, PAIRS.clusters, PAIRS.repository, PAIRS.redis
NORTH, SOUTH = CLUSTERS.values()
INVENTORY = PAIRS.write_inventory()
BOTH = ("-e", "cluster=north,south", "-e", "down_data=true")


@pytest.fixture(scope="module", autouse=True)
def removed() -> Iterator[None]:
    play("playbooks/down.yml", *BOTH, inventory=INVENTORY)
    yield
    play("playbooks/down.yml", *BOTH, inventory=INVENTORY)


def answer(node: str, sql: str) -> str:
    return psql(node, sql, "postgres")


def identifier(node: str) -> str:
    return answer(node, "SELECT system_identifier FROM pg_control_system()")


def is_primary(node: str) -> bool:
    return answer(node, "SELECT pg_is_in_recovery()") == "f"


def lives(*nodes: str) -> dict[str, str]:
    """What changes when a server is restarted, a role moves or a container is made anew."""
    asked = "SELECT pg_postmaster_start_time(), pg_is_in_recovery(), system_identifier FROM pg_control_system()"
    return {node: answer(node, asked) + docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", node) for node in nodes}


def backups(stanza: str) -> list[str]:
    output = shell(REPOSITORY, "pgbackrest", f"--stanza={stanza}", "--output=json", "info", user="postgres")
    return [backup["label"] for backup in json.loads(output)[0].get("backup", [])]


def two_separate_clusters() -> None:
    for primary, standby in CLUSTERS.values():
        assert is_primary(primary)
        assert not is_primary(standby)
        assert identifier(primary) == identifier(standby)
        assert answer(primary, "SELECT application_name FROM pg_stat_replication") == standby
    assert identifier(NORTH[0]) != identifier(SOUTH[0])


def test_both_at_once_and_one_handed_over() -> None:
    play("site.yml", inventory=INVENTORY)
    two_separate_clusters()

    play("backup.yml", inventory=INVENTORY)
    assert {name: len(backups(name)) for name in CLUSTERS} == {"north": 1, "south": 1}
    # A server sees its own stanza only.
    foreign = ["pgbackrest", "--stanza=south", "--log-level-console=off", "repo-ls", "backup/south"]
    tried = ["docker", "exec", "-u", "postgres", NORTH[0], *foreign]
    assert subprocess.run(tried, check=False, capture_output=True).returncode != 0
    catalog = play("playbooks/catalog.yml", inventory=INVENTORY).output
    assert all(label in catalog for name in CLUSTERS for label in backups(name))

    found = json_document(play(STATUS, "-e", "format=json", "-e", "require=healthy", inventory=INVENTORY).output)
    assert [(one["cluster"], one["primary"]) for one in found["clusters"]] == [("north", NORTH[0]), ("south", SOUTH[0])]

    everything = lives(*NORTH, *SOUTH)
    refused = play(FAILOVER, inventory=INVENTORY, expect=2)
    assert "The inventory has north, south, and this play does not guess which one is meant." in refused.text
    assert "There is no cluster east. The inventory has north, south." in (
        play("backup.yml", "-e", "cluster=east", inventory=INVENTORY, expect=2).text
    )
    assert lives(*NORTH, *SOUTH) == everything

    south = lives(*SOUTH)
    play(FAILOVER, "-e", "cluster=north", inventory=INVENTORY)
    assert is_primary(NORTH[1])
    assert not is_primary(NORTH[0])
    assert lives(*SOUTH) == south

    north = lives(*NORTH)
    assert play("site.yml", inventory=INVENTORY).changed == 0, "site.yml on two finished clusters must change nothing"
    play("backup.yml", "-e", "cluster=south", "-e", "day=2", inventory=INVENTORY)
    assert {name: len(backups(name)) for name in CLUSTERS} == {"north": 1, "south": 2}
    assert lives(*NORTH, *SOUTH) == north | south


@pytest.mark.long
def test_one_that_cannot_be_backed_up_costs_the_other_nothing() -> None:
    before = {name: len(backups(name)) for name in CLUSTERS}
    docker("stop", *SOUTH)
    failed = play("backup.yml", "-e", "backup_force=true", inventory=INVENTORY, expect=2)
    assert len(backups("north")) > before["north"]
    assert len(backups("south")) == before["south"]
    # After all that the other cluster's play printed.
    assert "Not backed up: 1 of 2 clusters." in failed.output[failed.output.rindex("Every cluster was backed up") :]
    assert re.search(r"1 of 2 clusters\. south: .*(answers|reach).* The others were\.", failed.text)

    # site.yml starts what is down. (The other cluster was handed over before.)
    play("site.yml", inventory=INVENTORY)
    assert [is_primary(node) for node in SOUTH] == [True, False]


@pytest.mark.long
def test_one_that_somebody_works_on_does_not_keep_the_other_from_its_backup() -> None:
    before = {name: len(backups(name)) for name in CLUSTERS}
    # Of one backup: others have two.
    force = ("-e", "backup_force=true", "-e", "day=2")
    working = Controller("backup.yml", "-e", "cluster=south", *force, inventory=INVENTORY)
    waiting: Controller | None = None
    try:
        with frozen(SOUTH[0], "postgres: checkpointer"):
            working.read_until(r"PLAY \[Back up\]")
            refused = play("backup.yml", *force, inventory=INVENTORY, expect=2)
            assert len(backups("north")) == before["north"] + 1
            assert len(backups("south")) == before["south"]
            # Whoever waits does so for the one alone.
            waiting = Controller("backup.yml", *force, "-e", "wait_for_lock=1200", inventory=INVENTORY)
            # Less than it waits for the lock, and more than a busy machine needs for the play above.
            wait_until(lambda: len(backups("north")) == before["north"] + 2, "the other to be backed up", 600)
            assert len(backups("south")) == before["south"]
        assert working.wait().code == 0
        assert waiting.wait().code == 0
    finally:
        for one in (working, waiting):
            if one is not None and one.running():
                one.kill()
    said = r"1 of 2 clusters\. south: backup\.yml by \S+ has been working on cluster south since .* The others were\."
    assert re.search(said, refused.text)
    assert len(backups("south")) == before["south"] + 2


@pytest.mark.long
def test_a_configuration_that_one_does_not_take_keeps_the_other_from_nothing() -> None:
    inventory = yaml.safe_load(INVENTORY.read_text())
    servers = inventory["all"]["children"]["postgres"]["hosts"]
    for nodes, value in ((NORTH, "5MB"), (SOUTH, "64 MiB")):
        for node in nodes:
            servers[node]["postgresql_parameters"] = {"work_mem": value}
    # Only one of the pair has it: the other must not get its own part of what was refused.
    servers[SOUTH[1]]["postgresql_parameters"] = {"work_mem": "5MB"}
    other = INVENTORY.with_name("other.yml")
    other.write_text(yaml.safe_dump(inventory, sort_keys=False))

    failed = play("site.yml", inventory=other, expect=2)
    assert [answer(node, "SHOW work_mem") for node in (*NORTH, *SOUTH)] == ["5MB", "5MB", "4MB", "4MB"]
    last = " ".join(failed.output[failed.output.rindex("WHAT FAILED") :].split())
    assert re.search(rf"{SOUTH[0]}: .*64 MiB", last)
    assert f"{SOUTH[0]} did not take the configuration" in last
    assert NORTH[0] not in last
    play("site.yml", inventory=INVENTORY)
    assert play("site.yml", inventory=INVENTORY).changed == 0
    assert answer(NORTH[0], "SHOW work_mem") == "4MB"


def shared_configuration() -> str:
    """Of the repository host: who may use which stanza, and where its servers are."""
    return shell(REPOSITORY, "cat", "/etc/pgbackrest/pgbackrest.conf")


@pytest.mark.long
def test_one_that_cannot_be_worked_on_is_left_out_and_the_other_gets_its_change() -> None:
    inventory = yaml.safe_load(INVENTORY.read_text())
    servers = inventory["all"]["children"]["postgres"]["hosts"]
    for node in (*NORTH, *SOUTH):
        servers[node]["postgresql_parameters"] = {"work_mem": "5MB"}
    for node in SOUTH:
        # What the shared hosts must not be told.
        servers[node]["postgresql_port"] = 5433
    other = INVENTORY.with_name("left_out.yml")
    other.write_text(yaml.safe_dump(inventory, sort_keys=False))
    before, south, stanza = shared_configuration(), lives(*SOUTH), backups("south")

    docker("pause", SOUTH[1])
    try:
        failed = play("site.yml", inventory=other, expect=2)
    finally:
        docker("unpause", SOUTH[1])
    last = " ".join(failed.output[failed.output.rindex("No cluster was left out") :].split())
    assert f"Not provisioned: 1 of 2 clusters. south: The container {SOUTH[1]} is paused" in last
    assert [answer(node, "SHOW work_mem") for node in (*NORTH, *SOUTH)] == ["5MB", "5MB", "4MB", "4MB"]
    assert shared_configuration() == before
    assert (lives(*SOUTH), backups("south")) == (south, stanza)

    # Now it is asked, and refuses the port.
    failed = play("site.yml", inventory=other, expect=2)
    assert "Not provisioned: 1 of 2 clusters. south: " in failed.text
    assert "5433" in failed.text
    assert failed.changed == 0
    assert shared_configuration() == before
    assert lives(*SOUTH) == south
    # Nor when nobody asked for it.
    assert play("site.yml", "-e", "cluster=north", inventory=other).changed == 0
    assert shared_configuration() == before
    # It archives, and is backed up, as before.
    shell(REPOSITORY, "pgbackrest", "--stanza=south", "check", user="postgres")
    # With one cluster nobody is left: it ends before anything is touched.
    docker("pause", SOUTH[1])
    try:
        refused = play("site.yml", "-e", "cluster=south", inventory=INVENTORY, expect=2)
    finally:
        docker("unpause", SOUTH[1])
    assert f"The container {SOUTH[1]} is paused" in refused.text
    assert "Not provisioned" not in refused.text
    assert refused.changed == 0

    play("site.yml", inventory=INVENTORY)
    assert answer(NORTH[0], "SHOW work_mem") == "4MB"


def test_an_authority_comes_back_to_no_node_that_has_dropped_it() -> None:
    """As after a rotation that was cut off while it took the old one away."""
    file = "/etc/relevo/tls/ca.crt"
    before = {node: shell(node, "cat", file) for node in (*NORTH, REPOSITORY)}
    old = make("the old authority").certificate
    shell(REPOSITORY, "sh", "-c", f"cat >> {file}", stdin=old)
    # The other cluster's nodes are not asked, and one of them may have a certificate of it.
    # That its TLS server has not read the file of this test yet is all there is to do.
    assert play("site.yml", "-e", "cluster=north", inventory=INVENTORY).changed == 1
    assert {node: shell(node, "cat", file) for node in NORTH} == {node: before[node] for node in NORTH}
    assert old in shell(REPOSITORY, "cat", file)
    play("site.yml", inventory=INVENTORY)
    assert shell(REPOSITORY, "cat", file) == before[REPOSITORY]


@pytest.mark.long
def test_one_whose_configuration_pgbackrest_does_not_take_is_left_out() -> None:
    inventory = yaml.safe_load(INVENTORY.read_text())
    inventory["all"]["children"]["postgres"]["hosts"][SOUTH[1]]["pgbackrest_options"] = {"no-such-option": "y"}
    for node in NORTH:
        inventory["all"]["children"]["postgres"]["hosts"][node]["postgresql_parameters"] = {"work_mem": "6MB"}
    other = INVENTORY.with_name("untaken.yml")
    other.write_text(yaml.safe_dump(inventory, sort_keys=False))
    before, south = shared_configuration(), lives(*SOUTH)
    failed = play("site.yml", inventory=other, expect=2)
    assert f"Not provisioned: 1 of 2 clusters. south: {SOUTH[1]}: " in failed.text
    assert "no-such-option" in failed.text
    assert [answer(node, "SHOW work_mem") for node in (*NORTH, *SOUTH)] == ["6MB", "6MB", "4MB", "4MB"]
    assert shared_configuration() == before
    assert lives(*SOUTH) == south
    play("site.yml", inventory=INVENTORY)
    assert play("site.yml", inventory=INVENTORY).changed == 0


@pytest.mark.long
@pytest.mark.parametrize("forks", [1, 2])
def test_as_many_clusters_at_once_as_there_are_forks(forks: int) -> None:
    """One that is held up in its backup keeps the next one waiting where there is one fork, and nobody with two."""
    before = {name: len(backups(name)) for name in CLUSTERS}
    held = next(node for node in NORTH if is_primary(node))
    force = ("-f", f"{forks}", "-e", "backup_force=true", "-e", "day=2")
    working = Controller("backup.yml", *force, inventory=INVENTORY)
    try:
        with frozen(held, "postgres: checkpointer"):
            working.read_until(r"PLAY \[Back up each of several clusters\]")
            if forks == 1:
                # With two it is backed up in less.
                time.sleep(45)
                assert len(backups("south")) == before["south"]
            else:
                wait_until(lambda: len(backups("south")) == before["south"] + 1, "the other to be backed up", 300)
            assert len(backups("north")) == before["north"]
        assert working.wait().code == 0
    finally:
        if working.running():
            working.kill()
    assert {name: len(backups(name)) - count for name, count in before.items()} == {"north": 1, "south": 1}


@pytest.mark.long
def test_a_repository_host_that_is_away_costs_the_clusters_of_others_nothing() -> None:
    """A third cluster, on hosts that do not exist."""
    inventory = yaml.safe_load(INVENTORY.read_text())
    away, groups = {"node_cluster": "west"}, inventory["all"]["children"]
    groups["postgres"]["hosts"][f"{TWO}_w1"] = away | {"node_preferred_primary": True}
    for group in ("pgbackrest", "redis"):
        groups[group]["hosts"][f"{TWO}_w_{group}"] = dict(away)
    three = INVENTORY.with_name("three.yml")
    three.write_text(yaml.safe_dump(inventory, sort_keys=False))

    before = {name: len(backups(name)) for name in CLUSTERS}
    failed = play("backup.yml", "-e", "backup_force=true", inventory=three, expect=2)
    assert {name: len(backups(name)) > count for name, count in before.items()} == {"north": True, "south": True}
    reason = f"west: The repository host {TWO}_w_pgbackrest does not answer: "
    assert f"Not backed up: 1 of 3 clusters. {reason}" in failed.text
    assert "The others were." in failed.text

    asked = play("playbooks/catalog_check.yml", "-e", "format=json", inventory=three, expect=2)
    found = {one["cluster"]: one["checks"] for one in json_document(asked.output)["clusters"]}
    assert [(check["code"], check["ok"]) for check in found.pop("west")] == [("repository", False)]
    assert set(found) == set(CLUSTERS)
    assert all(any(check["code"] == "window" and check["ok"] for check in checks) for checks in found.values())

    refused = play("backup.yml", "-e", "cluster=west", inventory=three, expect=2)
    assert f"The repository host {TWO}_w_pgbackrest does not answer: " in refused.text


@pytest.mark.long
def test_one_that_cannot_archive_does_not_keep_the_other_from_its_end() -> None:
    archive = "/var/lib/pgbackrest/archive/south"
    shell(REPOSITORY, "chmod", "0", archive)
    try:
        failed = play("site.yml", "-e", "pgbackrest_check_timeout=10", inventory=INVENTORY, expect=2)
    finally:
        shell(REPOSITORY, "chmod", "0750", archive)
    ends = {host: int(failures) for host, _ok, _changed, _unreachable, failures in RECAP.findall(failed.output)}
    assert (ends[f"north@{REPOSITORY}"], ends[f"south@{REPOSITORY}"]) == (0, 1)
    # The very last words, after the recap.
    assert f"south@{REPOSITORY}: " in failed.output[failed.output.rindex("WHAT FAILED") :]
    assert play("site.yml", inventory=INVENTORY).changed == 0


@pytest.mark.long
def test_one_after_the_other_and_one_removed() -> None:
    play("playbooks/down.yml", *BOTH, inventory=INVENTORY)
    play("site.yml", "-e", "cluster=north", inventory=INVENTORY)
    north = lives(*NORTH)
    assert docker("ps", "-aq", "--filter", f"name={TWO}_s").strip() == "", "the other cluster was not asked for"

    play("site.yml", "-e", "cluster=south", inventory=INVENTORY)
    two_separate_clusters()
    assert lives(*NORTH) == north
    assert play("site.yml", inventory=INVENTORY).changed == 0

    said = play("playbooks/down.yml", "-e", "cluster=south", "-e", "down_data=true", inventory=INVENTORY).text
    assert f"Kept, since other clusters need them: {REPOSITORY}, {REDIS}. The secrets are kept in " in said
    assert lives(*NORTH) == north
    assert play("site.yml", "-e", "cluster=north", inventory=INVENTORY).changed == 0
