"""Tables out of a scratch instance: what is asked for, where it goes, and everything that is refused."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._names import UNFINISHED_RESTORE
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import Effect, OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._restore import tables, tables_check, tables_plan
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables import TableName, Wanted, parse_table
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_check import Living, Table
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_plan import Origin, Primary
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_source import incoming
from ansible_collections.relevo.postgres.plugins.module_utils._restore.tables_target import (
    Job,
    Target,
    create_database,
    failure_message,
)
from ansible_collections.relevo.postgres.plugins.module_utils._seed import Failure

ORDERS = Table(1, "public", "orders", "r", "p", False, True, "app", 10, {"id": "integer"}, rows=3)
AT = {"target_type": "time", "target": "2026-11-25 11:00:00.000000+00"}
PRIMARY = Primary("a", {"shop": "", "postgres": ""}, {"public": ""}, free=2**40)


# --- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("public.orders", ("public", "orders")),
        (" Public.Orders ", ("public", "orders")),
        ('public."Order Items"', ("public", "Order Items")),
        ('"My.Schema"."a ""b"""', ("My.Schema", 'a "b"')),
        ("public.order items", ("public", "order items")),
    ],
)
def test_a_table_is_named_as_in_sql(given: str, found: tuple[str, str]) -> None:
    assert parse_table(given) == TableName(*found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("orders", "Write public.orders"),
        ("a.b.c", "is not the name of a table"),
        ('public."orders', "is not the name of a table"),
        ("public.", "is not the name of a table"),
        ("pg_catalog.pg_class", "of PostgreSQL's own"),
    ],
)
def test_what_is_no_name_of_a_table_is_refused(given: str, words: str) -> None:
    with pytest.raises(RelevoError, match=words):
        parse_table(given)


def test_a_name_is_shown_as_it_is_typed() -> None:
    assert str(TableName("public", "orders")) == "public.orders"
    assert str(TableName("public", 'a "b"')) == 'public."a ""b"""'


@pytest.mark.parametrize(
    ("database", "names", "into", "words"),
    [
        ("", [], "", "no database was named"),
        ("", ["public.orders"], "", "given without a database"),
        ("", [], "copy", "into=copy was given without a database"),
        ("relevo", [], "", "holds nothing of yours"),
        ("shop", ["public.orders", "PUBLIC.orders"], "", "named twice"),
        ("shop", ["public.orders"], "Copy", "into=Copy"),
        ("shop", ["public.orders"], "pg_copy", "into=pg_copy"),
        ("shop", [], "original", "cannot be replaced in one transaction"),
    ],
)
def test_what_has_not_one_meaning_is_refused(database: str, names: list[str], into: str, words: str) -> None:
    with pytest.raises(RelevoError, match=words):
        Wanted.given(database, names, into)


def test_where_it_goes() -> None:
    one, all_of_it = Wanted.given("shop", ["public.orders"], ""), Wanted.given("shop", [], "")
    stamp = tables.stamp_of(AT, {})
    assert one.destination(stamp) == "restored_20261125_110000"
    assert all_of_it.destination(stamp) == "shop_restored_20261125_110000"
    assert Wanted.given("shop", [], "copy").destination(stamp) == "copy"
    assert Wanted.given("shop", ["public.orders"], "original").destination(stamp) == ""
    with pytest.raises(RelevoError, match="too long"):
        Wanted.given("s" * 50, [], "").destination(stamp)


def test_a_moment_that_only_the_recovery_knows_is_that_of_the_last_commit() -> None:
    reached = {"last_commit": "2026-11-25T11:00:00.123456Z", "lsn": "0/5000"}
    assert tables.stamp_of({"target_type": "latest"}, reached) == "20261125_110000"
    assert tables.stamp_of({"target_type": "latest"}, {"backup": "20261124-101112F"}) == "20261124_101112"
    assert tables.moment_of({"target_type": "latest"}, reached) == "the position 0/5000"
    assert tables.moment_of({"target_type": "name", "target": "before"}, reached) == "name before"
    assert tables.moment_of(AT, {}) == "2026-11-25 11:00:00 UTC"


def test_what_sql_is_told_is_quoted() -> None:
    assert tables.literal("it's") == "'it''s'"
    assert tables.literal("a\\b'") == "E'a\\\\b'''"
    assert TableName("a", 'b"c').sql == '"a"."b""c"'


# --- the plan ----------------------------------------------------------------------------------------------------


def planned(wanted: Wanted, primary: Primary = PRIMARY, origin: Origin | None = None) -> tuple[OperationPlan, bool]:
    base = OperationPlan(
        "restore",
        "main",
        "restore-beside",
        "x",
        [Effect("repo", "gets it")],
        ["The cluster loses nothing: not touched."],
    )
    origin = origin or Origin("repo", "one", AT, {}, "the moment", there=False, stays=False)
    return tables_plan.describe_tables(base, wanted, origin, primary)


ONE = Wanted.given("shop", ["public.orders"], "")


def test_the_plan_says_where_it_goes_and_what_is_left() -> None:
    shown, already = planned(ONE)
    assert not already
    assert shown.action == "restore-tables"
    assert shown.message == "the table public.orders of shop, as of the moment, schema restored_20261125_110000."
    assert [one.name for one in shown.affects] == ["repo", "a"]
    assert shown.expected == [
        "Nothing that is there now is changed.",
        "The scratch instance one is removed at the end.",
    ]
    assert planned(Wanted.given("shop", [], ""))[0].action == "restore-database"


def test_what_is_replaced_is_said_and_asked() -> None:
    wanted = Wanted.given("shop", ["public.orders"], "original")
    shown, _already = planned(wanted)
    assert shown.action == "replace-tables"
    assert any("what was written since is lost" in one for one in shown.risks)
    assert "-e confirm=main" in tables_plan.question(wanted, "main")
    assert tables_plan.question(ONE, "main") == ""


def test_a_publication_of_all_tables_is_a_risk_of_new_tables_only() -> None:
    published = replace(PRIMARY, published_whole=["everything"])
    assert "everything is FOR ALL TABLES" in planned(ONE, published)[0].risks[0]
    assert planned(Wanted.given("shop", [], ""), published)[0].risks == []


def test_what_an_earlier_run_has_made_is_left_as_it_is() -> None:
    note = ONE.note("2026-11-25 11:00:00 UTC")
    shown, already = planned(ONE, replace(PRIMARY, schemas={"restored_20261125_110000": note}))
    assert already
    assert (shown.action, shown.affects, shown.refusals) == ("none", [], [])


@pytest.mark.parametrize(
    ("wanted", "primary", "words"),
    [
        (ONE, replace(PRIMARY, schemas={"restored_20261125_110000": "mine"}), "has a schema restored_20261125_110000"),
        (ONE, replace(PRIMARY, databases={"postgres": ""}), "has no database shop"),
        (
            Wanted.given("shop", [], ""),
            replace(PRIMARY, databases={"shop_restored_20261125_110000": ""}),
            "has a database shop_restored_20261125_110000 already",
        ),
    ],
)
def test_what_is_in_the_way_is_refused(wanted: Wanted, primary: Primary, words: str) -> None:
    shown, already = planned(wanted, primary)
    assert not already
    assert any(words in one for one in shown.refusals)


def test_a_database_that_was_not_loaded_to_its_end_is_in_nobodys_way() -> None:
    left = replace(PRIMARY, databases={"shop": "", "shop_restored_20261125_110000": UNFINISHED_RESTORE})
    assert planned(Wanted.given("shop", [], ""), left)[0].refusals == []


def test_a_disk_that_would_be_full_is_refused() -> None:
    full = replace(PRIMARY, free=2**30, reserve=2**28)
    assert tables_plan.room_refusal(full, 2**20) == ""
    assert "needs 1536 MiB" in tables_plan.room_refusal(full, 2**29)


# --- the tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (replace(ORDERS, kind="v"), "is a view"),
        (replace(ORDERS, kind="f"), "is a foreign table"),
        (replace(ORDERS, persistence="u"), "is unlogged"),
        (replace(ORDERS, extension="postgis"), "belongs to the extension postgis"),
        (replace(ORDERS, outside_parents=["base"]), "inherits from base"),
        (replace(ORDERS, large_objects=["image"]), "refers to large objects"),
    ],
)
def test_what_is_no_table_by_itself_is_refused(table: Table, words: str) -> None:
    [found] = tables_check.source_refusals(ONE, [table])
    assert words in found


def test_a_table_that_was_not_there_is_refused() -> None:
    assert "There was no table public.orders in shop" in tables_check.source_refusals(ONE, [])[0]
    assert tables_check.source_refusals(ONE, [ORDERS]) == []


def test_a_partition_needs_no_parent() -> None:
    assert tables_check.source_refusals(ONE, [replace(ORDERS, partition=True, outside_parents=["all"])]) == []


def test_two_of_one_name_do_not_fit_into_one_schema() -> None:
    both = [ORDERS, replace(ORDERS, schema="old")]
    wanted = Wanted.given("shop", ["public.orders", "old.orders"], "")
    assert "one schema" in tables_check.source_refusals(wanted, both)[0]
    assert tables_check.source_refusals(replace(wanted, into="original"), both) == []


LIVING = Living("public", "orders", "r", {"id": "integer"})


@pytest.mark.parametrize(
    ("living", "words"),
    [
        (replace(LIVING, kind="v"), "is of another kind now"),
        (replace(LIVING, columns={"id": "bigint"}), "id was integer and is bigint"),
        (replace(LIVING, columns={"id": "integer", "note": "text"}), "note is new"),
        (replace(LIVING, columns={}), "id is missing"),
        (replace(LIVING, referenced_by=["items"]), "Foreign keys of items lead to public.orders"),
        (replace(LIVING, rules=True), "has rules"),
        (replace(LIVING, inherits=True), "by INHERITS"),
    ],
)
def test_what_cannot_be_replaced_in_place_is_refused(living: Living, words: str) -> None:
    [found] = tables_check.replace_refusals([ORDERS], [living])
    assert words in found


def test_what_is_the_same_or_gone_is_replaced() -> None:
    assert tables_check.replace_refusals([ORDERS], [LIVING]) == []
    assert tables_check.replace_refusals([ORDERS], []) == []


def test_a_partition_that_is_gone_goes_into_the_table_that_is_there() -> None:
    part = replace(ORDERS, name="orders_1", partition=True, asked=False, ancestors=[["public", "orders"]])
    assert tables_check.parted([ORDERS, part], ["public.orders"]) == ([ORDERS, part], [])
    assert tables_check.parted([ORDERS, part], []) == ([], [ORDERS, part])


# --- archives ----------------------------------------------------------------------------------------------------

CONTENTS = """\
; Archive created at 2026-11-25
7; 2615 16400 SCHEMA - restored_1 postgres
8; 0 0 COMMENT - SCHEMA restored_1 postgres
215; 1259 16390 TABLE restored_1 orders app
3400; 2606 16450 FK CONSTRAINT restored_1 orders to_customers app
3401; 2606 16451 FK CONSTRAINT restored_1 orders to_items app
3500; 0 0 SEQUENCE SET public orders_id_seq app
"""


def kept(text: str) -> list[str]:
    return [line.split(";")[0] for line in text.splitlines() if not line.startswith(";")]


def test_what_does_not_belong_is_taken_out_of_the_list() -> None:
    assert kept(tables_check.list_without(CONTENTS)) == ["7", "8", "215", "3400", "3401", "3500"]
    assert kept(tables_check.list_without(CONTENTS, [16450], schema=True)) == ["215", "3401", "3500"]
    assert "3500" not in kept(tables_check.list_without(CONTENTS, sequences=True))


def test_where_tables_were_is_read_back() -> None:
    moved = {'TABLE "orders"': '"public"'}
    assert tables.moved_from(tables.moved_note(moved)) == moved


def test_the_report_says_how_to_take_it_over() -> None:
    found = [replace(ORDERS, outside_keys={"9": "to_customers to customers"})]
    text = tables_check.report(ONE, "restored_1", found, "then", "a", 1024, 0.5)
    assert "restored_1.orders: 3 rows" in text
    assert "Without the foreign keys that led to tables that were not named: to_customers" in text
    assert "DROP SCHEMA restored_1 CASCADE" in text


KEY = {"schema": "public", "table": "Items", "name": "to_orders"}
KEY |= {"definition": "FOREIGN KEY (o) REFERENCES public.orders(id) ON DELETE CASCADE"}


def test_the_foreign_keys_that_went_with_a_table_are_those_of_the_tables_that_are_gone() -> None:
    found = [replace(ORDERS, incoming=[KEY]), replace(ORDERS, name="other", incoming=[KEY | {"name": "to_other"}])]
    assert tables_check.keys_that_went(found, ["public.other"]) == [KEY]
    assert tables_check.keys_that_went(found, ["public.orders", "public.other"]) == []
    assert Table.from_dict(found[0].as_dict()) == found[0]


def test_the_foreign_keys_of_the_instance_are_told_by_table() -> None:
    rows: list[dict[str, Any]] = [{**KEY, "oid": 1}, {**KEY, "oid": 2, "name": "to_other"}]
    assert incoming(1, rows) == [KEY]


def test_the_report_has_the_statements_for_foreign_keys_that_are_lacking() -> None:
    wanted = Wanted.given("shop", ["public.orders"], "original")
    text = tables_check.report(wanted, "", [ORDERS], "then", "a", 1024, 0.5, [KEY])
    assert (
        'ALTER TABLE "public"."Items" ADD CONSTRAINT "to_orders" FOREIGN KEY (o) REFERENCES public.orders(id) '
        "ON DELETE CASCADE;" in text
    )
    assert "ALTER TABLE" not in tables_check.report(wanted, "", [ORDERS], "then", "a", 1024, 0.5)
    assert any("does not come back: views" in risk for risk in planned(wanted)[0].risks)


def test_a_sequence_is_only_moved_on_in_its_own_direction() -> None:
    wanted = Wanted.given("shop", ["public.orders"], "original")
    there = replace(ORDERS, sequences=[["public", "down", -10, True], ["public", "at_zero", 0, False]])
    text = Target._after(Job(wanted, [there], "", ""), [LIVING])
    [line, at_zero] = [one for one in text.split(";") if "setval" in one]
    # A last value of 0 is one, and one that was set and not handed out is handed out next.
    assert 'setval(\'"public"."at_zero"\'::pg_catalog.regclass, 0, false)' in at_zero
    assert 'setval(\'"public"."down"\'::pg_catalog.regclass, -10, true)' in line
    assert 'q.seqrelid = \'"public"."down"\'::pg_catalog.regclass' in line
    assert "CASE WHEN q.seqincrement > 0 THEN s.last_value < -10 ELSE s.last_value > -10 END" in line


def fed(monkeypatch: pytest.MonkeyPatch, job: Job, living: list[Living]) -> str:
    """What psql is sent to load one archive, whose own SQL is the line ROWS."""
    told = io.BytesIO()
    target = Target.__new__(Target)
    monkeypatch.setattr(Target, "_run", lambda _self, _job, send, _database: (send(told), 1.0)[1])
    monkeypatch.setattr(Target, "_sql_of", lambda *_given: contextlib.nullcontext(io.BytesIO(b"ROWS\n")))
    target.load(job, [Path("rows.dump")], living, {})
    return told.getvalue().decode()


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_foreign_keys_among_tables_that_are_replaced_wait_for_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a circle, or onto partitions, no order of the tables would do."""
    job = Job(Wanted.given("shop", ["public.orders"], "original"), [ORDERS], "", "")
    deferred, checked = "INITIALLY DEFERRED", "ERRCODE = 'RV005'"
    text = fed(monkeypatch, job, [LIVING])
    taken_back = "CASE WHEN one.deferrable THEN 'DEFERRABLE INITIALLY IMMEDIATE' ELSE 'NOT DEFERRABLE' END"
    assert in_order(text, deferred, "TRUNCATE", "ROWS", checked, "SET CONSTRAINTS ALL IMMEDIATE", taken_back, "COMMIT;")
    # Of a table that is gone there are none, and beside there are only those of the copy.
    assert "relevo_keys" not in fed(monkeypatch, job, [])
    beside = Job(Wanted.given("shop", ["public.orders"], ""), [ORDERS], "restored_1", "")
    assert "relevo_keys" not in fed(monkeypatch, beside, [])


@pytest.mark.parametrize(
    ("sqlstate", "advice"),
    [("23503", "name that table, too, or leave out into"), ("RV005", "add it again as NOT VALID")],
)
def test_a_foreign_key_that_is_not_kept_is_told_by_where_it_leads(sqlstate: str, advice: str) -> None:
    job = Job(Wanted.given("shop", ["public.orders"], "original"), [ORDERS], "", "")
    said = failure_message(job, Failure(3, sqlstate, 'it violates foreign key constraint "k"'))
    assert 'violates foreign key constraint "k". None of it is there' in said
    assert advice in said


def test_a_database_is_made_with_the_locale_that_it_had() -> None:
    row = {"owner": "app", "encoding_name": "UTF8", "datcollate": "C", "datctype": "C", "datlocprovider": "c"}
    assert create_database("new", row) == (
        'CREATE DATABASE "new" TEMPLATE template0 OWNER "app" ENCODING \'UTF8\' LOCALE_PROVIDER libc '
        "LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    assert "ICU_LOCALE 'es'" in create_database("new", row | {"datlocprovider": "i", "daticulocale": "es"})
    assert "BUILTIN_LOCALE 'C.UTF-8'" in create_database("new", row | {"datlocprovider": "b", "datlocale": "C.UTF-8"})
