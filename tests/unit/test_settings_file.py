"""Files of settings: what they say, and what they say when a value is replaced."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server.settings_file import settings_of, with_values

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
