"""What applications have on a cluster and WAL does not carry: a hand-over survives it, names it, and loses none of it
without a word.

Logical consumers and slots, the slots of other programs, unlogged tables, tablespaces, dumps with large objects.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    PRIMARY,
    REJOIN,
    ROOT,
    STANDBY,
    STATUS,
    Play,
    controller_environment,
    docker,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    shell,
    wait_until,
)
from disasters import lose

LOGICAL = ("-e", json.dumps({"postgresql_parameters": {"wal_level": "logical"}}))
SYNCHRONISED = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'kept' AND synced AND NOT temporary"
#: A consumer that its owner has forgotten in a debugger.
STUCK = "pg_recvlogical --dbname=imdb --slot=stuck --start --no-loop --file=/dev/null"


@pytest.fixture
def logical(unharmed: bool) -> None:
    """Logical decoding, and with it the synchronisation of failover slots, after one run each: on a new one, too."""
    if {psql(node, "SHOW wal_level") for node in (PRIMARY, STANDBY)} == {"logical"}:
        return
    play("site.yml", *LOGICAL, "-e", "restart=true")
    assert psql(PRIMARY, "SHOW wal_level") == "logical"
    assert psql(STANDBY, "SHOW wal_level") == "logical"
    assert psql(STANDBY, "SHOW sync_replication_slots") == "on"
    assert psql(STANDBY, "SHOW hot_standby_feedback") == "on"
    assert play("site.yml", *LOGICAL).changed == 0


@contextmanager
def stuck_consumer(node: str) -> Iterator[None]:
    """One that reads no more, with so much to read that its sender is blocked in a write."""
    psql(node, "SELECT pg_create_logical_replication_slot('stuck', 'test_decoding')")
    docker("exec", "-d", "-u", "postgres", node, *STUCK.split())
    active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'stuck' AND active"
    wait_until(lambda: psql(node, active) == "1", "the consumer to read", 20)
    shell(node, "pkill", "-STOP", "pg_recvlogical")
    psql(node, "CREATE TABLE much AS SELECT repeat('x', 900) AS t FROM generate_series(1, 20000)")
    yield
    shell(node, "pkill", "-KILL", "pg_recvlogical")


def read_until_synchronised(primary: str, standby: str) -> None:
    """Be the slot's consumer: what a new copy would begin with must lie behind what that has confirmed."""
    read = "SELECT count(*) FROM pg_log_standby_snapshot(), pg_logical_slot_get_changes('kept', NULL, NULL)"

    def synchronised() -> bool:
        psql(primary, read)
        return psql(standby, SYNCHRONISED) == "1"

    wait_until(synchronised, f"{standby} to synchronise the failover slot", 90)


def slots(node: str) -> set[str]:
    ours = "SELECT slot_name FROM pg_replication_slots WHERE slot_name IN ('kept', 'plain', 'stuck', 'barman')"
    return set(psql(node, ours).split())


def drop_slots(node: str, *names: str) -> None:
    for name in names:
        psql(node, f"SELECT pg_drop_replication_slot('{name}')")


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "logical")
def test_what_does_not_move_with_the_role_is_named_and_what_can_move_does() -> None:
    psql(PRIMARY, "CREATE UNLOGGED TABLE IF NOT EXISTS cache AS SELECT 1 AS x")
    psql(PRIMARY, "CREATE UNLOGGED TABLE IF NOT EXISTS elsewhere AS SELECT 1 AS x", dbname="postgres")
    psql(PRIMARY, "SELECT pg_create_logical_replication_slot('kept', 'test_decoding', false, false, true)")
    psql(PRIMARY, "SELECT pg_create_logical_replication_slot('plain', 'test_decoding')")
    psql(PRIMARY, "SELECT pg_create_physical_replication_slot('barman', true)")
    read_until_synchronised(PRIMARY, STANDBY)
    with Writer() as writer, NeverTwo(), stuck_consumer(PRIMARY):
        more(writer)
        shown = play(FAILOVER, "-e", "plan=text").text
        for part in (
            "The logical slot plain (database imdb) stays behind",
            "The logical slot stuck (database imdb) stays behind",
            "The slot barman, which is not one of this cluster's standbys, stays behind",
            f"The unlogged tables will be empty on {STANDBY}, since their rows are in no WAL: imdb: public.cache; "
            "postgres: public.elsewhere",
        ):
            assert part in shown
        assert "slot kept" not in shown

        writer.longest_outage = 0
        done = play(FAILOVER).text
        more(writer)
        # Alone it is a fraction of this. A consumer that is waited for costs the whole window of 3 s.
        assert writer.longest_outage < 2.5
        assert "The logical consumer pg_recvlogical (slot stuck) had not confirmed" in done
        assert "The slot barman, which is not" in done
        assert "public.cache" in done
    assert missing(rows_of(STANDBY), writer.acknowledged) == []
    assert psql(STANDBY, "SELECT count(*) FROM cache") == "0"

    # The failover slot has come along, decodes what was written since, and the old primary has a copy of it now.
    assert slots(STANDBY) == {"kept"}
    psql(STANDBY, "INSERT INTO trial (id) VALUES (-1)")
    decoded = "SELECT count(*) FROM pg_logical_slot_get_changes('kept', NULL, NULL) WHERE data LIKE '%id[bigint]:-1 %'"
    assert psql(STANDBY, decoded) == "1"
    read_until_synchronised(STANDBY, PRIMARY)
    said = play(STATUS).text
    for name in ("plain", "stuck", "barman"):
        assert f"The slot {name} on {PRIMARY}, a standby, keeps WAL there for nobody" in said
    drop_slots(PRIMARY, "plain", "stuck", "barman")
    psql(STANDBY, "DROP TABLE much")
    complaints = [line for line in play(STATUS).output.splitlines() if line.startswith("!")]
    assert all("The slot kept" in line for line in complaints), "nobody reads from it, and nothing else is wrong"

    # And in an emergency.
    psql(STANDBY, "INSERT INTO cache VALUES (2); ANALYZE cache")
    psql(STANDBY, "INSERT INTO trial (id) VALUES (-2)")
    docker("kill", STANDBY)
    assert f"Of the logical slots of {STANDBY}, {PRIMARY} has kept; any other is lost." in (
        play(FAILOVER, "-e", "plan=text").text
    )
    assert "public.cache" in play(FAILOVER).text
    assert psql(PRIMARY, decoded.replace("-1", "-2")) == "1"
    play(REJOIN)
    wait_until_streaming(PRIMARY)
    read_until_synchronised(PRIMARY, STANDBY)
    drop_slots(PRIMARY, "kept")
    psql(PRIMARY, "DROP TABLE cache; DELETE FROM trial WHERE id < 0")
    psql(PRIMARY, "DROP TABLE elsewhere", dbname="postgres")
    wait_until(lambda: slots(STANDBY) == set(), "the copy of the slot to go", 60)
    nothing_needs_attention()


#: Audits of logins are written so. On a standby it fails, and with it the login of whom it is not turned off for; and
#: that of whoever may not write there, as our roles may not. The application may.
AT_LOGIN = """
CREATE TABLE logins (at timestamptz);
GRANT INSERT ON logins TO imdb;
CREATE FUNCTION note_login() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO logins VALUES (now()); END';
CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION note_login();
ALTER EVENT TRIGGER at_login ENABLE ALWAYS;
"""


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "logical")
def test_a_trigger_at_login_that_writes_refuses_none_of_our_sessions() -> None:
    databases = ("postgres", "imdb")
    for database in databases:
        psql(PRIMARY, AT_LOGIN, dbname=database)
    try:
        wait_until_streaming(PRIMARY)
        refused = shell(STANDBY, "sh", "-c", "! psql -U root -d postgres -XAtc 'SELECT 1' 2>&1")
        assert "read-only transaction" in refused
        play("site.yml", *LOGICAL)
        play(FAILOVER)
        play(FAILBACK)
        play(REJOIN)
        play("backup.yml")
        nothing_needs_attention()
        assert int(psql(PRIMARY, "SELECT count(*) FROM logins", dbname="postgres")) > 0
    finally:
        for database in databases:
            psql(PRIMARY, "DROP EVENT TRIGGER at_login; DROP FUNCTION note_login; DROP TABLE logins", dbname=database)
    wait_until_streaming(PRIMARY)


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "logical")
def test_a_restart_ends_a_consumer_that_never_confirms() -> None:
    settings = json.dumps({"postgresql_parameters": {"wal_level": "logical", "max_connections": 110}})
    with Writer() as writer, NeverTwo(), stuck_consumer(PRIMARY):
        more(writer)
        restarted = play("site.yml", "-e", settings, "-e", "restart=true")
        assert "(slot stuck) had not confirmed within 1 s what it was sent; its connection was ended" in restarted.text
        assert psql(PRIMARY, "SHOW max_connections") == "110"
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    drop_slots(PRIMARY, "stuck")
    psql(PRIMARY, "DROP TABLE much")
    play("site.yml", *LOGICAL, "-e", "restart=true")
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "logical")
def test_a_failback_ends_a_consumer_that_reads_wal_as_well() -> None:
    """The sibling: one that streams WAL itself, like pg_receivewal, holds the old server's end instead."""
    play(FAILOVER)
    psql(STANDBY, "SELECT pg_create_physical_replication_slot('barman', true)")
    source = (
        f"host={STANDBY} user=relevo_replication passfile=/etc/relevo/pgpass sslmode=verify-full "
        "sslrootcert=/etc/relevo/tls/ca.crt application_name=barman"
    )
    shell(STANDBY, "install", "-d", "-o", "postgres", "/tmp/wal")
    reader = ["pg_receivewal", "--slot=barman", "--directory=/tmp/wal", f"--dbname={source}"]
    docker("exec", "-d", "-u", "postgres", STANDBY, *reader)
    active = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'barman' AND active"
    wait_until(lambda: psql(STANDBY, active) == "1", "pg_receivewal to read", 20)
    shell(STANDBY, "pkill", "-STOP", "pg_receivewal")
    done = play(FAILBACK)
    # Before the window where it has been silent for long enough, in it otherwise.
    ended = (
        "barman had not confirmed the last WAL; its connection was ended.",
        "barman does not answer; its connection was",
    )
    assert any(sentence in done.text for sentence in ended)
    assert "The archiver" not in done.text
    assert done.seconds < 120
    shell(STANDBY, "pkill", "-KILL", "pg_receivewal")
    drop_slots(STANDBY, "barman")
    nothing_needs_attention()


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_a_tablespace_that_a_node_lacks_is_asked_for_before_anything_is_copied() -> None:
    shell(PRIMARY, "install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", "/srv/fast")
    psql(PRIMARY, "CREATE TABLESPACE fast LOCATION '/srv/fast'")
    psql(PRIMARY, "CREATE TABLE placed TABLESPACE fast AS SELECT 1 AS x")
    # Its replay ends the standby.
    wait_until(lambda: not answers(STANDBY), "the standby to end", 60)
    failed = play(REJOIN, expect=2)
    assert "/srv/fast of the tablespace fast is missing there (install -d -o postgres -g postgres -m 700" in failed.text
    assert "pgbackrest failed" not in failed.text
    assert failed.seconds < 120

    shell(STANDBY, "install", "-d", "-o", "postgres", "-g", "postgres", "-m", "700", "/srv/fast")
    play(REJOIN)
    wait_until_streaming(PRIMARY)
    assert psql(STANDBY, "SELECT x FROM placed") == "1"

    # A node that lost its data directory and not the tablespace's: a base backup wants that empty.
    lose(STANDBY)
    filled = play(REJOIN, expect=2)
    assert "/srv/fast of the tablespace fast is not empty there: move what it holds to another place" in filled.text
    assert "Its data was not changed." in filled.text
    assert filled.seconds < 120
    shell(STANDBY, "find", "/srv/fast", "-mindepth", "1", "-delete")
    play(REJOIN)
    wait_until_streaming(PRIMARY)
    assert psql(STANDBY, "SELECT x FROM placed") == "1"
    psql(PRIMARY, "DROP TABLE placed")
    psql(PRIMARY, "DROP TABLESPACE fast")
    nothing_needs_attention()


def answers(node: str) -> bool:
    done = subprocess.run(
        ["docker", "exec", node, "psql", "-U", "root", "-d", "imdb", "-XAtc", "SELECT 1"],
        capture_output=True,
        timeout=60,
    )
    return done.returncode == 0


def seed(path: str, database: str) -> str:
    """Load a file that is on the primary's node; returns what the module said."""
    arguments = json.dumps({"files": [{"path": path, "database": database}]})
    ansible = str(Path(sys.executable).with_name("ansible"))
    done = subprocess.run(
        [ansible, "-i", str(INVENTORY), PRIMARY, "-m", "relevo.postgres.pg_seed", "-a", arguments],
        cwd=ROOT,
        env=controller_environment()
        | {
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "kind", ["custom", pytest.param("plain", marks=pytest.mark.long), pytest.param("tar", marks=pytest.mark.long)]
)
def test_a_dump_with_large_objects_is_a_seed(kind: str) -> None:
    assert takes_writes(PRIMARY)
    for database in ("from_here", "to_there"):
        psql(PRIMARY, f"DROP DATABASE IF EXISTS {database}")
        psql(PRIMARY, f"CREATE DATABASE {database}")
    psql(
        PRIMARY,
        "CREATE TABLE t AS SELECT 1 AS x; SELECT lo_from_bytea(4711, '\\x01'); SELECT lo_from_bytea(4712, '\\x02')",
        dbname="from_here",
    )
    dump = f"/tmp/large.{kind}"
    shell(PRIMARY, "pg_dump", f"--format={kind}", f"--file={dump}", "from_here", user="postgres")
    said = seed(dump, "to_there")
    assert '"loaded": true' in said, said
    assert psql(PRIMARY, "SELECT lo_get(4711), lo_get(4712), x FROM t", dbname="to_there") == "\\x01|\\x02|1"

    # All or nothing: the same dump once more meets what is there, and leaves no record.
    shell(PRIMARY, "cp", dump, f"{dump}.again")
    assert "None of it was loaded" in seed(f"{dump}.again", "to_there")
    assert psql(PRIMARY, "SELECT count(*) FROM relevo_seed.loaded", dbname="to_there") == "1"
    for database in ("from_here", "to_there"):
        psql(PRIMARY, f"DROP DATABASE {database}")


def seeded(path: Path, *arguments: str, expect: int = 0) -> Play:
    """site.yml with this file of the controller as a seed of the application's database."""
    files = [{"path": str(path), "database": "imdb"}]
    return play("site.yml", *LOGICAL, "-e", json.dumps({"postgresql_seed_files": files}), *arguments, expect=expect)


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "logical")
def test_a_seed_in_a_vault_is_loaded_and_is_nowhere_in_the_clear(tmp_path: Path) -> None:
    word, file = tmp_path / "word", tmp_path / "vaulted.sql"
    word.write_text("a-word-for-the-vault\n")
    word.chmod(0o600)
    file.write_text("CREATE TABLE vaulted AS SELECT 'año-from-the-vault' AS said;\n")
    vault = str(Path(sys.executable).with_name("ansible-vault"))
    known = ("--vault-password-file", str(word))
    subprocess.run([vault, "encrypt", *known, str(file)], check=True, capture_output=True, timeout=60)
    # Before anything is loaded, and with what is missing.
    refused = seeded(file, expect=2)
    assert "is encrypted by ansible-vault and cannot be decrypted" in refused.text
    assert refused.changed == 0
    done = seeded(file, *known, "--diff")
    assert "from-the-vault" not in done.output
    assert psql(PRIMARY, "SELECT said FROM vaulted") == "año-from-the-vault"
    # It is known by what it says, also encrypted anew.
    subprocess.run([vault, "rekey", *known, "--new-vault-password-file", str(word), str(file)], check=True, timeout=60)
    assert seeded(file, *known).changed == 0
    file.write_text("CREATE TABLE vaulted AS SELECT 'año-from-the-vault' AS said;\n")
    assert seeded(file).changed == 0
    psql(PRIMARY, "DROP TABLE vaulted; DELETE FROM relevo_seed.loaded WHERE name = 'vaulted.sql'")


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "logical")
def test_a_seed_in_utf_16_is_refused_before_any_of_it_is_loaded(tmp_path: Path) -> None:
    """As an editor of Windows saves it."""
    file = tmp_path / "wide.sql"
    file.write_text("CREATE TABLE wide AS SELECT 'ñ' AS said;\n", encoding="utf-16")
    refused = seeded(file, expect=2)
    assert "is in UTF-16" in refused.text
    assert refused.changed == 0
    assert psql(PRIMARY, "SELECT to_regclass('wide') IS NULL") == "t"
    file.write_text(file.read_text(encoding="utf-16"), encoding="utf-8")
    assert seeded(file).changed == 1
    assert psql(PRIMARY, "SELECT said FROM wide") == "ñ"
    psql(PRIMARY, "DROP TABLE wide; DELETE FROM relevo_seed.loaded WHERE name = 'wide.sql'")


@pytest.mark.long
def test_a_dump_with_too_many_tables_is_told_the_servers_hint() -> None:
    script = (
        'for i in $(seq 1 20000); do echo "CREATE TABLE t$i (x text);"; done > /tmp/many.sql; chmod 644 /tmp/many.sql'
    )
    shell(PRIMARY, "sh", "-c", script)
    psql(PRIMARY, "CREATE DATABASE many")
    said = seed("/tmp/many.sql", "many")
    assert "The server's hint: You might need to increase" in said
    assert "max_locks_per_transaction" in said
    assert psql(PRIMARY, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", dbname="many") == "0"
    psql(PRIMARY, "DROP DATABASE many")


@pytest.mark.long
@pytest.mark.usefixtures("backed_up")
def test_a_dump_with_thousands_of_tables_hurts_nobody_beside_it() -> None:
    """As many as fill the table of locks, which all sessions share: they are all loaded, or none of them."""
    script = (
        'for i in $(seq 1 8000); do echo "CREATE TABLE t$i (x int);"; done > /tmp/thousands.sql; '
        "chmod 644 /tmp/thousands.sql"
    )
    shell(PRIMARY, "sh", "-c", script)
    psql(PRIMARY, "CREATE DATABASE thousands")
    with Writer() as writer:
        more(writer)
        said = seed("/tmp/thousands.sql", "thousands")
        more(writer)
    assert writer.trouble == ""
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    loaded = '"loaded": true' in said
    assert loaded or "The server's hint: You might need to increase" in said, said
    tables = psql(PRIMARY, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", dbname="thousands")
    assert tables == ("8000" if loaded else "0")
    psql(PRIMARY, "DROP DATABASE thousands")


def test_a_slot_of_a_node_that_is_left_on_a_standby_is_named_until_a_rejoin_drops_it() -> None:
    """As when it was in use at the moment in which the others were dropped."""
    psql(STANDBY, f"SELECT pg_create_physical_replication_slot('{PRIMARY}', true)")
    said = play(STATUS).text
    assert f"The slot {PRIMARY} on {STANDBY}, a standby, keeps WAL there for nobody" in said
    assert "Run rejoin.yml, which drops it." in said
    assert play(REJOIN).changed == 1
    assert psql(STANDBY, f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{PRIMARY}'") == "0"
    nothing_needs_attention()
