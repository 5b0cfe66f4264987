"""The catalog's records and its synchronisation, on the output of a real pgBackRest 2.55.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import (
    DRILL_FIELDS,
    FIELDS,
    FIRST_FIELDS,
    catalog_name,
    classify,
    desired_records,
    in_order,
    key_for,
    label_time,
    newest_first,
    parse_key,
    plan_sync,
    record_from_backup,
    score_for,
    status_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

INFORMATION = json.loads((Path(__file__).parent / "fixtures" / "pgbackrest_info.json").read_text())[0]
REPO = "/var/lib/pgbackrest"
FULL = "20261124-121013F"
BY_HAND = "20261124-121013F_20261124-121018I"

OLD = {
    "fecha": "2025-10-09",
    "hora": "04:07:19",
    "tipo_backup": "completo",
    "direccion_almacenamiento": "/var/lib/pgbackrest/backup/main/20251009-040719F",
    "maestro_usado": "postgres_master",
    "metodo": "pgBackRest",
    "stanza": "main",
}
OLD_KEY = "backup:2025-10-09_04-07-19"


def desired() -> dict[str, dict[str, str]]:
    return desired_records(INFORMATION["backup"], "main", REPO, INFORMATION["db"])


def old_record_of(label: str, primary: str = "postgres_slave") -> dict[str, str]:
    date, clock = label_time(label)
    path = f"{REPO}/backup/main/{label}"
    return {**OLD, "fecha": date, "hora": clock, "direccion_almacenamiento": path, "maestro_usado": primary}


def test_the_first_seven_fields_are_the_contract() -> None:
    backup = {"label": "20251009-040719F", "type": "full", "annotation": {"relevo-primary": "postgres_master"}}
    record = record_from_backup(backup, "main", REPO)
    assert list(record)[:7] == list(FIRST_FIELDS)
    assert {name: record[name] for name in FIRST_FIELDS} == OLD


def test_the_records_of_a_second_repository_are_apart_and_name_it() -> None:
    backup = {"label": "20251009-040719F", "type": "full"}
    for stanza, name, key in (
        ("main", "main@2", "backup:main@2:2025-10-09_04-07-19"),
        ("shop", "shop@2", "backup:shop@2:2025-10-09_04-07-19"),
    ):
        assert catalog_name(stanza, 1) == stanza
        assert catalog_name(stanza, 2) == name
        [(found, record)] = desired_records([backup], name, "s3://bucket/").items()
        assert found == key
        assert (record["stanza"], record["repositorio"]) == (stanza, "2")
        assert record["direccion_almacenamiento"] == f"s3://bucket/backup/{stanza}/20251009-040719F"
        assert parse_key(key) is not None
        assert classify(key, record, name) == "ours"
        # To the first one they are not its own, and the other way round.
        assert classify(key, record, stanza) == "foreign"
        [(first, of_the_first)] = desired_records([backup], stanza, REPO).items()
        assert "repositorio" not in of_the_first
        assert classify(first, of_the_first, name) == "foreign"


def test_fields_have_one_order_however_redis_returns_them() -> None:
    record = {**desired()["backup:2026-11-24_12-10-16"], "omitido": "2:1/1", **dict.fromkeys(DRILL_FIELDS, "x")}
    record["repositorio"] = "2"
    mixed = {"zona": "x", **dict(sorted(record.items())), "apunte": "y"}
    assert list(in_order(mixed)) == [*FIELDS, "apunte", "zona"]
    assert list(desired()["backup:2026-11-24_12-10-16"]) == [
        name for name in FIELDS if name not in {"omitido", "repositorio", *DRILL_FIELDS}
    ]


def test_a_real_backup_becomes_a_complete_record() -> None:
    record = desired()["backup:2026-11-24_12-10-16"]
    assert record == {
        "fecha": "2026-11-24",
        "hora": "12:10:16",
        "tipo_backup": "incremental",
        "direccion_almacenamiento": f"{REPO}/backup/main/20261124-121013F_20261124-121016I",
        "maestro_usado": "postgres_slave",
        "metodo": "pgBackRest",
        "stanza": "main",
        "etiqueta": "20261124-121013F_20261124-121016I",
        "dia": "3",
        "paso": "1/2",
        "ciclo": "20251009-1",
        "solicitado": "incr",
        "solicitado_por": "tests",
        "previo": "20261124-121013F_20261124-121014I",
        "tamano_base": "25519082",
        "tamano_copia": "4801",
        "duracion_s": "1",
        "wal_inicio": "000000010000000000000006",
        "wal_fin": "000000010000000000000006",
        "lsn_inicio": "0/6000028",
        "lsn_fin": "0/6000120",
        "sistema_id": "7711709180914200605",
        "consistente": "si",
        "error": "no",
    }


def test_a_backup_made_by_hand_has_an_unknown_primary_and_no_day() -> None:
    record = desired()[key_for(BY_HAND, "main")]
    assert record["maestro_usado"] == "desconocido"
    assert "dia" not in record


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"annotation": {"relevo-consistent": "false"}}, "consistente", "no"),
        ({"annotation": {"relevo-skipped": "2:1/1"}}, "omitido", "2:1/1"),
        ({"error": True}, "error", "si"),
        ({"error": None}, "error", "no"),
        ({"info": {"size": 5, "repository": {"size": 3}}}, "tamano_copia", None),
        ({"database": {"id": 9, "repo-key": 1}}, "sistema_id", None),
        ({"lsn": None, "archive": None, "timestamp": None}, "duracion_s", None),
    ],
)
def test_what_differs_in_a_backup_is_seen_in_its_record(change: dict[str, Any], field: str, value: str | None) -> None:
    [record] = desired_records([{**INFORMATION["backup"][0], **change}], "main", REPO, INFORMATION["db"]).values()
    assert record.get(field) == value


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(RelevoError, match="'block'"):
        record_from_backup({"label": FULL, "type": "block"}, "main", REPO)


@pytest.mark.parametrize(
    ("label", "stanza", "key"),
    [
        (FULL, "main", "backup:2026-11-24_12-10-13"),
        (BY_HAND, "main", "backup:2026-11-24_12-10-18"),
        (FULL, "ventas", "backup:ventas:2026-11-24_12-10-13"),
    ],
)
def test_a_key_has_the_time_of_the_label_and_is_read_back(label: str, stanza: str, key: str) -> None:
    assert key_for(label, stanza) == key
    parsed = parse_key(key)
    assert parsed is not None
    assert (parsed.stanza, parsed.date, parsed.time) == (stanza, *label_time(label))


@pytest.mark.parametrize("key", ["backup:hoy", "backup:2025-13-09_04-07-19", "backup:a:b:2025-10-09_04-07-19", "x"])
def test_what_is_no_key_is_not_parsed(key: str) -> None:
    assert parse_key(key) is None
    assert score_for(key) == 0


@pytest.mark.parametrize("label", ["", "latest", "20251009-040719", "20251009-040719F/../x"])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(RelevoError, match="no label"):
        key_for(label, "main")


def test_a_score_is_the_label_time_read_as_utc() -> None:
    assert score_for("backup:1970-01-02_00-00-01") == 86401


@pytest.mark.parametrize(
    ("key", "record", "kind"),
    [
        (OLD_KEY, OLD, "old"),
        (OLD_KEY, {**OLD, "etiqueta": FULL}, "ours"),
        (OLD_KEY, {**OLD, "metodo": "pg_dump"}, "foreign"),
        (OLD_KEY, {**OLD, "stanza": "otra"}, "foreign"),
        ("backup:otra:2025-10-09_04-07-19", {**OLD, "stanza": "otra"}, "foreign"),
        ("backup:nightly", OLD, "foreign"),
        (OLD_KEY, None, "foreign"),
    ],
)
def test_whose_a_record_is(key: str, record: dict[str, str] | None, kind: str) -> None:
    assert classify(key, record, "main") == kind


def test_an_empty_catalog_gets_every_backup_and_a_second_run_nothing() -> None:
    plan = plan_sync(desired(), {}, "main")
    assert plan.write == desired()
    again = plan_sync(desired(), plan.write, "main")
    assert (again.write, again.delete) == ({}, [])
    assert len(again.unchanged) == 5


def test_what_pgbackrest_expired_is_out_of_the_catalog() -> None:
    existing = desired()
    kept = {key: record for key, record in existing.items() if record["etiqueta"] != FULL}
    assert plan_sync(kept, existing, "main").delete == [key_for(FULL, "main")]


def test_a_changed_value_is_written_again() -> None:
    key = key_for(FULL, "main")
    existing = {**desired(), key: {**desired()[key], "maestro_usado": "x"}}
    assert list(plan_sync(desired(), existing, "main").write) == [key]


def test_an_old_record_without_its_backup_is_an_orphan_and_stays() -> None:
    plan = plan_sync(desired(), {OLD_KEY: OLD}, "main")
    assert plan.orphans == [OLD_KEY]
    assert plan.delete == []


def test_an_old_record_of_an_annotated_backup_is_replaced() -> None:
    key = key_for(FULL, "main")
    plan = plan_sync(desired(), {key: old_record_of(FULL)}, "main")
    assert plan.write[key]["maestro_usado"] == "postgres_master"


def test_an_old_record_that_alone_knows_the_primary_is_kept_for_adoption() -> None:
    key = key_for(BY_HAND, "main")
    plan = plan_sync(desired(), {key: old_record_of(BY_HAND)}, "main")
    assert plan.adoptable == {key: (BY_HAND, "postgres_slave")}
    assert key not in plan.write


def test_an_old_record_under_another_time_does_not_double_its_backup() -> None:
    plan = plan_sync(desired(), {OLD_KEY: old_record_of(FULL)}, "main")
    assert plan.delete == [OLD_KEY]
    plan = plan_sync(desired(), {OLD_KEY: old_record_of(BY_HAND)}, "main")
    assert plan.delete == []
    assert key_for(BY_HAND, "main") not in plan.write


def test_foreign_records_are_left_alone_even_under_a_key_of_ours() -> None:
    key = key_for(FULL, "main")
    plan = plan_sync(desired(), {"backup:nightly": {"a": "b"}, key: {**OLD, "metodo": "pg_dump"}}, "main")
    assert plan.foreign == ["backup:nightly", key]
    assert plan.blocked == [key]
    assert key not in plan.write
    assert plan.delete == []


def test_another_stanza_keeps_its_own_records() -> None:
    ventas = desired_records(INFORMATION["backup"], "ventas", REPO)
    assert plan_sync(desired(), ventas, "main").delete == []
    assert plan_sync(ventas, ventas, "ventas").unchanged == list(ventas)


@pytest.mark.parametrize(
    ("record", "labels", "status"),
    [
        (OLD, None, "recorded"),
        (OLD, {"20251009-040719F"}, "recorded"),
        (OLD, set(), "orphan"),
        ({**OLD, "metodo": "pg_dump"}, set(), "foreign"),
        (None, set(), "foreign"),
    ],
)
def test_status(record: dict[str, str] | None, labels: set[str] | None, status: str) -> None:
    assert status_of(OLD_KEY, record, "main", labels) == status


def test_keys_are_sorted_by_time_the_newest_first() -> None:
    assert newest_first(["backup:x", OLD_KEY, "backup:2026-11-24_12-10-13"]) == [
        "backup:2026-11-24_12-10-13",
        OLD_KEY,
        "backup:x",
    ]
