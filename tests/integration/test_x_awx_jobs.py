"""The jobs as AWX runs them, on a real cluster: from a fresh checkout, with all secrets from the credential."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awx_data
import awx_job
import pytest
from cluster import INVENTORY, REPOSITORY, ROOT, SECRETS, controller_environment, labels, shell

pytestmark = pytest.mark.long

OBJECTS = awx_data.objects(awx_project_url="x", awx_execution_environment_image="x")
TEMPLATES = {template["name"]: template for template in OBJECTS["controller_templates"]}
[CREDENTIAL_TYPE] = OBJECTS["controller_credential_types"]
PASSWORDS = ("relevo_replication", "relevo_rewind", "relevo_monitor", "relevo_handover", "redis")


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    with awx_job.project() as folder:
        yield folder


@pytest.fixture(scope="module")
def inventory() -> dict[str, Any]:
    """The cluster's inventory as AWX has it after a synchronisation, with the variables of the inventory in AWX."""
    command = [str(awx_job.BIN / "ansible-inventory"), "-i", str(INVENTORY), "--list"]
    done = subprocess.run(command, cwd=ROOT, env=controller_environment(), capture_output=True, text=True, check=True)
    # Where its file was: AWX knows no such place.
    found: dict[str, Any] = json.loads(done.stdout.replace("{{ inventory_dir }}", str(ROOT / "molecule")))
    found["all"]["vars"] = OBJECTS["controller_inventories"][0]["variables"]
    return found


@pytest.fixture(scope="module")
def inputs() -> dict[str, str]:
    """What a person has typed into the credential."""
    typed = {name: (SECRETS / name).read_text().strip() for name in PASSWORDS}
    typed["others"] = f"user_imdb: {json.dumps((SECRETS / 'user_imdb').read_text().strip())}"
    typed["ca_certificate"] = (SECRETS / "tls" / "ca.crt").read_text()
    typed["ca_key"] = (SECRETS / "tls" / "ca.key").read_text()
    return typed


def test_the_jobs(checkout: Path, inventory: dict[str, Any], inputs: dict[str, str]) -> None:
    """One test, since a job is a minute on a busy machine: provision twice, backup, status, catalog, plan."""

    def job(name: str, **answers: Any) -> awx_job.Job:
        template = TEMPLATES[name]
        done = awx_job.run(
            checkout, template, inventory, awx_data.defaults(template) | answers, (CREDENTIAL_TYPE, inputs)
        )
        assert (done.status, done.code) == ("successful", 0), done.output
        return done

    # Each from a fresh private data directory: nothing is generated, and nothing changed.
    for _time in range(2):
        done = job("Relevo provision")
        assert "changed=0" in done.output
        assert not [line for line in done.output.splitlines() if "changed=" in line and "changed=0" not in line]

    before = labels()
    job("Relevo backup", day="1")
    [made] = [label for label in labels() if label not in before]
    information = shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres")
    [annotation] = [backup["annotation"] for backup in json.loads(information)[0]["backup"] if backup["label"] == made]
    assert annotation["relevo-by"] == "AWX job 17"

    assert made in job("Relevo catalog", view="detail").output
    assert "Nothing needs attention." in job("Relevo status", require="healthy").output
    plan = job("Relevo failover plan")
    assert "Hand over from" in plan.output
    assert "changed=0" in plan.output
