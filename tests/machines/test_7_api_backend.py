"""What the control API starts over SSH: it trusts the machines that it knows, as ``ansible.cfg`` says, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cluster import INVENTORY, ROOT
from machines import PRIMARY_S_ROW
from relevo_api.plays import Request, RunnerBackend
from relevo_api.settings import Runner, Settings

KNOWN = "UserKnownHostsFile={{ inventory_dir }}/known_hosts -o StrictHostKeyChecking=accept-new"


def status(inventory: Path, directory: Path) -> tuple[bool, str]:
    """Whether ``status.yml`` went well as the API runs it, and what it printed."""
    printed: list[str] = []

    def note(event: Mapping[str, Any]) -> None:
        printed.append(str(event.get("stdout", "")))

    runner = Runner(
        ansible_playbook=ROOT / ".venv" / "bin" / "ansible-playbook",
        inventory=[str(inventory)],
        ansible_config=str(ROOT / "ansible.cfg"),
    )
    settings = Settings(
        state_directory=directory,
        playbooks=ROOT / "playbooks",
        project_directory=ROOT,
        backend=runner,
        clusters=[],
    )
    went_well = RunnerBackend(settings, runner, directory).run(Request("status.yml"), note, lambda _name: None)
    return went_well, "\n".join(printed)


@pytest.mark.timeout(300)
def test_a_machine_that_it_does_not_know_is_not_asked(tmp_path: Path) -> None:
    """ansible-runner would trust it; and ssh would ask at the runner's terminal, where nobody sits."""
    went_well, printed = status(INVENTORY, tmp_path)
    assert went_well, printed
    assert PRIMARY_S_ROW.search(printed), printed

    text = INVENTORY.read_text()
    assert KNOWN in text
    strangers = INVENTORY.with_name("strangers.yml")
    strangers.write_text(text.replace(KNOWN, "UserKnownHostsFile=/dev/null"))
    try:
        went_well, printed = status(strangers, tmp_path)
    finally:
        strangers.unlink()
    assert "Host key verification failed" in printed
    assert not PRIMARY_S_ROW.search(printed)
