# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether HAProxy works with what was written for it: found from which worker answers, and proven after a reload."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._server import haproxy, reading

ROOT = Path(__file__).resolve().parents[2]
INFO = "Name: HAProxy\nVersion: 3.0.11-1+deb13u1\nPid: 4711\nUptime: 0d 0h00m05s\n\n"


@pytest.mark.parametrize(("info", "pid"), [(INFO, 4711), ("", None), ("Pid: \n", None), ("Unknown command: x\n", None)])
def test_which_worker_answers(info: str, pid: int | None) -> None:
    assert haproxy.pid_in(info) == pid


@pytest.mark.parametrize(
    ("state", "owed"),
    [
        # master, worker, written, told, master since
        (haproxy.State(1, 20.0, 10.0, None, 5.0), False),
        # The master has been told, and the old worker is still at work: the new one did not come.
        (haproxy.State(1, 6.0, 10.0, None, 5.0), True),
        (haproxy.State(1, 6.0, 10.0, 11.0, 5.0), False),
        # No worker answers yet.
        (haproxy.State(1, None, 10.0, None, 12.0), False),
        (haproxy.State(1, None, 10.0, None, 5.0), True),
        # It is down, or has no files.
        (haproxy.State(None, None, 10.0, None), False),
        (haproxy.State(1, 6.0, None, None, 5.0), False),
    ],
)
def test_what_is_owed(state: haproxy.State, owed: bool) -> None:
    assert state.owed is owed


def test_which_servers_of_a_cluster_are_written(tmp_path: Path) -> None:
    """As the template writes them, of several clusters."""
    text = (ROOT / "roles/haproxy/templates/haproxy.cfg.j2").read_text()
    assert "\nbackend {{ one.cluster }}_{{ kind }}\n" in text
    assert "\n  server {{ server.name }} " in text
    line = "  server {0} {0}:5432 verifyhost {0}\n"
    config = tmp_path / "haproxy.cfg"
    config.write_text(
        "defaults\n  timeout server 20d\n\nfrontend shop_primary\n  default_backend shop_primary\n\n"
        f"backend shop_primary\n  default-server check\n{line.format('s1')}{line.format('s2')}\n"
        f"frontend shop_standbys\n\nbackend shop_standbys\n{line.format('s1')}{line.format('s2')}\n"
        f"backend shop-old_primary\n{line.format('old')}"
    )
    assert haproxy.info("shop", config)["servers"] == ["s1", "s2"]
    assert haproxy.info("shop-old", config)["servers"] == ["old"]
    assert haproxy.info("shop.old", config)["servers"] == []
    assert haproxy.info("", config)["servers"] is None
    assert haproxy.info("shop", tmp_path / "none.cfg")["servers"] is None


# As HAProxy 2.6 printed it; 3.0 has the same columns.
STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
srv_agent_port
3 main_primary 1 a 10.0.0.1 2 0 1 1 5 15 3 3 6 0 0 0 - 5432 - 0 0 - - 0
3 main_primary 2 b 10.0.0.2 0 0 1 1 5 13 2 0 6 0 0 0 b 5432 - 0 0 - - 0
5 main_standbys 1 a 10.0.0.1 0 0 1 1 5 15 3 3 6 0 0 0 - 5432 - 0 0 - - 0

"""
CONFIG = """
backend main_primary
  default-server check
  server a 10.0.0.1:{port} verifyhost a
  server b b:5432 verifyhost b resolvers relevo
backend main_standbys
  server a [fd00::1]:5432 verifyhost a
"""


def names_in(text: str) -> list[tuple[str, str]]:
    rows = [line.split() for line in text.splitlines()[2:]]
    return [(row[1], row[3]) for row in rows]


@pytest.mark.parametrize(
    ("states", "config", "kept"),
    [
        (STATES, CONFIG.format(port=5432), [("main_primary", "a"), ("main_primary", "b"), ("main_standbys", "a")]),
        # It would stay at the old port.
        (STATES, CONFIG.format(port=5433), [("main_primary", "b"), ("main_standbys", "a")]),
        (STATES, "", []),
        ("", CONFIG.format(port=5432), []),
        ("Permission denied\n", CONFIG.format(port=5432), []),
    ],
)
def test_what_the_next_worker_is_told_of_its_servers(states: str, config: str, kept: list[tuple[str, str]]) -> None:
    told = haproxy.carried(states, config)
    assert told.startswith(haproxy.NOTHING)
    assert names_in(told) == kept
    assert len(told.splitlines()) == 1 or told.splitlines()[1].startswith("# be_id be_name")


@pytest.fixture
def stats(tmp_path: Path) -> Iterator[Path]:
    """A socket at which this process answers as a worker does."""
    path = tmp_path / "stats.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                assert connection.recv(100) == b"show info\n"
                connection.sendall(INFO.replace("4711", str(os.getpid())).encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield path
        thread.join(10)


def test_the_worker_is_asked_when_it_began(stats: Path, tmp_path: Path) -> None:
    assert haproxy.worker_began([tmp_path / "none", stats]) == pytest.approx(reading.started(os.getpid()), abs=0.1)
    assert haproxy.worker_began([tmp_path / "none"]) is None


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """A HAProxy whose worker began at ``began``, and after a reload at ``next``."""
    monkeypatch.setattr(_names, "READING_DIR", tmp_path)
    monkeypatch.setattr(haproxy, "SERVERS", tmp_path / "haproxy.servers")
    monkeypatch.setattr(haproxy, "FILES", [tmp_path / "haproxy.cfg"])
    monkeypatch.setattr(haproxy, "ask", lambda _path, question: STATES if question == "show servers state" else "")
    (tmp_path / "haproxy.cfg").write_text(CONFIG.format(port=5432))
    written = (tmp_path / "haproxy.cfg").stat().st_ctime
    found: dict[str, Any] = {"began": written - 100, "next": written + 1e9, "signals": []}

    def kill(pid: int, number: int) -> None:
        found["signals"].append((pid, number))
        found["told"] = haproxy.SERVERS.read_text()
        found["began"] = found["next"]

    state = lambda: haproxy.State(7, found["began"], written, reading.when_told(haproxy.READER), written - 200)  # noqa: E731
    monkeypatch.setattr(haproxy, "look", state)
    monkeypatch.setattr(haproxy, "worker_began", lambda: found.get("ask", lambda: found["began"])())
    monkeypatch.setattr(os, "kill", kill)
    return found


def test_a_new_configuration_is_proven_to_be_at_work(running: dict[str, Any]) -> None:
    assert haproxy.bring(1, check_mode=True)
    assert running["signals"] == []
    assert haproxy.bring(1)
    assert running["signals"] == [(7, haproxy.READER.reload)]
    assert not haproxy.bring(1)
    assert len(running["signals"]) == 1
    # Only for the worker that begins: at any other start the file would be old.
    assert ("main_primary", "b") in names_in(running["told"])
    assert haproxy.SERVERS.read_text() == haproxy.NOTHING


def test_a_worker_that_does_not_come_is_named_and_tried_again(running: dict[str, Any]) -> None:
    running["next"] = running["began"]
    for tries in (1, 2):
        with pytest.raises(
            RelevoError, match=r"Timed out after 0\.1 s waiting for HAProxy to work with what was.*Its log"
        ) as why:
            haproxy.bring(0.1)
        assert "journalctl -u relevo-haproxy.service" in str(why.value)
        assert len(running["signals"]) == tries
        assert haproxy.SERVERS.read_text() == haproxy.NOTHING


def test_what_a_killed_reload_has_left_is_forgotten_by_the_next_run(running: dict[str, Any]) -> None:
    running["began"] = running["next"]
    assert not haproxy.bring(1)
    assert not haproxy.SERVERS.exists(), "a host without HAProxy has none"
    haproxy.SERVERS.write_text(STATES)
    assert not haproxy.bring(1, check_mode=True)
    assert haproxy.SERVERS.read_text() == STATES
    assert not haproxy.bring(1)
    assert haproxy.SERVERS.read_text() == haproxy.NOTHING
    assert running["signals"] == []


FORGET = f"umask 077; echo {haproxy.NOTHING.strip()} > {haproxy.SERVERS}"


def test_what_a_killed_reload_has_left_is_not_told_at_the_next_start() -> None:
    """Under systemd, and in our container; and no reload of somebody else's tells it."""
    template = (ROOT / "roles" / "haproxy" / "templates" / "relevo-haproxy.service.j2").read_text()
    unit = Template(template).render(__haproxy_config="/etc/relevo/haproxy.cfg", __haproxy_servers=haproxy.SERVERS)
    commands = [line for line in unit.splitlines() if line.startswith("Exec")]
    assert commands == [
        f"ExecStartPre=/bin/sh -c '{FORGET}'",
        "ExecStart=/usr/sbin/haproxy -Ws -f /etc/relevo/haproxy.cfg",
        "ExecReload=/usr/sbin/haproxy -c -q -f /etc/relevo/haproxy.cfg",
        f"ExecReload=/bin/sh -c '{FORGET}'",
        "ExecReload=/bin/kill -USR2 $MAINPID",
    ]
    service = ROOT / "roles" / "docker_nodes" / "files" / "image" / "service" / "haproxy" / "run"
    assert service.read_text().splitlines()[-2:] == [f"({FORGET})", "exec haproxy -W -f /etc/relevo/haproxy.cfg"]


def test_a_master_that_has_just_been_started_gets_no_signal(running: dict[str, Any]) -> None:
    """It would end by it. Its worker answers a moment later, with what was there."""
    answers: Iterator[float | None] = iter([None, None, running["next"]])
    running["began"] = None

    def worker_began() -> float | None:
        began = next(answers, running["next"])
        running["began"] = began
        return began

    running["ask"] = worker_began
    assert not haproxy.bring(1)
    assert running["signals"] == []


def test_a_master_without_a_worker_is_told_in_the_end(running: dict[str, Any]) -> None:
    running["began"] = None
    assert haproxy.bring(0.1)
    assert len(running["signals"]) == 1


def test_one_that_is_down_owes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_names, "READING_DIR", tmp_path)
    monkeypatch.setattr(reading, "process_of", lambda _reader: None)
    assert not haproxy.bring(0.1)
    assert haproxy.info()["running"] is False


def test_the_sockets_and_files_are_those_of_the_role() -> None:
    template = (ROOT / "roles" / "haproxy" / "templates" / "haproxy.cfg.j2").read_text()
    for path in haproxy.SOCKETS:
        assert f"'{path.parent}'" in template
    assert f"/{haproxy.SOCKETS[0].name} mode" in template
    variables = (ROOT / "roles" / "haproxy" / "vars" / "main.yml").read_text()
    assert str(haproxy.FILES[0]) in variables


def test_an_idle_session_of_before_a_reload_outlives_its_machine_by_half_a_minute() -> None:
    """Its worker makes no checks any more: only the kernel finds out."""
    lines = (ROOT / "roles" / "haproxy" / "templates" / "haproxy.cfg.j2").read_text().splitlines()
    defaults = lines[lines.index("defaults") :]
    given = [line.split() for line in defaults if "tcpka-" in line]
    seconds = {name: int(value.rstrip("s")) for name, value in given}
    assert "  option srvtcpka" in defaults
    assert seconds["srvtcpka-idle"] + seconds["srvtcpka-intvl"] * seconds["srvtcpka-cnt"] <= 30
