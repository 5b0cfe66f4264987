"""The jobs as AWX runs them, over SSH: the key and the known hosts come from its two credentials."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awx_job
import pytest
from awx_cluster import Jobs, changes_nothing, synchronised, typed
from cluster import INVENTORY
from machines import PRIMARY_S_ROW, SSH_PORTS

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    with awx_job.project() as folder:
        yield folder


@pytest.fixture
def inventory(unharmed: None) -> dict[str, Any]:
    """Without what only this controller's disk has: the key, the known hosts, the password of sudo. A test that failed
    is followed by new machines, which have others.
    """
    found = synchronised()
    password = (INVENTORY.parent / "sudo_password").read_text()
    for variables in found["_meta"]["hostvars"].values():
        for name in ("ansible_ssh_private_key_file", "ansible_ssh_common_args"):
            del variables[name]
        variables["ansible_become_password"] = password
    return found


def scanned() -> str:
    """The lines that ssh-keyscan prints for all machines."""
    return "".join(
        subprocess.run(
            ["ssh-keyscan", "-p", str(port), "127.0.0.1"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for port in SSH_PORTS.values()
    )


def test_a_job_reaches_the_machines_that_its_credential_knows(checkout: Path, inventory: dict[str, Any]) -> None:
    key = (INVENTORY.parent / "login").read_text()
    known = Jobs(checkout, inventory, {**typed(), "known_hosts": scanned()}, key)
    assert changes_nothing(known("Relevo provision"))
    assert PRIMARY_S_ROW.search(known("Relevo status").output)


def test_a_job_reaches_the_machines_that_the_inventory_knows(checkout: Path, inventory: dict[str, Any]) -> None:
    """As docs/awx.md writes it: the repository has their keys, in a file whose path begins at its root."""
    (checkout / "inventory" / "known_hosts").write_text(scanned())
    ours = copy.deepcopy(inventory)
    written = "-o UserKnownHostsFile=inventory/known_hosts -o StrictHostKeyChecking=yes"
    for variables in ours["_meta"]["hostvars"].values():
        variables["ansible_ssh_common_args"] = written
    known = Jobs(checkout, ours, typed(), (INVENTORY.parent / "login").read_text())
    assert PRIMARY_S_ROW.search(known("Relevo status").output)


def test_a_job_refuses_machines_that_it_does_not_know(checkout: Path, inventory: dict[str, Any]) -> None:
    unknown = Jobs(checkout, inventory, typed(), (INVENTORY.parent / "login").read_text())
    refused = unknown("Relevo provision", 2).text
    assert "Host key verification failed" in refused
    assert "Nothing was changed" in refused
