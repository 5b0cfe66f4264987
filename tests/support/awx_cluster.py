"""The jobs of AWX on the cluster under test: its inventory as AWX has it, and its secrets as a person types them in."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import awx_data
import awx_job
from cluster import INVENTORY, ROOT, SECRETS, controller_environment

OBJECTS = awx_data.objects(awx_project_url="x", awx_execution_environment_image="x")
TEMPLATES = {template["name"]: template for template in OBJECTS["controller_templates"]}
[CREDENTIAL_TYPE] = OBJECTS["controller_credential_types"]
PASSWORDS = ("relevo_replication", "relevo_rewind", "relevo_monitor", "relevo_handover", "redis")


def synchronised() -> dict[str, Any]:
    """The cluster's inventory as AWX has it after a synchronisation, with the variables of the inventory in AWX."""
    command = [str(awx_job.BIN / "ansible-inventory"), "-i", str(INVENTORY), "--list"]
    done = subprocess.run(command, cwd=ROOT, env=controller_environment(), capture_output=True, text=True, check=True)
    # Where its file was: AWX knows no such place.
    found: dict[str, Any] = json.loads(done.stdout.replace("{{ inventory_dir }}", str(ROOT / "molecule")))
    found["all"]["vars"] = OBJECTS["controller_inventories"][0]["variables"]
    return found


def typed() -> dict[str, str]:
    """What a person has typed into the credential of the cluster's secrets."""
    inputs = {name: (SECRETS / name).read_text().strip() for name in PASSWORDS}
    inputs["others"] = f"user_imdb: {json.dumps((SECRETS / 'user_imdb').read_text().strip())}"
    inputs["ca_certificate"] = (SECRETS / "tls" / "ca.crt").read_text()
    inputs["ca_key"] = (SECRETS / "tls" / "ca.key").read_text()
    return inputs


class Jobs:
    """Runs jobs from one checkout, each in a private data directory of its own."""

    def __init__(self, checkout: Path, inventory: dict[str, Any], inputs: dict[str, str], ssh_key: str = "") -> None:
        self.checkout, self.inventory, self.inputs, self.ssh_key = checkout, inventory, inputs, ssh_key

    def __call__(self, name: str, expect: int = 0, check: bool = False, **answers: Any) -> awx_job.Job:
        """Run a job with these answers, and the defaults of its survey for the others; ``check``: its job type."""
        template, started = TEMPLATES[name] | ({"job_type": "check"} if check else {}), time.monotonic()
        given = awx_data.defaults(template) | answers
        done = awx_job.run(
            self.checkout, template, self.inventory, given, (CREDENTIAL_TYPE, self.inputs), ssh_key=self.ssh_key
        )
        print(f"\n{name} {answers}   [{time.monotonic() - started:.1f} s, {done.status}]")
        assert (done.status, done.code) == ("failed" if expect else "successful", expect), done.output
        return done


def changes_nothing(done: awx_job.Job) -> bool:
    """Whether no task of any host has changed anything."""
    return {int(count) for count in re.findall(r"\bchanged=(\d+)", done.output)} == {0}
