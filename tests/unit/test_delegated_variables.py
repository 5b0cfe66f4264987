"""Variables of connections in which a delegated task finds another host's name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - relevo.postgres.inventory_check:
        names: {names}
"""
INVENTORY = """
all:
  vars: {{node_service_manager: systemd, site: example}}
  children:
    postgres: {{vars: {{{given}}}, hosts: {{db1: {{node_preferred_primary: true}}, db2: {{}}}}}}
    pgbackrest: {{vars: {{{given}}}, hosts: {{backup1: {{}}}}}}
"""
OWN = '"{{ inventory_hostname }}.{{ site }}"'


def check(tmp_path: Path, given: str, names: str = "ignore") -> str:
    (tmp_path / "play.yml").write_text(PLAY.format(names=names), encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(INVENTORY.format(given=given), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode == 0) is ("Nothing was touched" not in said), said
    return said


@pytest.mark.parametrize(
    "given",
    [
        f"ansible_host: {OWN}",
        # Through a variable of the user's own.
        f'fqdn: {OWN}, ansible_host: "{{{{ fqdn }}}}"',
    ],
)
def test_an_address_that_is_made_with_the_hosts_name_is_refused_with_what_to_write(tmp_path: Path, given: str) -> None:
    """Seen: the steps of a hand-over ran on the jump host, which is localhost to itself."""
    said = check(tmp_path, given)
    assert "ansible_host of backup1, db1, db2 is made with inventory_hostname." in said
    assert "Write what is meant: backup1.example for backup1, db1.example for db1, db2.example for db2." in said


def test_a_key_of_each_host_is_another_hosts_too(tmp_path: Path) -> None:
    said = check(tmp_path, 'ansible_ssh_private_key_file: "keys/{{ inventory_hostname }}"')
    assert "ansible_ssh_private_key_file of backup1, db1, db2 is made with" in said


def test_a_password_that_is_looked_up_by_it_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "db1.pw").write_text("hidden", encoding="utf-8")
    looked_up = "\"{{ lookup('ansible.builtin.file', inventory_dir ~ '/' ~ inventory_hostname ~ '.pw') }}\""
    said = check(tmp_path, f"ansible_become_password: {looked_up}", "refuse")
    assert "ansible_become_password of backup1, db1, db2 is made with" in said
    assert "Name the host itself, or give it in its host_vars." in said
    assert "hidden" not in said
    # Elsewhere nobody looks for it: it costs time, and what the values show is what enters another machine.
    assert "Nothing was touched" not in check(tmp_path, f"ansible_become_password: {looked_up}")


@pytest.mark.parametrize("names", ["ignore", "refuse"])
def test_what_means_the_same_everywhere_is_nobodys_fault(tmp_path: Path, names: str) -> None:
    given = 'ansible_user: "{{ site }}", ansible_ssh_common_args: "-J {{ groups.pgbackrest | first }}.{{ site }}"'
    assert "Nothing was touched" not in check(tmp_path, f'{given}, node_address: "{{{{ inventory_hostname }}}}"', names)
