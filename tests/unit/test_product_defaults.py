"""What belongs to somebody's system is in an inventory, not in the product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
# The sample is a database of films under this name, wherever it is loaded.
OF_THE_SAMPLE = "roles/sample_database/"


def product_files() -> list[Path]:
    """What a play runs with; documentation may give examples."""
    files = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in files if path.suffix in (".yml", ".j2", ".sh", "") and "meta" not in path.parts]


def test_no_role_or_playbook_names_a_database_of_its_own() -> None:
    files = product_files()
    assert len(files) > 50
    named = {str(path.relative_to(ROOT)) for path in files if re.search(r"\bimdb\b", path.read_text(encoding="utf-8"))}
    assert {name for name in named if not name.startswith(OF_THE_SAMPLE)} == set()


def test_the_role_makes_no_user_and_no_database_by_itself() -> None:
    defaults = yaml.safe_load((ROOT / "roles/postgresql/defaults/main.yml").read_text(encoding="utf-8"))
    assert defaults["postgresql_databases"] == []
    assert defaults["postgresql_users"] == []


@pytest.mark.parametrize("inventory", ["inventory/docker.yml", "molecule/inventory.yml"])
def test_the_container_inventories_have_what_up_fills(inventory: str) -> None:
    variables = yaml.safe_load((ROOT / inventory).read_text(encoding="utf-8"))["all"]["vars"]
    sample = yaml.safe_load((ROOT / "roles/sample_database/defaults/main.yml").read_text(encoding="utf-8"))
    assert sample["sample_database_name"] in [database["name"] for database in variables["postgresql_databases"]]
    owners = {database["owner"] for database in variables["postgresql_databases"]}
    assert owners <= {user["name"] for user in variables["postgresql_users"]}
