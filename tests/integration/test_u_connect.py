"""The connection strings that the playbooks print: each finds the current primary, before and after a hand-over."""

from __future__ import annotations

import json
import re

import psycopg
import pytest
from cluster import FAILBACK, FAILOVER, PORTS, PRIMARY, SECRETS, STANDBY, STATUS, play


def printed() -> dict[str, str]:
    """The strings of the JSON of ``status.yml``, by the kind of client."""
    output = play(STATUS, "-e", "format=json").output
    found = re.search(r"^\{\n.*?^\}", output, re.MULTILINE | re.DOTALL)
    assert found, output
    strings: dict[str, str] = json.loads(found[0])["connection"]
    return strings


def whom(string: str) -> int:
    """The port of the server that libpq finds with a string; the password is given beside it."""
    password = (SECRETS / "user_imdb").read_text().strip()
    assert password not in string
    with psycopg.connect(string, password=password) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
        return connection.info.port


@pytest.mark.long
def test_each_string_finds_the_primary_before_and_after_a_hand_over() -> None:
    strings = printed()
    for kind in ("libpq", "psycopg"):
        assert whom(strings[kind]) == PORTS[PRIMARY]
    # No driver of Java is here: it names the same servers, and asks for the same.
    places = ",".join(f"127.0.0.1:{port}" for port in PORTS.values())
    assert strings["jdbc"].startswith(f"jdbc:postgresql://{places}/imdb?user=imdb&targetServerType=primary&")

    play(FAILOVER)
    for kind in ("libpq", "psycopg"):
        assert whom(strings[kind]) == PORTS[STANDBY]
    assert printed() == strings
    play(FAILBACK)

    for said in (play(STATUS), play("site.yml")):
        shown = [
            line.split(maxsplit=1) for line in said.output.splitlines() if re.match(r"\s+(libpq|JDBC|psycopg) ", line)
        ]
        assert [line[1] for line in shown] == [strings["libpq"], strings["jdbc"], strings["psycopg"]], said.output
