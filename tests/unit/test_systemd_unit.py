"""The unit of PostgreSQL on a machine with systemd says what the hand-over's modules rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Systemd

TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "postgresql" / "templates"


@pytest.fixture
def unit() -> list[str]:
    """The lines of the template, which carries the name that the modules use."""
    return (TEMPLATES / f"{Systemd('postgresql').unit}.j2").read_text(encoding="utf-8").splitlines()


def test_a_clean_end_is_final_and_a_crash_is_not(unit: list[str]) -> None:
    """``Systemd.dont_restart`` does nothing: a fast stop in a hand-over must not be followed by a start."""
    assert "Restart=on-failure" in unit
    # What a clean end is must not be widened or narrowed either.
    assert [line for line in unit if line.startswith(("RestartForceExitStatus", "SuccessExitStatus"))] == []


def test_stop_asks_for_a_fast_shutdown_of_the_postmaster_alone(unit: list[str]) -> None:
    assert {"KillSignal=SIGINT", "KillMode=mixed"} <= set(unit)


def test_the_guard_stands_before_the_start_and_may_take_its_time(unit: list[str]) -> None:
    guard = next(line for line in unit if line.startswith("ExecStartPre="))
    assert f"PYTHONPATH={_names.CONFIG_DIR}/lib " in guard
    assert guard.endswith("-m relevo._start_guard")
    assert "TimeoutStartSec=infinity" in unit
    assert "StartLimitIntervalSec=0" in unit


def test_the_server_is_started_as_everywhere_else(unit: list[str]) -> None:
    command = f"{_names.PG_BINDIR}/postgres -D {_names.PGDATA} -c config_file={_names.CONFIG_FILE}"
    assert f"ExecStart={command}" in unit
    assert "User=postgres" in unit
    assert f"ConditionPathExists={_names.PGDATA}/PG_VERSION" in unit
