"""The benchmark of a large catalog: the records that it makes, what it notices, how it is judged, its page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from memory_redis import MemoryRedis
from scripts import catalog_at_scale as script

from ansible_collections.relevo.postgres.plugins.module_utils._catalog import store
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import (
    FIELDS,
    desired_records,
    index_for,
    label_time,
)
from bench import report_catalog
from bench.targets import catalog_targets

NEWEST = datetime(2026, 11, 26, 3, 0)
PARAMS = {"host": "redis", "db": 0, "timeout": 5.0, "username": None, "password": "secret"}
REPO_PATH = "/var/lib/pgbackrest"
NUMBER = 600


def information() -> dict[str, Any]:
    """A repository with two backups of its own."""
    own = list(script.generated(len(script.STEPS), NEWEST + timedelta(days=1)))[:2]
    return {"name": "main", "backup": own, "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "17"}]}


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> MemoryRedis:
    server = MemoryRedis()
    monkeypatch.setattr(store, "_client", lambda params: server)
    return server


def do(what: str, **given: Any) -> dict[str, Any]:
    return script.work({"do": what, "redis": PARAMS, **given}, information())


def test_the_backups_are_those_of_the_cycle() -> None:
    made = list(script.generated(len(script.STEPS) + 1, NEWEST))
    assert [backup["type"] for backup in made] == [*(kind for kind, _day, _step in script.STEPS), "full"]
    by_label = {backup["label"]: backup for backup in made}
    assert len(by_label) == len(made)
    for backup in made[1:-1]:
        # A chain leads to the full backup that its label names.
        base = backup["label"].partition("_")[0]
        assert backup["prior"] in by_label
        assert backup["reference"][0] == base
        assert (backup["type"] == "diff") <= (backup["prior"] == base)
    assert [label_time(backup["label"]) for backup in made[-2:]] == [
        ("2026-11-26", "01:00:00"),
        ("2026-11-26", "02:00:00"),
    ]


def test_the_records_have_the_fields_of_a_backup() -> None:
    made = list(script.generated(NUMBER, NEWEST))
    records = desired_records(made, "main", REPO_PATH, information()["db"])
    assert len(records) == NUMBER
    fields = {name for record in records.values() for name in record}
    # Of the second repository, and of a step that was skipped.
    assert set(FIELDS) - fields == {"repositorio", "omitido"}
    assert {record["maestro_usado"] for record in records.values()} == set(script.PRIMARIES)
    assert {record.get("resultado") for record in records.values()} == {None, "correcto", "fallido"}


def test_a_repositorys_own_backups_are_among_them() -> None:
    own = information()["backup"]
    longer = script.extended(information(), 10)["backup"]
    assert len(longer) == 10
    assert longer[-2:] == own
    assert sorted(longer, key=lambda backup: label_time(backup["label"])) == longer
    assert script.extended(information(), 1)["backup"] == own


def test_a_rebuild_is_that_of_a_sync(redis: MemoryRedis) -> None:
    redis.hset("backup:2020-01-01_00-00-00", {"etiqueta": "x"})
    found = do("rebuild", number=NUMBER)
    assert (found["records"], redis.zcard(index_for("main"))) == (NUMBER, NUMBER)
    assert found["seconds"] >= found["computing"] > 0
    assert found["memory_bytes"] > 100 * NUMBER
    assert found["peak_bytes"] == found["memory_bytes"] + 500
    # What was there before is gone, and a second one has nothing to write.
    assert not redis.exists("backup:2020-01-01_00-00-00")
    desired = desired_records(script.extended(information(), NUMBER)["backup"], "main", REPO_PATH, information()["db"])
    plan, _existing = store.synchronise(redis, "main", desired, write=True)
    assert (plan.write, plan.delete) == ({}, [])


def test_a_field_that_was_lost_is_noticed(redis: MemoryRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    write = redis.hset

    def forgetful(name: str, mapping: Mapping[str, str]) -> None:
        write(name, {field: value for field, value in mapping.items() if field != "rpo_s"})

    monkeypatch.setattr(redis, "hset", forgetful)
    with pytest.raises(SystemExit, match="other fields"):
        do("rebuild", number=NUMBER)


def test_pages_are_taken_of_every_filter(redis: MemoryRedis) -> None:
    do("rebuild", number=12_000)
    found = do("pages", number=12_000, tries=16, whole=False)
    assert len(found["seconds"]) == len(found["reading"]) == 16
    assert all(whole >= reading > 0 for whole, reading in zip(found["seconds"], found["reading"], strict=True))
    # Also with the fewest records of a quick run each filter leaves some: an empty page says nothing.
    assert min(found["rows"]) > 0
    assert max(found["rows"]) == script.LIMIT
    assert found["backups"] == 2
    assert do("pages", number=300, tries=1, whole=True)["backups"] == 300


def test_a_page_has_what_is_found_one_by_one(redis: MemoryRedis) -> None:
    do("rebuild", number=NUMBER)
    assert len(do("one_by_one", tries=8)["seconds"]) == 8


def test_a_page_that_lacks_a_record_is_noticed(redis: MemoryRedis) -> None:
    do("rebuild", number=NUMBER)
    facets = [name for name in redis.sorted if ":by:" in name and '"completo"' in name]
    for name in facets:
        redis.zrem(name, redis.zrevrange(name, 0, 0)[0])
    with pytest.raises(SystemExit, match="one by one"):
        do("one_by_one", tries=1)


def test_it_can_be_emptied(redis: MemoryRedis) -> None:
    do("rebuild", number=20)
    assert do("empty") == {}
    assert not redis.hashes


# --- the results -----------------------------------------------------------------------------------------------------


def results(records: int = 100_000, **given: Any) -> dict[str, Any]:
    page = {"what": "a page", "backups": 2, "rows": 400, "tries": 200, "median": 0.008, "p95": 0.0125, "most": 0.03}
    rebuild = {"records": records, "seconds": 9.5, "computing": 3.25, "memory_bytes": 160e6, "peak_bytes": 310e6}
    plays = [
        {"round": 1, "many": many, "records": records if many else 10, "seconds": seconds, "memory": 60 << 20}
        for many, seconds in ((False, 8.0), (True, 8.4), (False, 8.2), (True, 8.5))
    ]
    found = {
        "records": records,
        "pages": [page | {"reading_p95": 0.011}, page | {"what": "whole", "p95": 4.0, "reading_p95": 3.0}],
        "rebuilds": [rebuild, rebuild | {"seconds": 10.5}],
        "one_by_one": [12.5, 13.0],
        "plays": plays,
    }
    return found | given


def verdicts(part: dict[str, Any]) -> list[str]:
    return [one.verdict for one in catalog_targets(part)]


def test_what_was_promised_is_judged() -> None:
    assert [(round(one.figure or 0, 4), one.verdict) for one in catalog_targets(results())] == [
        (0.0125, "met"),
        (10.5, "met"),
        (160.0, "met"),
        (1.0432, "met"),
    ]


@pytest.mark.parametrize(
    ("number", "worsen"),
    [
        (0, lambda part: part["pages"][0].update(p95=0.021)),
        (1, lambda part: part["rebuilds"][0].update(seconds=15.5)),
        (2, lambda part: part["rebuilds"][1].update(memory_bytes=300.2e6)),
        (3, lambda part: [row.update(seconds=10.0) for row in part["plays"] if row["many"]]),
    ],
)
def test_each_promise_can_be_missed(number: int, worsen: Callable[[dict[str, Any]], object]) -> None:
    part = json.loads(json.dumps(results()))
    worsen(part)
    assert [place for place, verdict in enumerate(verdicts(part)) if verdict == "missed"] == [number]


def test_with_fewer_records_nothing_is_claimed() -> None:
    assert set(verdicts(results(12_000))) == {"not asked"}


def test_its_section() -> None:
    text = "\n".join(report_catalog.section(results()))
    assert "## The catalog with 100000 records" in text
    assert "| a page | 2 | 8.0 | 12.5 | 30.0 | 11.0 | 200 |" in text
    assert "| whole | 2 | 8.0 | 4000.0 | 30.0 | 3000.0 | 200 |" in text
    assert "| one by one | - | 12750.0 | 13000.0 | 13000.0 | - | 2 |" in text
    assert "| seconds | 9.5 | 10.0 | 10.5 | 10.5 | 2 |" in text
    assert "| memory of Redis, MB | 160.0 | 160.0 | 160.0 | 160.0 | 2 |" in text
    assert "| 10 | 8.0 | 8.1 | 8.2 | 8.2 | 2 | 60 |" in text
    assert "| 100000 | 8.4 | 8.4 | 8.5 | 8.5 | 2 | 60 |" in text
