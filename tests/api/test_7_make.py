# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make api``, as it is typed: the target of the Makefile, in a checkout whose cluster is down.

The checkout is a folder of links to this one, with an inventory and secrets of its own: the target writes beside its
Makefile, where whoever tests may have an API of their own. ``setup`` is left out: it would install packages.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from api_server import NETWORK, free_port
from cluster import ROOT, wait_until

#: What a checkout has of its own.
OWN = {".git", ".cache", ".api", "inventory"}
INDEX = {
    "message": "API de Control PostgreSQL HA",
    "endpoints": {"failover": "POST /failover", "failback": "POST /failback"},
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With the inventory of ``make up`` under names that do not exist, and the secrets that ``make up`` would leave."""
    folder = tmp_path / "checkout"
    secrets = folder / "inventory" / ".secrets"
    (secrets / "tls").mkdir(parents=True)
    for path in ROOT.iterdir():
        if path.name not in OWN:
            (folder / path.name).symlink_to(path)
    original = (ROOT / "inventory" / "docker.yml").read_text()
    (secrets.parent / "docker.yml").write_text(original.replace("postgres_", f"{NETWORK}_"))
    variables = secrets.parent / "group_vars"
    variables.mkdir()
    (variables / "all.yml").write_text(f"control_api_port: {free_port()}\n")
    (secrets / "relevo_monitor").write_text("monitor-word")
    (secrets / "relevo_monitor").chmod(0o600)
    (secrets / "tls" / "ca.crt").write_text("no certificate\n")
    return folder


def settings_of(checkout: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((checkout / ".api" / "settings.json").read_text())
    return found


def belonging_to(checkout: Path) -> list[str]:
    """The processes that have the checkout among their arguments: server, watcher, plays."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(checkout) in line:
                found.append(line)
    return found


@pytest.fixture
def made(checkout: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``make api`` in a session of its own, as a terminal gives it one, without what a shell of a developer has set."""
    home = {name: os.environ[name] for name in ("HOME", "DOCKER_HOST") if name in os.environ}
    with (checkout / "said").open("wb") as said:
        process = subprocess.Popen(
            ["make", "--directory", str(checkout), "--assume-old", "setup", "api"],
            env={"PATH": os.defpath, **home},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)


def answer(made: subprocess.Popen[bytes], checkout: Path, path: str) -> httpx.Response:
    """Of the API, which is waited for."""
    kept: list[httpx.Response] = []

    def answers() -> bool:
        assert made.poll() is None, (checkout / "said").read_text()
        with suppress(httpx.TransportError, FileNotFoundError, json.JSONDecodeError):
            kept.append(httpx.get(f"http://127.0.0.1:{settings_of(checkout)['port']}{path}", timeout=10))
        return bool(kept)

    wait_until(answers, f"make api to serve {path}", 120)
    return kept[0]


@pytest.mark.parametrize(
    ("end", "number"),
    [
        pytest.param(os.kill, signal.SIGTERM, id="ended"),
        pytest.param(os.killpg, signal.SIGINT, id="interrupted", marks=pytest.mark.long),
    ],
)
def test_it_serves_in_the_foreground_until_it_is_ended_and_leaves_nothing(
    end: Callable[[int, int], None], number: signal.Signals, checkout: Path, made: subprocess.Popen[bytes]
) -> None:
    """By a supervisor, which knows the process of make, and with Ctrl-C, which reaches all of the terminal's."""
    assert answer(made, checkout, "/healthz").status_code == 200
    # The old endpoints are open without a token, as the inventory of the containers says.
    assert answer(made, checkout, "/").json() == INDEX
    assert answer(made, checkout, "/ui").status_code == 200
    settings = settings_of(checkout)
    assert settings["state_directory"] == str(checkout / ".api")
    assert not Path("/etc/systemd/system/relevo-api.service").exists()
    wait_until(lambda: len(belonging_to(checkout)) >= 3, "make, its server and its watcher to run", 30)
    end(made.pid, number)
    assert made.wait(20) != 0
    wait_until(lambda: belonging_to(checkout) == [], "all that it has started to end", 10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{settings['port']}/healthz")
