# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each template's playbook, run as AWX runs it, up to the first refusal; tests/integration runs them on a cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awx_data
import awx_job
import pytest

OBJECTS = awx_data.objects(awx_project_url="x", awx_execution_environment_image="x")
TEMPLATES = {template["name"]: template for template in OBJECTS["controller_templates"]}
[CREDENTIAL_TYPE] = OBJECTS["controller_credential_types"]
[AWX_INVENTORY] = OBJECTS["controller_inventories"]
INPUTS = {"relevo_monitor": "a", "redis": "b", "ca_key": "c"}
NODE = {
    "ansible_connection": "community.docker.docker_api",
    "node_kind": "docker",
    "node_service_manager": "runit",
    "node_address": "{{ inventory_hostname }}",
}
INVENTORY: dict[str, Any] = {
    "_meta": {"hostvars": {"a": {**NODE, "node_preferred_primary": True}, "b": NODE, "c": NODE}},
    "all": {"children": ["postgres", "pgbackrest"], "vars": AWX_INVENTORY["variables"]},
    "postgres": {"hosts": ["a", "b"]},
    "pgbackrest": {"hosts": ["c"]},
}


def key_of_the_machine_credential(folder: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True, timeout=60)
    return (folder / "key").read_text()


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    with awx_job.project() as folder:
        yield folder


def test_the_checkout_has_the_link_and_no_environment(checkout: Path) -> None:
    assert (checkout / "collections" / "ansible_collections" / "relevo" / "postgres").is_symlink()
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_job_starts_with_the_answers_of_its_survey(name: str, checkout: Path) -> None:
    """Nothing was answered but the cluster, which does not exist: each job gets as far as to say so."""
    template = TEMPLATES[name]
    answers = {**awx_data.defaults(template), "cluster": "no {{ such }}"}
    job = awx_job.run(checkout, template, INVENTORY, answers, (CREDENTIAL_TYPE, INPUTS))
    assert (job.status, job.code) == ("failed", 2), job.output
    assert "no {{ such }}" in job.text
    assert "main" in job.text


def test_a_job_starts_with_the_key_of_its_machine_credential(checkout: Path, tmp_path: Path) -> None:
    """ansible-runner gives it to an agent, which starts Ansible."""
    template = TEMPLATES["Relevo status"]
    answers = {**awx_data.defaults(template), "cluster": "none"}
    key = key_of_the_machine_credential(tmp_path)
    job = awx_job.run(checkout, template, INVENTORY, answers, (CREDENTIAL_TYPE, INPUTS), ssh_key=key)
    assert "Identity added" in job.output
    assert (job.status, job.code) == ("failed", 2), job.output
    assert "none" in job.text
