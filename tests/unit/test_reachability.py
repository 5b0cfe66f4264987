"""Who answers: concluded from the engine's words and from what the connections gave."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import Status
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.reachability import reachability
from ansible_collections.relevo.postgres.plugins.plugin_utils._machines import ask_all

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("state", ["paused", "restarting", "stopped", "missing"])
def test_a_container_that_does_not_run_is_down_and_need_not_be_asked(state: Status) -> None:
    found = reachability(["a", "b"], {"a": "running", "b": state}, {})
    assert found.answering == ["a"]
    assert found.down == found.unreachable == {"b": f"its container is {state}"}
    assert found.states == {"a": "running", "b": state}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("paused", "The container b is paused. Run docker unpause b, then this again."),
        ("missing", "There is no container b to start. Run site.yml, which creates it."),
        ("stopped", ""),
        ("restarting", ""),
        ("unknown", ""),
    ],
)
def test_which_containers_can_just_be_started(state: Status, said: str) -> None:
    found = reachability(["a", "b"], {"a": "running", "b": state}, {})
    assert found.cannot_start == ({"b": said} if said else {})


def test_a_machine_that_answers_counts_among_those_that_do() -> None:
    found = reachability(["a", "b"], {}, {"a": None, "b": None})
    assert (found.answering, found.unreachable) == (["a", "b"], {})


def test_the_server_of_a_machine_without_a_connection_is_asked_all_the_same() -> None:
    found = reachability(["a", "b"], {"a": "running"}, {"b": "Connection refused"})
    assert found.answering == ["a"]
    assert (found.down, found.unreachable) == ({}, {"b": "Connection refused"})


def test_the_order_is_that_of_the_inventory() -> None:
    assert reachability(["c", "a", "b"], {"a": "running"}, {"b": None, "c": None}).answering == ["c", "a", "b"]


def test_nobody_is_an_error_that_says_why() -> None:
    found = reachability(["a", "b"], {"a": "stopped"}, {"b": "Connection timed out"})
    with pytest.raises(RelevoError, match=r"a: its container is stopped; b: Connection timed out.*Nothing was touched"):
        found.require_any()
    reachability(["a"], {}, {"a": None}).require_any()


def test_a_machine_that_hangs_costs_the_deadline_and_no_more() -> None:
    release = threading.Event()

    def hangs() -> None:
        release.wait(30)

    try:
        answers = ask_all({"a": lambda: None, "b": lambda: "refused", "c": hangs}, deadline=0.2)
    finally:
        release.set()
    assert answers == {"a": None, "b": "refused", "c": "no answer within 0.2 s"}


PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - relevo.postgres.node_info:
        nodes: [here, nobody]
      register: found
    - ansible.builtin.assert:
        that:
          - found.answering == ['here']
          - found.unreachable_nodes.keys() | list == ['nobody']
          - "'refused' in found.unreachable_nodes.nobody"
          - found.down == {}
"""
INVENTORY = """
all:
  hosts:
    here: {ansible_connection: local}
    nobody: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
"""


def run_play(tmp_path: Path, play: str, inventory: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "play.yml").write_text(play, encoding="utf-8")
    (tmp_path / "hosts.yml").write_text(inventory, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_machine_that_refuses_is_a_result_and_prints_nothing(tmp_path: Path) -> None:
    done = run_play(tmp_path, PLAY, INVENTORY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unreachable:" not in done.stdout.lower().replace("unreachable=0", ""), done.stdout
    assert "UNREACHABLE" not in done.stdout + done.stderr


EARLY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - relevo.postgres.node_info:
        cluster: main
        ask_servers: true
      register: found
    - ansible.builtin.assert:
        that:
          - found.servers.unreachable == {}
          - found.servers.answer.nodes.db1.error is search('db1.invalid')
          - found.answering == ['repository', 'db1']
"""
CLUSTER = f"""
all:
  vars: {{ansible_connection: local, ansible_python_interpreter: {sys.executable}}}
  children:
    postgres:
      hosts:
        db1: {{node_cluster: main, node_preferred_primary: true, node_address: db1.invalid}}
    pgbackrest:
      hosts:
        repository: {{node_clusters: [main]}}
"""


def test_the_servers_are_asked_meanwhile_by_the_repository_host(tmp_path: Path) -> None:
    done = run_play(tmp_path, EARLY, CLUSTER)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_asked_where_that_is_not_reached(tmp_path: Path) -> None:
    away = CLUSTER.replace(
        "repository: {", "repository: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1, "
    )
    done = run_play(tmp_path, EARLY.split("    - ansible.builtin.assert")[0] + NOTHING, away)
    assert done.returncode == 0, done.stdout + done.stderr


NOTHING = """
    - ansible.builtin.assert:
        that:
          - found.servers == {}
          - found.answering == ['db1']
"""
