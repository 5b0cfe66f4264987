"""Settings that a server or pgBackRest does not take: what works goes on working."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    FIRST_PORT,
    NETWORK,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    STATUS,
    Play,
    inventory,
    json_document,
    killed_play,
    labels,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    shell,
)

pytestmark = [pytest.mark.usefixtures("backed_up"), pytest.mark.long]

NODES = (PRIMARY, STANDBY)
ALONE = f"{NETWORK}_alone"
#: Its password stands in its own file only, quoted.
ASK_REDIS = (
    """export REDISCLI_AUTH="$(sed -n 's/^requirepass "\\(.*\\)"$/\\1/p' /etc/relevo/redis.conf)"; """
    "redis-cli --no-auth-warning CONFIG GET maxmemory"
)
#: A variable of the role, what is wrong with it, and the words of the server or of pgBackRest.
REFUSED = [
    ("postgresql_parameters", {"work_mem": "64 MiB"}, 'invalid value for parameter "work_mem": "64 MiB" (Valid units'),
    ("postgresql_parameters", {"work_memm": "64MB"}, 'unrecognized configuration parameter "work_memm"'),
    ("postgresql_parameters", {"wal_level": "minimal"}, 'cannot be enabled when "wal_level" is "minimal"'),
    ("postgresql_parameters", {"session_preload_libraries": "pg_cron"}, 'could not access file "pg_cron"'),
    ("postgresql_parameters", {"ssl": "off"}, "postgresql_parameters has ssl, which is not for it: the nodes ask one"),
    ("postgresql_hba", [{"address": "10.0.0.0/33"}], 'invalid CIDR mask in address "10.0.0.0/33"'),
    ("pgbackrest_options", {"archive-mode": "never"}, "'never' is not allowed for 'archive-mode' option"),
    ("pgbackrest_options", {"compres-type": "lz4"}, "configuration file contains invalid option 'compres-type'"),
    (
        "pgbackrest_options",
        {"lock-path": "/root/no"},
        "lock-path: the user postgres, as whom it runs, may not write to",
    ),
]


def given(name: str, value: object) -> str:
    return json.dumps({name: value})


def files(node: str) -> str:
    """A digest of all that the server and pgBackRest read on a node."""
    # The second one is a link in a container, which find does not follow by itself.
    found = "find -H /etc/relevo /etc/pgbackrest -type f -name '*.conf' | sort -u | xargs sha256sum"
    listed = shell(node, "sh", "-c", found)
    assert "/etc/pgbackrest/pgbackrest.conf" in listed, listed
    return listed


def setting(node: str, name: str) -> str:
    return psql(node, f"SELECT current_setting('{name}')")


def problems(said: Play | None = None) -> dict[str, str]:
    """The messages of ``status.yml`` by code and node."""
    output = (said or play(STATUS, "-e", "format=json")).output
    found = json.loads(output[output.index("\n{") : output.rindex("\n}") + 2])
    return {f"{one['code']} {one['node'] or ''}".strip(): one["message"] for one in found["problems"]}


def test_false_is_false_however_it_is_given(tmp_path: Path) -> None:
    """``-e name=false`` and a host's line of an INI inventory give text, which is true wherever it is not empty."""

    def asynchronous() -> str:
        lines = shell(PRIMARY, "cat", "/etc/pgbackrest/pgbackrest.conf").splitlines()
        return next(line for line in lines if line.startswith("archive-async="))

    for given_as, written in (("true", "y"), ("false", "n"), ("no", "n")):
        play("site.yml", "-e", f"pgbackrest_archive_async={given_as}")
        assert asynchronous() == f"archive-async={written}"
    assert play("site.yml").changed == 0
    more_about_them = tmp_path / "more.ini"
    lines = ("[postgres]", f"{PRIMARY} node_preferred_primary=true", f"{STANDBY} node_preferred_primary=false")
    more_about_them.write_text("\n".join(lines) + "\n")
    found = json_document(play(FAILOVER, "-i", str(more_about_them), "-e", "plan=json").output)
    assert (found["action"], found["message"]) == ("switchover", f"Hand over from {PRIMARY} to {STANDBY}.")


@pytest.mark.parametrize(("name", "value", "words"), REFUSED, ids=[f"{name}={value}" for name, value, _ in REFUSED])
def test_what_is_refused_replaces_nothing(name: str, value: object, words: str) -> None:
    before = {node: files(node) for node in (*NODES, REPOSITORY)}
    said = play("site.yml", "-e", given(name, value), expect=2).text
    assert words in said
    assert f"Correct {name}" in said
    assert {node: files(node) for node in (*NODES, REPOSITORY)} == before


def of_pgbackrest() -> dict[str, str]:
    """By node, what pgBackRest reads there."""
    return {node: shell(node, "sha256sum", "/etc/pgbackrest/pgbackrest.conf") for node in (*NODES, REPOSITORY)}


def test_a_configuration_with_which_nothing_is_archived_is_taken_back() -> None:
    """pgBackRest takes it: by that limit it drops all WAL, and says that it was archived."""
    before = of_pgbackrest()
    dropping = given("pgbackrest_options", {"archive-push-queue-max": "1MB"})
    failed = play("site.yml", "-e", dropping, "-e", "pgbackrest_archive_timeout=10", expect=2)
    assert "With its new configuration pgBackRest does not archive: " in failed.text
    assert "With it the cluster archives again. Correct what is new, then run this again." in failed.text
    assert all(node in failed.text.partition("The files of before are back on ")[2] for node in before)
    assert of_pgbackrest() == before
    # What was dropped meanwhile, and nothing else.
    assert play("site.yml").changed <= 1
    assert play("site.yml").changed == 0
    nothing_needs_attention()


def test_what_a_run_that_was_cut_off_has_installed_is_taken_back_by_the_next() -> None:
    before = of_pgbackrest()
    dropping = (given("pgbackrest_options", {"archive-push-queue-max": "1MB"}), "-e", "pgbackrest_archive_timeout=10")
    killed_play("site.yml", "Let the server read its configuration", "-e", *dropping)
    assert of_pgbackrest() != before
    assert "The files of before are back on " in play("site.yml", "-e", *dropping, expect=2).text
    assert of_pgbackrest() == before
    play("site.yml")
    nothing_needs_attention()


def test_a_library_that_is_not_installed_restarts_nobody_and_is_said_again() -> None:
    since = {node: psql(node, "SELECT pg_postmaster_start_time()") for node in NODES}
    library = given("postgresql_parameters", {"shared_preload_libraries": "pg_cron"})
    for _run in range(2):
        failed = play("site.yml", "-e", library, "-e", "restart=true", expect=2)
        assert 'could not access file "pg_cron": No such file or directory' in failed.text
    assert {node: psql(node, "SELECT pg_postmaster_start_time()") for node in NODES} == since
    assert play("site.yml").changed == 0
    nothing_needs_attention()


def test_what_a_killed_run_has_written_is_named_and_finished() -> None:
    wanted = given("postgresql_parameters", {"work_mem": "5MB"})
    killed_play("site.yml", "Install the start guard", "-e", wanted)
    assert setting(PRIMARY, "work_mem") == "4MB"
    assert {f"reload-pending {node}" for node in NODES} <= set(problems())
    play("site.yml", "-e", wanted)
    assert {setting(node, "work_mem") for node in NODES} == {"5MB"}
    assert play("site.yml", "-e", wanted).changed == 0
    nothing_needs_attention()
    # A file that somebody has broken, on one node.
    shell(STANDBY, "sh", "-c", "echo 'host all all 10.0.0.0/33 md5' >> /etc/relevo/pg_hba.conf")
    found = problems()
    assert 'invalid CIDR mask in address "10.0.0.0/33"' in found[f"configuration-refused {STANDBY}"]
    assert "pg_hba.conf" in found["configuration-differs"]
    play("site.yml")
    nothing_needs_attention()


def test_what_a_killed_run_has_written_for_redis_is_read_at_the_next() -> None:
    """The sibling that nobody can ask: its next run writes nothing, and notifies nobody."""
    wanted = given("redis_maxmemory", "64mb")

    def maxmemory() -> str:
        return shell(REDIS, "sh", "-c", ASK_REDIS).split()[-1]

    killed_play("site.yml", "See whether Redis has read its configuration", "-e", wanted)
    assert maxmemory() == "0"
    play("site.yml", "-e", wanted)
    assert maxmemory() == str(64 * 2**20)
    assert play("site.yml", "-e", wanted).changed == 0
    play("site.yml")
    assert maxmemory() == "0"


def starts(node: str) -> list[str]:
    """When the server of this node was started, by its log; each as text that is in the order of time."""
    found = shell(node, "sh", "-c", "grep -h 'starting PostgreSQL' /var/lib/postgresql/log/*.log")
    return sorted(line[:23] for line in found.splitlines())


def restarted(*wanted: str) -> list[str]:
    """Restart the servers for these settings; returns whose server was started, in that order."""
    before = {node: starts(node) for node in NODES}
    play("site.yml", *wanted, "-e", "restart=true")
    order = sorted((moment, node) for node in NODES for moment in starts(node)[len(before[node]) :])
    return [node for _moment, node in order]


def test_lowered_and_raised_values_reach_both_in_one_restart() -> None:
    wanted = given("postgresql_parameters", {"max_connections": 50, "max_worker_processes": 12})
    with Writer() as writer, NeverTwo():
        more(writer)
        # What is raised a standby needs before its primary has it, what is lowered only after it.
        assert restarted("-e", wanted) == [STANDBY, PRIMARY, STANDBY]
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    for node in NODES:
        assert (setting(node, "max_connections"), setting(node, "max_worker_processes")) == ("50", "12")
    wait_until_streaming(PRIMARY)
    assert play("site.yml", "-e", wanted, "-e", "restart=true").changed == 0
    nothing_needs_attention()


@pytest.mark.parametrize(
    ("connections", "order"), [(60, [STANDBY, PRIMARY]), (50, [PRIMARY, STANDBY])], ids=["raised", "lowered"]
)
def test_who_is_restarted_first_is_who_may_have_the_greater_value(connections: int, order: list[str]) -> None:
    """A standby with less than its primary does not start, and stops its replay where it runs."""
    wanted = given("postgresql_parameters", {"max_connections": connections, "max_worker_processes": 12})
    assert restarted("-e", wanted) == order
    assert {setting(node, "max_connections") for node in NODES} == {str(connections)}
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()


def test_an_old_primary_starts_with_the_greater_value() -> None:
    wanted = given("postgresql_parameters", {"max_connections": 40, "max_worker_processes": 12})
    lowered = play("site.yml", "-e", wanted)
    assert f"{PRIMARY} must be restarted for max_connections" in lowered.text
    assert play("site.yml", "-e", wanted).changed == 0
    play(FAILOVER)
    wait_until_streaming(STANDBY)
    # What the new primary has until it is restarted.
    assert {setting(node, "max_connections") for node in NODES} == {"50"}
    assert "max_connections" in problems()[f"restart-pending {STANDBY}"]
    play("site.yml", "-e", wanted, "-e", "restart=true")
    assert {setting(node, "max_connections") for node in NODES} == {"40"}
    wait_until_streaming(STANDBY)
    play(FAILBACK)
    play("site.yml", "-e", "restart=true")
    assert {setting(node, "max_connections") for node in NODES} == {"100"}
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()


def test_what_only_a_start_shows_is_taken_back() -> None:
    since = psql(PRIMARY, "SELECT pg_postmaster_start_time()")
    much = given("postgresql_parameters", {"shared_buffers": "4000GB"})
    with Writer() as writer, NeverTwo():
        more(writer)
        failed = play("site.yml", "-e", much, "-e", "restart=true", expect=2)
        assert "did not come up with the new shared_buffers: could not map anonymous shared memory" in failed.text
        assert f"{PRIMARY} was not restarted" in failed.text
        assert takes_writes(PRIMARY)
        assert psql(PRIMARY, "SELECT pg_postmaster_start_time()") == since
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    # Both would come up again as they are.
    for node in NODES:
        assert "4000GB" not in shell(node, "cat", "/etc/relevo/postgresql.conf")
        assert setting(node, "shared_buffers") == "128MB"
    wait_until_streaming(PRIMARY)
    assert play("site.yml").changed == 0
    nothing_needs_attention()


@pytest.fixture
def alone() -> Iterator[Path]:
    """A cluster of one server: nothing shows beforehand on a standby what it does not start with."""
    described = inventory(ALONE, FIRST_PORT + 60)
    content = yaml.safe_load(described.read_text())
    del content["all"]["children"]["postgres"]["hosts"][f"{ALONE}_standby"]
    described.write_text(yaml.safe_dump(content))
    play("playbooks/down.yml", "-e", "down_data=true", inventory=described)
    play("site.yml", inventory=described)
    yield described
    play("playbooks/down.yml", "-e", "down_data=true", inventory=described)


def test_a_server_without_any_standby_gets_its_files_back_and_is_started(alone: Path) -> None:
    node = f"{ALONE}_primary"
    much = given("postgresql_parameters", {"shared_buffers": "4000GB"})
    failed = play("site.yml", "-e", much, "-e", "restart=true", inventory=alone, expect=2)
    assert "did not come up with the new shared_buffers: could not map anonymous shared memory" in failed.text
    assert "It runs again with what it had before." in failed.text
    assert psql(node, "SELECT pg_is_in_recovery()") == "f"
    assert setting(node, "shared_buffers") == "128MB"
    assert "4000GB" not in shell(node, "cat", "/etc/relevo/postgresql.conf")
    assert play("site.yml", inventory=alone).changed == 0


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
