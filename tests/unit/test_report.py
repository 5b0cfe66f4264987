"""The action plugin prints once, raw, and in check mode too."""

from __future__ import annotations

import json
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
    - name: Before
      ansible.builtin.debug:
        msg: before
    - name: Show
      relevo.postgres.report:
        text: "║ first 'line' ║\\n║ {{ '{' }}second: \\"line\\"} ║\\n"
      register: shown
    - name: Hidden
      relevo.postgres.report:
        text: for the curious
        verbosity: 1
    - name: After
      ansible.builtin.assert:
        that: not shown.changed and shown.text is search('second')
"""


DATA = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Print it
      relevo.postgres.report:
        data: {version: 1, text: "ñ", nodes: [{name: a}]}
"""


def play(tmp_path: Path, *arguments: str, content: str = PLAY, **more: str) -> str:
    book = tmp_path / "play.yml"
    book.write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(book), *arguments]
    # By default only changes are shown, and this looks at the order of all that is.
    shown = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_DISPLAY_OK_HOSTS": "1"}
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **shown, **more}
    done = subprocess.run(  # no terminal, as under a job runner
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("--check",)])
def test_the_text_is_printed_once_as_it_is_and_in_its_place(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    output = play(tmp_path, *arguments)
    assert "\n║ first 'line' ║\n║ {second: \"line\"} ║\n" in output
    assert output.count("first 'line'") == 1
    assert output.index("before") < output.index("first 'line'") < output.index("TASK [After]")
    assert "for the curious" not in output
    assert "changed=0" in output


def test_data_is_printed_as_json_that_is_easy_to_cut_out(tmp_path: Path) -> None:
    output = play(tmp_path, content=DATA)
    cut = output[output.index("\n{\n") : output.rindex("\n}\n") + 2]
    assert json.loads(cut) == {"version": 1, "text": "ñ", "nodes": [{"name": "a"}]}


def test_nothing_is_printed_into_a_document_of_json(tmp_path: Path) -> None:
    """A callback that writes JSON has the result; a text in between would break what a program reads."""
    output = play(tmp_path, content=DATA, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    task = json.loads(output)["plays"][0]["tasks"][0]
    assert task["hosts"]["localhost"]["data"]["version"] == 1


def test_verbosity_is_honoured(tmp_path: Path) -> None:
    assert "\nfor the curious\n" in play(tmp_path, "-v")
