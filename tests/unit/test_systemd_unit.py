"""The unit of PostgreSQL on a machine with systemd says what the hand-over's modules rely on."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import Template

from ansible_collections.relevo.postgres.plugins.filter.postgresql_paths import postgresql_paths
from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Systemd

# Not the default, so that it cannot be hard-coded.
VERSION = "23"
TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "postgresql" / "templates"


@pytest.fixture
def unit() -> list[str]:
    """The lines of the template, which carries the name that the modules use."""
    text = (TEMPLATES / f"{Systemd('postgresql').unit}.j2").read_text(encoding="utf-8")
    rendered: str = Template(text).render(__postgresql_paths=postgresql_paths(VERSION))
    return rendered.splitlines()


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
    data = _names.data_directory(VERSION)
    command = f"{_names.bin_directory(VERSION)}/postgres -D {data} -c config_file={_names.CONFIG_FILE}"
    assert f"ExecStart={command}" in unit
    assert "User=postgres" in unit
    assert f"ConditionPathExists={data}/PG_VERSION" in unit
