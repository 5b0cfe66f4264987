"""Files of settings: what they say, and what they say when a value is replaced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import tls_server
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.module_utils._server.settings_file import (
    line_for,
    same,
    server_lines,
    settings_of,
    with_values,
)
from ansible_collections.relevo.postgres.plugins.modules import pg_node_info

ROLE = Path(__file__).resolve().parents[2] / "roles" / "postgresql"

TEXT = """# max_connections = 1
Port = '5432'
application_name = 'it''s'
max_connections 50   # without a sign
port = 5433 # the last one counts
include_dir = 'conf.d'
"""


def test_the_last_of_two_values_counts() -> None:
    assert settings_of(TEXT) == {
        "port": "5433",
        "application_name": "it's",
        "max_connections": "50",
        "include_dir": "conf.d",
    }


@pytest.mark.parametrize(
    ("values", "missing", "found"),
    [
        ({"max_connections": "60"}, True, {"max_connections": "60"}),
        ({"PORT": "1"}, True, {"port": "1"}),
        ({"application_name": "o'clock"}, True, {"application_name": "o'clock"}),
        ({"jit": "off"}, True, {"jit": "off"}),
        ({"jit": "off", "max_connections": "60"}, False, {"max_connections": "60"}),
    ],
)
def test_a_value_is_replaced_and_the_rest_stays(values: dict[str, str], missing: bool, found: dict[str, str]) -> None:
    text = with_values(TEXT, values, missing)
    assert settings_of(text) == settings_of(TEXT) | found
    assert text.splitlines()[-1] == "include_dir = 'conf.d'"


def test_none_takes_a_setting_out() -> None:
    left = settings_of(with_values(TEXT, {"port": None, "jit": None}))
    assert left == {name: value for name, value in settings_of(TEXT).items() if name != "port"}


def test_what_replaces_nothing_changes_nothing() -> None:
    assert with_values(TEXT, {}) == TEXT


@pytest.mark.parametrize("value", ["it's", r"a\qb", r"C:\x'", r"\\", "''", ""])
def test_what_is_written_is_read_again(value: str) -> None:
    assert settings_of(line_for("log_line_prefix", value)) == {"log_line_prefix": value}


def test_a_backslash_is_written_as_postgresql_reads_it() -> None:
    """In guc-file.l it begins an escape."""
    assert line_for("log_line_prefix", r"a\b") == r"log_line_prefix = 'a\\b'"


OURS = {"port": "5432", "ssl": "on", "work_mem": "4MB", "data_directory": "/data"}


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({}, "work_mem = '4MB'"),
        ({"work_mem": "8MB"}, "work_mem = '8MB'"),
        ({"work_mem": None}, ""),
        ({"search_path": ["app", "public"]}, "work_mem = '4MB'\nsearch_path = 'app, public'"),
        ({"synchronous_standby_names": None}, "work_mem = '4MB'"),
        ({"port": 5432, "SSL": True}, "work_mem = '4MB'\nSSL = 'True'"),
    ],
    ids=["none", "in place of ours", "ours left out", "a list", "nothing at all", "the same as ours"],
)
def test_what_is_given_stands_in_place_of_ours(given: dict[str, object], lines: str) -> None:
    ours = ["port = '5432'", "ssl = 'on'", "data_directory = '/data'"]
    assert [line for line in server_lines(OURS, given).splitlines() if line not in ours] == lines.splitlines()


@pytest.mark.parametrize(
    "given", [{"ssl": "off"}, {"ssl": False}, {"ssl": None}, {"port": 6000}, {"Port": 6000}, {"data_directory": "/x"}]
)
def test_what_the_collection_stands_on_is_not_given(given: dict[str, object]) -> None:
    [name] = given
    with pytest.raises(RelevoError, match=f"^postgresql_parameters has {name}, which is not for it"):
        server_lines(OURS, given)


def test_it_is_refused_by_what_looks_at_the_node_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, the whole file was made for that, once more on each host."""
    own = dict.fromkeys(("version", "port", "service_manager", "configuration", "readmit"))
    for name, value in (("node_info", {}), ("service_for", None), ("versions_with_data", []), ("data_directory", "x")):
        monkeypatch.setattr(pg_node_info, name, lambda *_given, value=value: value)
    monkeypatch.setattr(tls_server, "reload_owed", lambda: False)
    monkeypatch.setattr(marker, "read", lambda _kind: None)
    monkeypatch.setattr(Server, "postmaster_pid", lambda _self: None)

    def refusal(**given: object) -> str:
        module: Any = SimpleNamespace(params=own | {"own_parameters": OURS, "parameters": given})
        return str(pg_node_info.work(module)["refusal"])

    assert refusal(ssl="off").startswith("postgresql_parameters has ssl, which is not for it")
    assert not refusal(ssl="off").endswith("Nothing was configured.")
    assert refusal(port=5432, work_mem="4MB") == ""
    tasks = yaml.safe_load((ROLE / "tasks" / "check_version.yml").read_text(encoding="utf-8"))
    made = [task["name"] for task in tasks if "postgresql.conf.j2" in str(task)]
    assert made == ["Look for a server that others have set up"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [("on", "TRUE", True), ("128MB", "128MB", True), ("iso,  mdy", "iso, mdy", True), ("128MB", "131072kB", False)],
)
def test_values_that_mean_the_same(one: str, other: str, equal: bool) -> None:
    assert same(one, other) is equal
