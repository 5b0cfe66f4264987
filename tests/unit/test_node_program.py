"""A part of module_utils runs on a node, with nothing of the collection installed there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._handover.promote_arguments import spec
from ansible_collections.relevo.postgres.plugins.plugin_utils._node_program import MARK, answer_in, program

ROOT = Path(__file__).resolve().parents[2]
QUESTION = {
    "nodes": [{"name": "a", "host": "127.0.0.1", "port": 1}, {"name": "b"}],
    "unreachable": {"b": "its container is stopped"},
    "timeout": 2,
    "passfile": "/nowhere/pgpass",
    "ca_file": "/nowhere/ca.crt",
}


def test_it_asks_from_an_empty_directory(tmp_path: Path) -> None:
    text = program("_cluster.ask", QUESTION)
    done = subprocess.run(
        [sys.executable, "-"], input=text, cwd=tmp_path, capture_output=True, text=True, check=False, env={}
    )
    answer = answer_in(done.stdout)
    assert answer is not None, done.stderr
    assert [node["role"] for node in answer["nodes"].values()] == ["unreachable", "unreachable"]
    assert answer["nodes"]["b"]["error"] == "b: its container is stopped"
    assert answer["primary"] is None


def test_a_promotion_can_be_one_and_says_what_is_wrong(tmp_path: Path) -> None:
    """There is no server here; what it would do with one the integration tests show."""
    given = {name: option.get("default") for name, option in spec().items()} | {"nodes": [{"name": "a"}], "node": "b"}
    text = program("_handover.promote", {"arguments": given, "check_mode": True})
    done = subprocess.run(
        [sys.executable, "-"], input=text, cwd=tmp_path, capture_output=True, text=True, check=False, env={}
    )
    assert answer_in(done.stdout) == {
        "failed": True,
        "msg": "b is not among the nodes. Nothing was changed; check the inventory.",
    }, done.stderr


@pytest.mark.parametrize("output", ["", "Traceback", f"{MARK}{{", f"{MARK}[]"])
def test_what_is_not_an_answer_is_none(output: str) -> None:
    assert answer_in(output) is None


def test_what_others_print_before_it_is_passed_over() -> None:
    assert answer_in(f'Welcome\n{MARK}{{"a": 1}}\n') == {"a": 1}


PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - relevo.postgres.pg_handover_plan:
        nodes: [{name: a, host: 127.0.0.1, port: 1}]
        preferred: a
        operation: failover
      register: planned
      ignore_errors: true
    - relevo.postgres.report: {text: "{{ planned.msg }}"}
"""


def test_an_action_asks_with_it(tmp_path: Path) -> None:
    """Ansible loads the collection in its own way, so the sources come from another loader than above."""
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    inventory = f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n"
    (tmp_path / "hosts").write_text(inventory, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "-vvv",
            "-i",
            str(tmp_path / "hosts"),
            str(tmp_path / "play.yml"),
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No node of the cluster answers" in done.stdout, done.stdout + done.stderr
    # The module is asked only after a refusal, for a restore in place that may be the reason.
    assert done.stdout.index(f"{sys.executable} -") < done.stdout.index("pg_primary_facts.py")
