"""What people see of the catalog."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.labels import LABELS
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.records import FIELDS, desired_records
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


def boxed_and_listed(shown: str) -> str:
    """A view without what the module that asked Redis said, which stands below it."""
    return shown.replace(AWAY["reason"], "")


# Words of one language that would be wrong in a view of the other, whatever the records hold.
OF_LANGUAGE = {
    "es": ("Fecha", "Tipo", "Etiqueta", "Maestro", "Tamaño", "incrementales", "diferencial", "repositorio", "Libre"),
    "en": ("Date", "Type", "Label", "Primary", "Size", "differential", "repository", "Free"),
}
SENTENCES = {
    "es": ("Ventana de recuperación: cualquier momento desde", "antes del backup más reciente", "el más antiguo: "),
    "en": ("Recovery window: any moment since", "before the newest backup", "oldest: "),
}


def attention() -> dict[str, Any]:
    """What ``redis_backup_info`` returns where everything wants attention."""
    given = result(**{"backup:nightly": "foreign"})
    given["records"][0]["status"] = "orphan"
    given["records"][1]["record"]["consistente"] = "no"
    given["records"][2]["record"]["error"] = "si"
    del given["records"][3]
    return given


@pytest.mark.parametrize(("language", "other"), [("es", "en"), ("en", "es")])
@pytest.mark.parametrize("given", [None, AWAY, attention(), {"reachable": True, "records": []}])
@pytest.mark.parametrize("view", ["table", "detail", "info", "size"])
def test_a_view_speaks_one_language(view: str, given: dict[str, Any] | None, language: str, other: str) -> None:
    shown = boxed_and_listed(text(view, given, language=language))
    own, foreign = (set(re.findall(r"[^\W\d_]+", shown)) & set(OF_LANGUAGE[which]) for which in (language, other))
    assert own
    assert foreign == set()
    assert all(sentence not in shown for sentence in SENTENCES[other])
    assert all(sentence in shown for sentence in SENTENCES[language])


def test_spanish_is_the_default_and_says_what_the_old_scripts_said() -> None:
    assert text("table") == text("table", language="es")
    shown = text("table", limit=2)
    assert "Total: 5 backups (1 completo, 3 incrementales, 1 diferencial), 3.4 MiB en el repositorio" in shown
    assert "Ventana de recuperación: cualquier momento desde 2026-11-24 12:10:14 UTC," in shown
    assert "Mostrados: 2 de 5, primero el más reciente" in shown
    assert "Tamaño de la copia: 2.9 MiB (3033941 bytes)" in text("detail")
    assert "BACKUPS DEL REPOSITORIO (SIN REDIS)" in text("table", AWAY)
    assert "000000010000000000000001 a 00000001000000000000000A" in text("info")
    assert "Estado:      correcto" in text("info")
    assert "Total: 4.0 KiB en disco, en 2 archivos" in text("size")
    assert "El catálogo está vacío" in text("table", {"reachable": True, "records": []}, {})


def test_english_says_the_values_in_english_too() -> None:
    shown = text("table", language="en")
    assert "BACKUPS RECORDED IN REDIS" in shown
    assert " │ differential │ " in shown
    assert "Total: 5 backups (1 full, 3 incremental, 1 differential), 3.4 MiB in the repository" in shown
    details = text("detail", language="en")
    assert "Consistent:           yes" in details
    assert "Error:                no" in details
    # A value that is somebody's own word stays as it is.
    given = result()
    given["records"][0]["record"]["maestro_usado"] = "desconocido"
    given["records"][1]["record"]["maestro_usado"] = "si"
    shown = text("table", given, language="en")
    assert " │ unknown " in shown
    assert " │ si " in shown


def test_what_is_not_as_it_should_be_is_marked_in_spanish() -> None:
    shown = text("table", attention())
    assert "1 registro sin backup en el repositorio (huérfano)" in shown
    assert "1 registro de otro origen, sin tocar (ajeno)" in shown
    assert "1 backup sin registrar en Redis: el próximo backup pone el catálogo al día" in shown


@pytest.mark.parametrize("language", ["es", "en"])
def test_json_is_the_stored_record_in_every_language(language: str) -> None:
    assert text("json", language=language) == text("json")
    assert json.loads(text("json", language=language))[0]["estado"] == "registrado"


def test_the_languages_have_the_same_words_and_places_for_values() -> None:
    spanish, english = (dataclasses.asdict(labels) for labels in (LABELS["es"], LABELS["en"]))
    places = re.compile(r"\{\w+\}")
    for name, words in spanish.items():
        if isinstance(words, str):
            assert set(places.findall(words)) == set(places.findall(english[name])), name
    for name in ("fields", "status", "types"):
        assert list(spanish[name]) == list(english[name]), name
    assert set(spanish["fields"]) == set(FIELDS)


def test_an_unknown_language_names_those_that_exist() -> None:
    with pytest.raises(RelevoError, match="es, en"):
        text("table", language="fr")


def test_an_unknown_view_names_those_that_exist() -> None:
    with pytest.raises(RelevoError, match="table, detail, info, size, json"):
        text("tabla")


def test_the_table_shows_every_backup_its_primary_and_the_window() -> None:
    shown = text("table", language="en")
    for backup in INFORMATION["backup"]:
        assert f" {backup['label']} " in shown
    assert "BACKUPS REGISTRADOS EN REDIS" in text("table")
    assert "Note" not in shown
    assert "Total: 5 backups (1 full, 3 incremental, 1 differential), 3.4 MiB in the repository" in shown
    assert "any moment since 2026-11-24 12:10:14 UTC," in shown
    assert shown.index("121018I") < shown.index("121017D")


def test_what_is_not_as_it_should_be_is_marked() -> None:
    given = attention()
    shown = text("table", given)
    for note in ("huérfano", "ajeno", "no consistente", "con errores de página", "sin registrar"):
        assert note in shown
    shown = text("table", given, language="en")
    for note in ("orphan", "foreign", "not consistent", "with page errors", "not recorded"):
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
    shown = text("table", limit=2, language="en")
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


def test_json_says_in_utc_when_each_backup_ended() -> None:
    stops = {backup["label"]: backup["timestamp"]["stop"] for backup in INFORMATION["backup"]}
    gone = {"key": "backup:2020-01-01_00-00-00", "status": "orphan", "record": {"etiqueta": "20200101-000000F"}}
    given = result()
    given["records"].append(gone)
    *listed, orphan = json.loads(text("json", given))
    assert len(listed) == len(stops)
    for item in listed:
        assert datetime.fromisoformat(item["terminado"]) == datetime.fromtimestamp(stops[item["etiqueta"]], UTC)
    # Nobody knows it of a backup that is gone.
    assert "terminado" not in orphan


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("view", ["table", "detail", "size"])
def test_an_empty_catalog_says_how_to_begin(view: str, language: str) -> None:
    assert "backup.yml -e day=1" in text(view, {"reachable": True, "records": []}, {}, language=language)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_bears_a_stanza_without_information(view: str) -> None:
    assert text(view, AWAY, {})


def test_info_and_size_show_the_disk() -> None:
    assert "000000010000000000000001 to 00000001000000000000000A" in text("info", language="en")
    assert "1.0 GiB of the file system free" in text("info", language="en")
    assert "backup/main" in text("size")
    assert "13.0 %" in text("size")


def test_a_backup_that_is_not_consistent_does_not_open_the_window() -> None:
    backup = {**INFORMATION["backup"][0], "annotation": {"relevo-consistent": "false"}}
    assert "Recovery window: none" in text("table", AWAY, {"backup": [backup]}, language="en")
    assert "Ventana de recuperación: ninguna" in text("table", AWAY, {"backup": [backup]})


def in_another_zone(hours: int) -> dict[str, Any]:
    """The same backups at the same moments, the last one named by a clock that was set forward by some hours."""
    moved = json.loads(json.dumps(INFORMATION))
    first, last = moved["backup"][0]["label"], moved["backup"][-1]
    clock = int(last["label"][-7:-5]) + hours
    last["label"] = f"{first}_{last['label'].split('_')[1][:9]}{clock:02}{last['label'][-5:]}"
    return dict(moved)


@pytest.mark.parametrize("hours", [-9, 9])
def test_another_time_zone_moves_neither_the_window_nor_the_order(hours: int) -> None:
    moved = in_another_zone(hours)
    records = desired_records(moved["backup"], "main", REPO, moved["db"])
    listed = [{"key": key, "status": "recorded", "record": record} for key, record in records.items()]
    shown = text("table", {"reachable": True, "records": listed}, moved, language="en")
    same = text("table", language="en")
    assert shown[shown.index("Recovery window") :].split("║")[0] == same[same.index("Recovery window") :].split("║")[0]
    labels = [backup["label"] for backup in moved["backup"]]
    assert sorted(labels, key=lambda label: shown.index(f" {label} ")) == labels[::-1]


HOLES = [{"first": "000000010000000000000003", "last": "000000010000000000000004", "count": 2}]


def test_a_hole_in_the_archive_is_no_part_of_the_window() -> None:
    information = json.loads(json.dumps(INFORMATION))
    for backup, segment in zip(information["backup"], (2, 6, 7, 8, 9), strict=True):
        backup["archive"] = dict.fromkeys(("start", "stop"), f"0000000100000000000000{segment:02}")
    shown = text("table", None, information, language="en", holes=HOLES)
    second = information["backup"][1]
    assert f"(oldest: {second['label']})" in shown
    assert "WAL is missing in the archive (2 segments, 000000010000000000000003 to 000000010000000000000004)" in shown
    assert "from 2026-11-24 12:10:14 UTC to 2026-11-24 12:1" in shown
    assert "Falta WAL en el archivo (2 segmentos" in text("detail", None, information, holes=HOLES)
    # Nothing after it: what there was until then.
    information["backup"] = information["backup"][:1]
    shown = text("table", AWAY, information, language="en", holes=HOLES)
    assert "any moment since 2026-11-24 12:10:14 UTC until 2026-11-24 12:10:14 UTC (oldest:" in shown
    assert "from 2026-11-24 12:10:14 UTC to the next backup can be recovered" in shown


@pytest.mark.parametrize("view", ["table", "detail", "info", "size"])
def test_each_view_says_what_a_drill_found(view: str) -> None:
    given = result()
    given["records"][0]["record"] |= {"resultado": "fallido", "verificado": "2026-11-25T03:00:00+00:00"}
    given["records"][1]["record"] |= {"resultado": "correcto", "verificado": "2026-11-26T03:00:00+00:00"}
    shown = text(view, given)
    assert "NO RESTAURA (probado 2026-11-25)" in shown
    assert " restaura (probado 2026-11-26)" in shown
