"""Tables, or a database, of a past moment back on the primary: beside what is there, or in its place."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from cluster import (
    PRIMARY,
    REPOSITORY,
    STANDBY,
    STATUS,
    Play,
    archive_all,
    killed_play,
    nothing_needs_attention,
    play,
    psql,
    shell,
)
from restores import RESTORE, now, scratch_instances

DATABASE = "shop"
INCOMING = "/var/lib/postgresql/restore"

#: Whatever belongs to a table, and names that need quotes.
MADE = """
CREATE TYPE mood AS ENUM ('ok', 'bad');
CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
CREATE TABLE orders (
  id serial PRIMARY KEY, customer int REFERENCES customers, mood mood DEFAULT 'ok', amount numeric CHECK (amount > 0),
  twice numeric GENERATED ALWAYS AS (amount * 2) STORED);
CREATE SEQUENCE down INCREMENT -1 OWNED BY orders.amount;
SELECT setval('down', -10);
CREATE SEQUENCE zero MINVALUE -5 OWNED BY orders.amount;
SELECT setval('zero', 0);
CREATE INDEX ON orders (amount);
CREATE STATISTICS of_orders ON customer, amount FROM orders;
ALTER TABLE orders OWNER TO imdb;
GRANT SELECT ON orders TO pg_monitor;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."a ""b" ("C d" int);
CREATE TABLE events (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
CREATE TABLE pictures (id int, image oid);
CREATE VIEW big AS SELECT * FROM orders WHERE amount > 90;
INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 10) i;
INSERT INTO orders (customer, amount) SELECT 1 + i % 10, i FROM generate_series(1, 100) i;
INSERT INTO "Odd Schema"."a ""b" VALUES (7);
INSERT INTO events SELECT date '2026-01-01' + i, i FROM generate_series(0, 299) i;
INSERT INTO pictures VALUES (1, lo_from_bytea(0, 'a picture'));
"""
EVERYTHING = ["public.customers", "public.orders", 'public."events"', '"Odd Schema"."a ""b"']


@pytest.fixture(scope="module")
def moment() -> Iterator[str]:
    """A moment at which all of it was there; two seconds later it is as it is now."""
    psql(PRIMARY, f"CREATE DATABASE {DATABASE}", "postgres")
    try:
        psql(PRIMARY, MADE, DATABASE)
        play("backup.yml")
        yield now()
    finally:
        for name in databases():
            psql(PRIMARY, f"DROP DATABASE {name} WITH (FORCE)", "postgres")
        for name in scratch_instances():
            play(RESTORE, "-e", f"remove={name}")


@pytest.fixture
def shop(moment: str) -> str:
    """The same with commits after the moment, and archived."""
    time.sleep(0.1)
    psql(PRIMARY, "INSERT INTO orders (customer, amount) VALUES (1, 1000)", DATABASE)
    archive_all()
    return moment


def databases() -> list[str]:
    return psql(PRIMARY, f"SELECT datname FROM pg_database WHERE datname LIKE '{DATABASE}%'", "postgres").split()


def restored() -> list[str]:
    return psql(PRIMARY, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'restored%'", DATABASE).split()


def restore(moment: str, *arguments: str, tables: list[str] | None = None, expect: int = 0) -> Play:
    given = json.dumps({"database": DATABASE, "tables": tables or []})
    return play(RESTORE, "-e", f"target={moment}", "-e", given, *arguments, expect=expect)


def counts(schema: str, *names: str) -> list[int]:
    return [int(psql(PRIMARY, f"SELECT count(*) FROM {schema}.{name}", DATABASE)) for name in names]


def test_dropped_tables_come_back_beside(shop: str) -> None:
    psql(PRIMARY, 'DROP TABLE "Odd Schema"."a ""b"; UPDATE customers SET name = \'lost\'', DATABASE)
    done = restore(shop, tables=EVERYTHING)
    assert "public.orders" in done.text
    [schema] = restored()
    assert schema == "restored_" + shop[:19].replace("-", "").replace(":", "").replace("T", "_")
    assert counts(schema, "orders", "customers", "events", "events_2", '"a ""b"') == [100, 10, 300, 119, 1]
    # What is there now is not touched, and what belongs to a table has come along.
    assert psql(PRIMARY, "SELECT DISTINCT name FROM customers", DATABASE) == "lost"
    assert psql(PRIMARY, f"SELECT sum(twice) FROM {schema}.orders", DATABASE) == "10100"
    assert psql(PRIMARY, f"INSERT INTO {schema}.orders (amount) VALUES (1) RETURNING id > 100", DATABASE).startswith(
        "t"
    )
    belongs = psql(
        PRIMARY, f"SELECT tableowner FROM pg_tables WHERE schemaname = '{schema}' AND tablename = 'orders'", DATABASE
    )
    assert belongs == "imdb"
    assert (
        psql(
            PRIMARY,
            f"SELECT count(*) FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace AND contype = 'f'",
            DATABASE,
        )
        == "1"
    )
    assert (
        psql(PRIMARY, f"SELECT count(*) FROM pg_statistic_ext WHERE stxnamespace = '{schema}'::regnamespace", DATABASE)
        == "1"
    )
    assert psql(PRIMARY, f"SELECT has_table_privilege('pg_monitor', '{schema}.orders', 'SELECT')", DATABASE) == "t"
    # Nothing is left but what was asked for.
    assert scratch_instances() == []
    assert shell(PRIMARY, "find", INCOMING, "-type", "f") == ""
    nothing_needs_attention()
    again = restore(shop, tables=EVERYTHING)
    assert "already there, in the schema" in again.text
    assert again.changed == 0
    psql(PRIMARY, f"DROP SCHEMA {schema} CASCADE", DATABASE)


@pytest.mark.long
def test_tables_in_place_of_what_is_there(shop: str) -> None:
    """Rows of those that are there, whose triggers, views and sequences stay; all of those that are gone."""
    psql(
        PRIMARY,
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.amount := 1; RETURN NEW; END';"
        "CREATE TRIGGER spoil BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION spoil();"
        "CREATE TRIGGER idle BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION spoil();"
        "ALTER TABLE orders DISABLE TRIGGER idle; DELETE FROM orders WHERE id < 50; DROP TABLE events;"
        "SELECT setval('orders_id_seq', 5000), setval('down', -5000), setval('zero', -3)",
        DATABASE,
    )
    unconfirmed = restore(shop, "-e", "into=original", tables=EVERYTHING[:3], expect=2)
    assert "Confirm it: -e confirm=main" in unconfirmed.text
    assert scratch_instances() == []
    assert counts("public", "orders")[0] < 100
    # Foreign keys of a table that was not named lead to it.
    alone = restore(
        shop, "-e", "into=original", "-e", "confirm=main", "-e", "keep=true", tables=["public.customers"], expect=2
    )
    assert "Foreign keys of orders lead to public.customers" in alone.text
    # Somebody reads it, and does not end.
    reader = "BEGIN; SELECT count(*) FROM orders; SELECT pg_sleep(100)"
    shell(PRIMARY, "sh", "-c", f"psql -U root -d {DATABASE} -Xc '{reader}' >/dev/null 2>&1 &")
    given = ("-e", "into=original", "-e", "confirm=main", "-e", "keep=true")
    held = restore(shop, *given, "-e", "restore_lock_timeout=2", tables=EVERYTHING[:3], expect=2)
    assert "Somebody works on these tables" in held.text
    psql(
        PRIMARY,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' "
        "AND pid <> pg_backend_pid()",
    )
    before = counts("public", "orders", "customers")
    assert before[0] < 100
    restore(shop, *given, tables=EVERYTHING[:3])
    assert counts("public", "orders", "customers", "events", "events_1") == [100, 10, 300, 181]
    assert psql(PRIMARY, "SELECT sum(amount) FROM orders", DATABASE) == "5050"
    assert psql(PRIMARY, "SELECT count(*) FROM big", DATABASE) == "10"
    assert psql(PRIMARY, "SELECT nextval('orders_id_seq')", DATABASE) == "5001"
    assert psql(PRIMARY, "SELECT nextval('down')", DATABASE) == "-5001"
    assert psql(PRIMARY, "SELECT nextval('zero')", DATABASE) == "1"
    assert (
        psql(
            PRIMARY,
            "SELECT string_agg(concat(tgname, tgenabled), ' ' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal",
            DATABASE,
        )
        == "idleD spoilO"
    )
    # It was kept, and can be used by its name.
    [name] = scratch_instances()
    named = (
        "-e",
        f"scratch={name}",
        "-e",
        f"database={DATABASE}",
        "-e",
        "tables=public.customers",
        "-e",
        "into=looked_at",
    )
    play(RESTORE, *named)
    assert counts("looked_at", "customers") == [10]
    assert scratch_instances() == [name]
    psql(PRIMARY, "DROP SCHEMA looked_at CASCADE; DROP TRIGGER spoil ON orders", DATABASE)
    play(RESTORE, "-e", f"remove={name}")


#: Foreign keys in a circle, and from and onto partitions: no order of the tables would do.
CIRCLE = """
CREATE TABLE owners (id int PRIMARY KEY);
CREATE TABLE lists (id int PRIMARY KEY, up int REFERENCES lists) PARTITION BY RANGE (id);
CREATE TABLE lists_1 PARTITION OF lists FOR VALUES FROM (0) TO (10);
CREATE TABLE lists_2 PARTITION OF lists FOR VALUES FROM (10) TO (20);
CREATE TABLE heads (id int PRIMARY KEY, tail int, list int REFERENCES lists);
CREATE TABLE tails (id int PRIMARY KEY, head int REFERENCES heads DEFERRABLE, owner int REFERENCES owners);
ALTER TABLE heads ADD CONSTRAINT to_tail FOREIGN KEY (tail) REFERENCES tails;
COMMENT ON CONSTRAINT to_tail ON heads IS 'somebody wrote it';
INSERT INTO owners VALUES (3);
INSERT INTO lists VALUES (15, NULL), (5, 15);
INSERT INTO heads VALUES (1, NULL, 15);
INSERT INTO tails VALUES (2, 1, 3);
UPDATE heads SET tail = 2;
"""
#: All that the catalog says of them.
KEYS = """
SELECT jsonb_agg(to_jsonb(k) ORDER BY k.oid) || jsonb_agg(obj_description(k.oid) ORDER BY k.oid) ||
  (SELECT jsonb_agg(to_jsonb(t) ORDER BY t.oid) FROM pg_trigger t WHERE t.tgconstraint <> 0)
FROM pg_constraint k WHERE k.contype = 'f'
"""


@pytest.mark.long
def test_foreign_keys_among_the_tables_are_checked_when_all_rows_are_there(shop: str) -> None:
    psql(PRIMARY, CIRCLE, DATABASE)
    try:
        archive_all()
        named = ["public.heads", "public.lists", "public.tails"]
        rows = (
            "SELECT (SELECT array_agg(id ORDER BY id) FROM lists), (SELECT array_agg(h) FROM heads h), "
            "(SELECT array_agg(t) FROM tails t)"
        )
        then = psql(PRIMARY, rows, DATABASE)
        latest = ("-e", "target_type=latest", "-e", "scratch=circle")
        given = json.dumps({"database": DATABASE, "tables": named})
        play(RESTORE, *latest, "-e", given, "-e", "into=beside_it")
        # What is beside has keys of its own.
        keys = psql(PRIMARY, KEYS, DATABASE)
        psql(PRIMARY, "UPDATE heads SET tail = NULL; DELETE FROM tails; DELETE FROM lists WHERE id = 5", DATABASE)
        replaced = ("-e", "scratch=circle", "-e", "into=original", "-e", "confirm=main", "-e", given)
        play(RESTORE, *replaced)
        assert psql(PRIMARY, rows, DATABASE) == then
        assert psql(PRIMARY, KEYS, DATABASE) == keys
        # One that leads elsewhere, to a row that is gone.
        psql(PRIMARY, "UPDATE tails SET owner = NULL; DELETE FROM owners", DATABASE)
        now = psql(PRIMARY, rows, DATABASE)
        assert "name that table, too" in play(RESTORE, *replaced, expect=2).text
        assert psql(PRIMARY, rows, DATABASE) == now
        # One among them that is younger than these rows.
        younger = "ALTER TABLE tails ADD CONSTRAINT younger FOREIGN KEY (id) REFERENCES heads"
        psql(PRIMARY, f"INSERT INTO owners VALUES (3); TRUNCATE heads, lists, tails; {younger}", DATABASE)
        keys = psql(PRIMARY, KEYS, DATABASE)
        refused = play(RESTORE, *replaced, expect=2).text
        assert '"younger"' in refused
        assert "add it again as NOT VALID" in refused
        assert counts("public", "heads", "lists", "tails") == [0, 0, 0]
        assert psql(PRIMARY, KEYS, DATABASE) == keys
        play(RESTORE, "-e", "remove=circle")
    finally:
        left = "DROP TABLE IF EXISTS heads, lists, tails, owners CASCADE; DROP SCHEMA IF EXISTS beside_it CASCADE"
        psql(PRIMARY, left, DATABASE)


@pytest.mark.long
def test_a_database_comes_back_beside_and_a_killed_load_is_run_again(shop: str) -> None:
    killed_play(RESTORE, "Load it in one transaction", "-e", f"target={shop}", "-e", f"database={DATABASE}")
    # The controller is gone, and what runs on the node ends by itself, or not: nothing is half there.
    said = play(STATUS).text
    [name] = scratch_instances()
    assert f"Scratch instance {name}" in said
    restore(shop)
    [copy] = [one for one in databases() if one != DATABASE]
    assert copy.startswith("shop_restored_")
    assert psql(PRIMARY, "SELECT convert_from(lo_get(image), 'UTF8') FROM pictures", copy) == "a picture"
    assert psql(PRIMARY, "SELECT count(*) FROM big", copy) == "10"
    assert psql(PRIMARY, f"SELECT has_database_privilege('imdb', '{copy}', 'CONNECT')") == "f"
    assert scratch_instances() == []
    assert shell(PRIMARY, "find", INCOMING, "-type", "f") == ""
    nothing_needs_attention()


@pytest.mark.long
def test_what_was_left_of_a_load_is_named_and_goes(shop: str) -> None:
    psql(PRIMARY, "CREATE DATABASE shop_left", "postgres")
    psql(PRIMARY, "COMMENT ON DATABASE shop_left IS 'relevo: this restore has not ended'", "postgres")
    shell(PRIMARY, "sh", "-c", f"install -d -o postgres -m 700 {INCOMING} && touch {INCOMING}/whole.dump")
    assert "was cut off" in play(STATUS).text
    restore(shop, "-e", "into=shop_again")
    assert sorted(databases())[:2] == ["shop", "shop_again"]
    assert "shop_left" not in databases()
    nothing_needs_attention()


@pytest.mark.long
def test_what_cannot_be_restored_alone_is_refused_before_the_primary_is_touched(shop: str) -> None:
    """One scratch instance for all of them: it stays."""
    changed = "DROP VIEW big; ALTER TABLE orders ALTER mood DROP DEFAULT, ALTER mood TYPE text; DROP TYPE mood"
    psql(PRIMARY, changed, DATABASE)
    restore(shop, "-e", "scratch=kept", tables=["public.customers"])
    refused = {
        "public.pictures": "refers to large objects (image)",
        "public.big": "public.big is a view",
        "public.nothing": "There was no table public.nothing in shop at that moment",
        "public.orders": 'type "public.mood" does not exist',
    }
    for table, words in refused.items():
        given = ("-e", "scratch=kept", "-e", f"database={DATABASE}", "-e", f"tables={table}", "-e", "into=another")
        assert words in play(RESTORE, *given, expect=2).text
    replaced = ("-e", "scratch=kept", "-e", f"database={DATABASE}", "-e", "tables=public.orders", "-e", "into=original")
    assert "mood was mood and is text" in play(RESTORE, *replaced, "-e", "confirm=main", expect=2).text
    assert psql(PRIMARY, "SELECT to_regnamespace('another') IS NULL", DATABASE) == "t"
    # The tables of the scratch instance are where they were.
    port = shell(REPOSITORY, "sh", "-c", "ls /var/run/postgresql/.s.PGSQL.* | sed 's/.*PGSQL.//; /lock/d'").split()[0]
    there = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert shell(REPOSITORY, "psql", "-p", port, "-d", DATABASE, "-XAtc", there, user="postgres").strip() == "6"
    assert psql(STANDBY, "SELECT pg_is_in_recovery()") == "t"
    play(RESTORE, "-e", "remove=kept")
