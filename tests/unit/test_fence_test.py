# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine could be fenced, from what the command that only asks gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._nodes.fence_test import (
    Asked,
    command_findings,
    findings,
    node_finding,
    program_fault,
)
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import run_for

ON = Asked(0, "on")


@pytest.mark.parametrize(
    ("answers", "asked", "problem"),
    [
        (True, ON, ""),
        (True, Asked(0, "Chassis Power is On"), ""),
        # A machine that is down may be on or off.
        (False, ON, ""),
        (False, Asked(0, "off"), ""),
        (True, Asked(0, "off"), "but it answers, so this is about another machine"),
        (True, Asked(1, "on"), "its state could not be had"),
        (True, Asked(None, "has not ended within 60 s"), "its state could not be had"),
        (True, Asked(0, ""), "what it prints must end with on or off"),
        (True, Asked(0, "running"), "what it prints must end with on or off"),
    ],
)
def test_what_an_answer_means(answers: bool, asked: Asked, problem: str) -> None:
    found = node_finding("db1", answers, asked)
    assert found.problem.startswith(problem)
    assert bool(found.problem) == bool(problem)
    assert found.line.startswith("! " if problem else "  ")
    assert asked.said in found.line


def test_both_commands_must_be_there_and_be_programs() -> None:
    assert [finding.problem for finding in command_findings(["/f"], ["/c", "status"], find=str)] == ["", ""]
    assert [bool(finding.problem) for finding in command_findings([], [], find=str)] == [True, True]
    missing = command_findings(["/f"], ["/c"], find={"/f": "/f"}.get)
    assert [finding.problem for finding in missing] == ["", "there is no such program, for the user of the controller"]


def test_a_file_that_may_not_be_run(tmp_path: Path) -> None:
    program = tmp_path / "fence"
    assert program_fault([str(program)]) == "there is no such program"
    program.write_text("#!/bin/sh\n")
    assert program_fault([str(program)]) == "it is not an executable file"
    program.chmod(0o755)
    assert program_fault([str(program)]) == ""


def test_containers_need_no_command() -> None:
    found = findings({"a": "docker", "b": "docker"}, ["a", "b"], command_findings([], [], find=str), {})
    assert [finding.about for finding in found] == ["a", "b"]
    assert not any(finding.problem for finding in found)
    mixed = findings({"a": "docker", "b": "ssh"}, ["a", "b"], command_findings(["/f"], ["/c"], find=str), {"b": ON})
    assert [finding.about for finding in mixed][2:] == ["a", "b"]


def test_a_command_is_told_the_node_and_cannot_hang() -> None:
    assert run_for("db1", ["sh", "-c", "echo warning >&2; echo $RELEVO_NODE on; exit 3"], 10) == (3, "warning\ndb1 on")
    assert run_for("db1", ["sleep", "10"], 0.05) == (None, "has not ended within 0.05 s")
    assert run_for("db1", ["/no/such/program"], 10) == (None, "could not be run: No such file or directory")
