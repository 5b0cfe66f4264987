"""The catalog as people read it, and as the former scripts left it."""

from __future__ import annotations

import json

import pytest
from cluster import REDIS, REPOSITORY, SECRETS, labels, play, records, shell

CATALOG = "playbooks/catalog.yml"


def redis(*command: str) -> str:
    password = (SECRETS / "redis").read_text().strip()
    return shell(REDIS, "env", f"REDISCLI_AUTH={password}", "redis-cli", *command).strip()


def annotation(label: str) -> str | None:
    """The primary that the repository itself knows of a backup."""
    text = shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres")
    [backup] = [one for one in json.loads(text)[0]["backup"] if one["label"] == label]
    found: str | None = (backup.get("annotation") or {}).get("relevo-primary")
    return found


def test_a_view_speaks_the_language_that_is_asked_for(backed_up: None) -> None:
    spanish, english = play(CATALOG).text, play(CATALOG, "-e", "catalog_language=en").text
    assert "BACKUPS REGISTRADOS EN REDIS" in spanish
    assert "Ventana de recuperación: cualquier momento desde" in spanish
    assert "BACKUPS RECORDED IN REDIS" in english
    assert "Recovery window: any moment since" in english
    refused = play(CATALOG, "-e", "catalog_language=fr", expect=2)
    assert "catalog_language must be one of: es, en" in refused.text


@pytest.mark.long
def test_the_primary_that_only_an_old_record_knows_goes_to_the_repository(backed_up: None) -> None:
    before = labels()
    shell(REPOSITORY, "pgbackrest", "--stanza=main", "--type=incr", "backup", user="postgres")
    [label] = set(labels()) - set(before)
    assert annotation(label) is None
    date, clock = label.split("_")[-1][:-1].split("-")
    record = {
        "fecha": f"{date[:4]}-{date[4:6]}-{date[6:]}",
        "hora": f"{clock[:2]}:{clock[2:4]}:{clock[4:]}",
        "tipo_backup": "incremental",
        "direccion_almacenamiento": f"/var/lib/pgbackrest/backup/main/{label}",
        "maestro_usado": "postgres_slave",
        "metodo": "pgBackRest",
        "stanza": "main",
    }
    key = f"backup:{record['fecha']}_{record['hora'].replace(':', '-')}"
    redis("hset", key, *(part for pair in record.items() for part in pair))

    assert play("site.yml", "-e", "catalog_search=true").changed > 0
    assert annotation(label) == "postgres_slave"
    [adopted] = [one for one in records() if one["etiqueta"] == label]
    assert adopted["maestro_usado"] == "postgres_slave"
    assert play("site.yml", "-e", "catalog_search=true").changed == 0
