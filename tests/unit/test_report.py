"""The action plugin prints once, raw, and in check mode too."""

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


def play(tmp_path: Path, *arguments: str) -> str:
    book = tmp_path / "play.yml"
    book.write_text(PLAY, encoding="utf-8")
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", str(book), *arguments]
    # By default only changes are shown, and this looks at the order of all that is.
    shown = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_DISPLAY_OK_HOSTS": "1"}
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **shown}
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


def test_verbosity_is_honoured(tmp_path: Path) -> None:
    assert "\nfor the curious\n" in play(tmp_path, "-v")
