"""What the repository host notes of an instance on another host: of a restore and of a drill, by the same task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
NOTE = "Note on the repository host what another host reads of it"
DRILL = {
    "drill_cluster": "main",
    "__drill_planned": {"name": "main_drill", "label": "20261126-010000F"},
    "__drill_reached": {"repository": "repo"},
}
RESTORE = {
    "restore_cluster": "main",
    "__restore_planned": {"name": "main_latest", "plan": {"label": "20261126-010000F"}},
    "__restore_reached": {"repository": "repo"},
}
#: Of a restore: each of its tasks includes note.yml with these.
OF_A_RESTORE = {
    "name": "Keep its backup",
    "ansible.builtin.include_role": {"name": "relevo.postgres.restore", "tasks_from": "note"},
    "vars": {"__restore_note": "reading", "__restore_noted": "{{ __restore_planned.name }}"},
}


def of_a_drill() -> list[dict[str, Any]]:
    tasks = yaml.safe_load((ROOT / "roles" / "drill" / "tasks" / "try.yml").read_text(encoding="utf-8"))
    return [task for task in tasks if task.get("ansible.builtin.include_role", {}).get("tasks_from") == "note"]


def noted(tmp_path: Path, tasks: list[dict[str, Any]], variables: dict[str, Any]) -> list[dict[str, Any]]:
    """What the module was told by each task, on which host, in check mode; none where it was left out."""
    hosts = {name: {"ansible_connection": "local"} for name in ("repo", "reports")}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"pgbackrest": {"hosts": hosts}}), encoding="utf-8")
    play = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", "--check", "-i", str(tmp_path / "hosts.yml")]
    done = subprocess.run(
        [*command, str(tmp_path / "play.yml")],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran = json.loads(done.stdout[done.stdout.index("{") :])["plays"][0]["tasks"]
    results = [host for task in ran if task["task"]["name"].endswith(NOTE) for host in task["hosts"].values()]
    return [
        {"on": one["_ansible_delegated_vars"]["ansible_host"], **one["invocation"]["module_args"]}
        for one in results
        if not one.get("skipped")
    ]


def told(name: str, state: str) -> dict[str, Any]:
    label = "20261126-010000F"
    return {"on": "repo", "cluster": "main", "host": "reports", "name": name, "backup": label, "state": state}


@pytest.mark.parametrize("host", ["reports", "repo"])
def test_a_drill_on_another_host_is_noted_until_it_is_over(tmp_path: Path, host: str) -> None:
    found = noted(tmp_path, of_a_drill(), {**DRILL, "drill_host": host})
    wanted = [told("main_drill", "reading"), told("main_drill", "absent")]
    assert found == (wanted if host == "reports" else [])


def test_a_restore_on_another_host_is_noted_by_the_same_task(tmp_path: Path) -> None:
    assert noted(tmp_path, [OF_A_RESTORE], {**RESTORE, "restore_host": "reports"}) == [told("main_latest", "reading")]
    assert noted(tmp_path, [OF_A_RESTORE], {**RESTORE, "restore_host": "repo"}) == []
