# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the two backends are told, and what is said when one of them is silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from awx_jobs_stand_in import TOKEN, StandIn, awx
from relevo_api import plays
from relevo_api.play_process import PlayProcess
from relevo_api.plays import AwxBackend, BackendError, LostSightError, Request, RunnerBackend, answers_of
from relevo_api.settings import Awx, Runner, Settings


def ignore(*_arguments: object) -> None:
    return


def local(directory: Path, ansible_playbook: Path, *inventory: str) -> RunnerBackend:
    """The backend that runs plays on this machine, with all that it needs in one directory."""
    runner = Runner(ansible_playbook=ansible_playbook, inventory=list(inventory))
    settings = Settings(
        state_directory=directory, playbooks=directory, project_directory=directory, backend=runner, clusters=[]
    )
    return RunnerBackend(settings, runner, directory)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[tuple[StandIn, AwxBackend]]:
    (tmp_path / "token").write_text(TOKEN)
    with awx() as (started, url):
        options = Awx(kind="awx", url=url, token_file=tmp_path / "token", organization="Databases", poll_s=0.01)
        yield started, AwxBackend(options)


@pytest.mark.parametrize(("check", "arguments"), [(True, "--check"), (False, None)])
def test_a_plan_is_run_in_check_mode(
    check: bool, arguments: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def run(**told: Any) -> SimpleNamespace:
        given.update(told)
        return SimpleNamespace(rc=0)

    monkeypatch.setattr("ansible_runner.run", run)
    assert local(tmp_path, Path("/x")).run(Request("failover.yml", check=check), ignore, ignore)
    assert given["cmdline"] == arguments


@pytest.mark.parametrize("said_to_us", [None, "False"])
def test_whom_ssh_trusts_is_said_by_the_configuration_or_to_the_service(
    said_to_us: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ansible-runner says False where nobody says anything, which wins over ansible.cfg."""
    if said_to_us is None:
        monkeypatch.delenv(plays.HOST_KEY_CHECKING, raising=False)
    else:
        monkeypatch.setenv(plays.HOST_KEY_CHECKING, said_to_us)
    printed = tmp_path / "environment"
    playbook = tmp_path / "ansible-playbook"
    playbook.write_text(f"#!/bin/sh\nenv >{printed}\n")
    playbook.chmod(0o700)
    (tmp_path / "status.yml").write_text("[]")
    assert local(tmp_path, playbook, "localhost,").run(Request("status.yml"), ignore, ignore)
    seen = dict(line.split("=", 1) for line in printed.read_text().splitlines() if "=" in line)
    assert seen.get(plays.HOST_KEY_CHECKING) == said_to_us
    assert (seen["SSH_ASKPASS"], seen["SSH_ASKPASS_REQUIRE"]) == ("/bin/false", "force")


def test_a_survey_s_choices_are_text_and_its_defaults_are_no_answer() -> None:
    assert answers_of({"force": True, "keep": 3}) == {"force": "true", "keep": 3}
    assert answers_of({"target": "now"}) == {"target": "now", "target_type": "time"}
    assert answers_of({"target": "x", "target_type": "name"}) == {"target": "x", "target_type": "name"}
    assert answers_of({"target_type": "immediate"}) == {"target_type": "immediate"}


def test_a_template_that_runs_what_should_be_a_plan_is_cancelled(
    stand_in: tuple[StandIn, AwxBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, backend = stand_in
    launch = started.launch

    def stubborn(name: str, variables: dict[str, Any], _job_type: str) -> tuple[int, dict[str, Any]]:
        code, answer = launch(name, variables)
        return code, {**answer, "ignored_fields": {"job_type": "check"}}

    monkeypatch.setattr(started, "launch", stubborn)
    with pytest.raises(BackendError, match="does not take the job type check"):
        backend.run(Request("failback.yml", check=True), ignore, ignore)
    assert started.cancelled == [1]


def test_a_job_that_nobody_can_be_asked_about_may_still_run(
    stand_in: tuple[StandIn, AwxBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    started, backend = stand_in
    monkeypatch.setattr(plays, "PATIENCE_S", 0.1)
    started.away = 10_000
    names: list[str] = []
    with pytest.raises(LostSightError, match="AWX job 1 may still run"):
        backend.run(Request("failback.yml"), ignore, names.append)
    assert names == ["AWX job 1"]
    assert backend.state("AWX job 1") == ""
    started.away = 0
    assert backend.state("AWX job 1") == "running"


def test_secrets_that_are_variables_are_shown_nowhere(tmp_path: Path) -> None:
    settings = local(tmp_path, Path("/x")).settings
    settings.given_secrets_file.write_text('["hunter2hunter2"]')
    process = PlayProcess(settings, tmp_path)
    process.take({"event": "verbose", "stdout": "the password is hunter2hunter2"})
    assert "hunter2" not in (tmp_path / "log.txt").read_text() + (tmp_path / "events.jsonl").read_text()


def test_what_awx_says_to_an_answer_that_is_none_is_passed_on(stand_in: tuple[StandIn, AwxBackend]) -> None:
    with pytest.raises(BackendError, match="expected to be one of"):
        stand_in[1].run(Request("failover.yml", {"force": "maybe"}), ignore, ignore)


@pytest.mark.parametrize(
    ("asked", "template"),
    [
        ({"target": "2026-11-25T12:00:00+01:00"}, "Relevo restore beside++Databases"),
        ({"to": "beside", "timeline": 3}, "Relevo restore beside++Databases"),
        ({"remove": "main_latest"}, "Relevo restore beside++Databases"),
        (
            {"to": "cluster", "target_type": "latest", "timeline": 3, "confirm": "main"},
            "Relevo restore in place++Databases",
        ),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_a_restore_in_place_is_the_job_template_whose_permissions_are_for_it(
    asked: dict[str, Any], template: str, check: bool, stand_in: tuple[StandIn, AwxBackend]
) -> None:
    started, backend = stand_in
    assert backend.run(Request("restore.yml", {**asked, "cluster": "main"}, check=check), ignore, ignore)
    [job] = started.jobs
    assert (job["template"], job["job_type"]) == (template, "check" if check else "run")
    assert job["variables"].items() >= asked.items()


def test_who_has_no_template_for_it_learns_by_which_name_it_goes(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with awx() as (_started, url):
        options = Awx(
            kind="awx", url=url, token_file=tmp_path / "token", templates={"restore": "ours"}, organization="Others"
        )
        with pytest.raises(BackendError, match=r"Relevo restore in place\+\+Others.*as restore_in_place"):
            AwxBackend(options).run(Request("restore.yml", {"to": "cluster"}), ignore, ignore)
