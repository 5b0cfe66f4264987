"""The runner of the test suite: what shares containers runs in order, the rest beside it, and nothing is left over."""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
import time
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).resolve().parents[1] / "run"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_loader("tests_run", SourceFileLoader("tests_run", str(RUN)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up.
    monkeypatch.setitem(sys.modules, "tests_run", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path)
    return module


def writes(name: str, tmp_path: Path, before: str = "pass") -> str:
    return f"python -c \"{before}; open('{tmp_path}/{name}', 'x').close()\""


def waits_for(name: str, tmp_path: Path) -> str:
    return f"import os, time; [time.sleep(0.02) for _ in range(500) if not os.path.exists('{tmp_path}/{name}')]"


def test_the_lanes_run_side_by_side_and_each_in_order(runner: ModuleType, tmp_path: Path) -> None:
    fails = f"python -c \"import os, sys; sys.exit(0 if os.path.exists('{tmp_path}/a') else 3)\""
    parts = [
        # Each ends only when the other lane's has begun: one after the other they would need twice ten seconds.
        runner.Part("a", "x", writes("a", tmp_path, waits_for("b", tmp_path)), 1, True),
        runner.Part("after-a", "x", fails, 1, True),
        runner.Part("b", "x", writes("b", tmp_path), 1),
    ]
    lanes = runner.Lanes(parts)
    lanes.run()
    assert {outcome.part.name: outcome.problem for outcome in lanes.outcomes} == {"a": "", "after-a": "", "b": ""}
    assert runner.summary(lanes.outcomes, 3, 1.0)
    assert max(outcome.seconds for outcome in lanes.outcomes) < 10


def test_a_lane_that_is_free_takes_what_the_other_has_not_begun(runner: ModuleType, tmp_path: Path) -> None:
    parts = [
        # The other lane is held until this one has done its own part and taken the last.
        runner.Part("holds", "x", writes("holds", tmp_path, waits_for("last", tmp_path)), 1),
        runner.Part("last", "x", writes("last", tmp_path), 1),
        runner.Part("shares", "x", writes("shares", tmp_path), 1, True),
    ]
    lanes = runner.Lanes(parts)
    lanes.run()
    # In any order: what is held is let go before the last has ended.
    assert runner.summary(lanes.outcomes, 3, 1.0)
    assert max(outcome.seconds for outcome in lanes.outcomes) < 10


def test_what_wants_to_be_alone_begins_when_both_lanes_have_ended(runner: ModuleType, tmp_path: Path) -> None:
    both = f"python -c \"import os, sys; sys.exit(not all(os.path.exists('{tmp_path}/' + name) for name in 'ab'))\""
    late = "import time; time.sleep(0.3)"
    parts = [
        runner.Part("alone", "x", both, 1, True, alone=True),
        runner.Part("a", "x", writes("a", tmp_path, late), 1, True),
        runner.Part("b", "x", writes("b", tmp_path, late), 1),
    ]
    lanes = runner.Lanes(parts)
    lanes.run()
    assert [outcome.part.name for outcome in lanes.outcomes][-1] == "alone"
    assert runner.summary(lanes.outcomes, 3, 1.0)


def test_each_file_of_the_integration_tests_is_in_one_part(runner: ModuleType) -> None:
    files = [name for part in runner.integration_files() for name in part.split()]
    assert sorted(files) == sorted(
        f"tests/integration/{path.name}" for path in (RUN.parent / "integration").glob("test_*.py")
    )
    assert "tests/integration/test_q_cleanup.py" in runner.integration_files()[0]


def test_one_failure_keeps_no_other_part_from_running(runner: ModuleType, tmp_path: Path) -> None:
    parts = [runner.Part("bad", "x", "python -c 'raise SystemExit(4)'", 1), runner.Part("good", "x", "python -V", 1)]
    lanes = runner.Lanes(parts)
    lanes.run()
    assert {outcome.part.name: outcome.problem for outcome in lanes.outcomes} == {"bad": "exit status 4", "good": ""}
    assert not runner.summary(lanes.outcomes, 2, 1.0)


def test_the_summary_names_the_tests_that_failed(
    runner: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "test_two.py").write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
    lanes = runner.Lanes([runner.Part("x:y", "x", f"pytest -ra -p no:cacheprovider {tmp_path}/test_two.py", 1)])
    lanes.run()
    capsys.readouterr()
    assert not runner.summary(lanes.outcomes, 1, 1.0)
    said = capsys.readouterr().out
    assert re.search(r"^x:y: FAILED \S*test_two\.py::test_bad", said, re.MULTILINE)
    assert "test_good" not in said


def test_what_shares_no_container_runs_in_the_other_lane(runner: ModuleType) -> None:
    own = {part.name for part in runner.all_parts(True) if "RELEVO_TEST_CLUSTER=" in part.command}
    assert own == {"api", "backups", "machines:bookworm"}
    assert not any(part.containers for part in runner.all_parts(True) if part.name in own)


def test_what_is_interrupted_is_ended_and_nothing_follows(runner: ModuleType, tmp_path: Path) -> None:
    waits = f"python -c \"import time; open('{tmp_path}/up', 'x').close(); time.sleep(60); open('{tmp_path}/x', 'x')\""
    parts = [runner.Part("waits", "x", waits, 2, True), runner.Part("next", "x", "python -V", 1, True)]
    lanes = runner.Lanes(parts)
    thread = threading.Thread(target=lanes.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not (tmp_path / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    lanes.interrupted.set()
    thread.join(timeout=30)
    assert not thread.is_alive()
    assert [(outcome.part.name, outcome.problem) for outcome in lanes.outcomes] == [("waits", "interrupted")]


def test_the_oldest_release_gets_the_whole_trial_and_the_restores(runner: ModuleType) -> None:
    [older] = [part for part in runner.all_parts(True) if part.name == "machines:bookworm"]
    for given in ("RELEVO_MACHINES_SUITE=bookworm", "RELEVO_TEST_VERSION=15", "RELEVO_MACHINES_BY_ADDRESS=yes"):
        assert given in older.command.split()
    assert "tests/machines/test_1_trial.py" in older.command
    assert "tests/machines/test_a_restore.py" in older.command
    assert "not long" not in older.command
