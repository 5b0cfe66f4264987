"""What people see of the catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import desired_records
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.views import VIEWS, catalog_of, render
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

INFORMATION = json.loads((Path(__file__).parent / "fixtures" / "pgbackrest_info.json").read_text())[0]
REPO = "/var/lib/pgbackrest"
AWAY: dict[str, Any] = {"reachable": False, "reason": "Redis at redis:6379 cannot be reached (refused). Start it."}
USAGE = {
    "path": REPO,
    "bytes": 4096,
    "files": 2,
    "free": 1024**3,
    "capacity": 2 * 1024**3,
    "directories": [{"path": "backup/main", "bytes": 4096, "files": 2}],
}


def result(**statuses: str) -> dict[str, Any]:
    records = desired_records(INFORMATION["backup"], "main", REPO, INFORMATION["db"])
    listed = [{"key": key, "status": "recorded", "record": record} for key, record in records.items()]
    listed += [{"key": key, "status": status, "record": {}} for key, status in statuses.items()]
    return {"reachable": True, "records": listed}


def text(
    view: str, given: dict[str, Any] | None = None, information: dict[str, Any] = INFORMATION, **options: Any
) -> str:
    return render(view, catalog_of(given or result(), information, "main", REPO, **options), USAGE)


def test_an_unknown_view_names_those_that_exist() -> None:
    with pytest.raises(RelevoError, match="table, detail, info, size, json"):
        text("tabla")


def test_the_table_shows_every_backup_its_primary_and_the_window() -> None:
    shown = text("table")
    for backup in INFORMATION["backup"]:
        assert f" {backup['label']} " in shown
    assert "BACKUPS REGISTRADOS EN REDIS" in shown
    assert "Nota" not in shown
    assert "Total: 5 backups (1 completo, 3 incremental, 1 diferencial), 3.4 MiB in the repository" in shown
    assert "any moment since 2026-11-24 12:10:14" in shown
    assert shown.index("121018I") < shown.index("121017D")


def test_what_is_not_as_it_should_be_is_marked() -> None:
    given = result(**{"backup:nightly": "foreign"})
    given["records"][0]["status"] = "orphan"
    given["records"][1]["record"]["consistente"] = "no"
    given["records"][2]["record"]["error"] = "si"
    del given["records"][3]
    shown = text("table", given)
    for note in ("huérfano", "ajeno", "no consistente", "con errores de página", "sin registrar"):
        assert note in shown
    assert "1 backup not in Redis yet" in shown
    assert "1 record without a backup" in shown


def test_without_redis_the_repository_is_shown_and_the_reason_said() -> None:
    shown = text("table", AWAY)
    assert AWAY["reason"] in shown
    assert "REGISTRADOS EN REDIS" not in shown
    assert "20261124-121013F_20261124-121018I" in shown
    assert "sin registrar" not in shown


def test_the_limit_is_said() -> None:
    shown = text("table", limit=2)
    assert "Shown: the newest 2 of 5" in shown
    assert "121013F_20261124-121014I" not in shown


def test_details_have_every_field() -> None:
    shown = text("detail")
    assert "Backup: backup:2026-11-24_12-10-13" in shown
    assert "Tamaño de la copia: 2.9 MiB (3033941 bytes)" in shown
    assert "Método:             pgBackRest" in shown


def test_json_is_a_list_of_the_records_as_they_are() -> None:
    listed = json.loads(text("json"))
    assert [item["clave"] for item in listed][-1] == "backup:2026-11-24_12-10-13"
    assert listed[-1]["estado"] == "registrado"
    assert listed[-1]["tamano_copia"] == "3033941"
    assert json.loads(text("json", {"reachable": True, "records": []}, {})) == []


@pytest.mark.parametrize("view", ["table", "detail", "size"])
def test_an_empty_catalog_says_how_to_begin(view: str) -> None:
    assert "backup.yml -e day=1" in text(view, {"reachable": True, "records": []}, {})


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_bears_a_stanza_without_information(view: str) -> None:
    assert text(view, AWAY, {})


def test_info_and_size_show_the_disk() -> None:
    assert "000000010000000000000001 to 00000001000000000000000A" in text("info")
    assert "1.0 GiB of the file system free" in text("info")
    assert "backup/main" in text("size")
    assert "13.0 %" in text("size")


def test_a_backup_that_is_not_consistent_does_not_open_the_window() -> None:
    backup = {**INFORMATION["backup"][0], "annotation": {"relevo-consistent": "false"}}
    assert "Recovery window: none" in text("table", AWAY, {"backup": [backup]})
