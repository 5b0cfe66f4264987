"""The cluster under test: real containers, driven by the playbooks as a user would."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "molecule" / "inventory.yml"
SECRETS = INVENTORY.parent / ".secrets"
PRIMARY, STANDBY = "relevo_test_primary", "relevo_test_standby"
REPOSITORY, REDIS = "relevo_test_pgbackrest", "relevo_test_redis"
PORTS = {PRIMARY: 15432, STANDBY: 15433}
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Play:
    """How a playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Changed tasks, of all hosts."""
        return sum(int(row[2]) for row in RECAP.findall(self.output))

    @property
    def text(self) -> str:
        """The output with its white space folded, since the terminal's width breaks sentences."""
        return " ".join(self.output.split())


def play(name: str, *arguments: str, inventory: Path | str = INVENTORY, expect: int | None = 0) -> Play:
    """Run a playbook; fails the test when it does not end with ``expect`` (None: any status)."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), name, *arguments]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8", "COLUMNS": "200"}
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900
    )
    result = Play(done.returncode, done.stdout + done.stderr, time.monotonic() - started)
    print(f"\n$ ansible-playbook {name} {' '.join(arguments)}   [{result.seconds:.1f} s, status {result.code}]")
    if expect is not None and result.code != expect:
        print(result.output[-8000:])
        raise AssertionError(f"{name} {' '.join(arguments)} ended with {result.code}, not {expect}")
    return result


def shell(node: str, *command: str, user: str = "root", stdin: str | None = None) -> str:
    """Run a command in a node and return what it printed."""
    interactive = ["-i"] if stdin is not None else []
    done = subprocess.run(
        ["docker", "exec", *interactive, "-u", user, node, *command],
        capture_output=True,
        text=True,
        input=stdin,
        timeout=300,
    )
    assert done.returncode == 0, f"{' '.join(command)} on {node}: {done.stdout}{done.stderr}"
    return done.stdout


def docker(*arguments: str) -> str:
    """Run a command of the Docker client."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def running(node: str) -> bool:
    return docker("inspect", "-f", "{{.State.Running}}", node).strip() == "true"


def wait_until(condition: Callable[[], bool], what: str, timeout: float) -> None:
    """Wait for a condition; fails the test after ``timeout`` seconds, saying what did not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for {what}"
        time.sleep(0.2)


def psql(node: str, sql: str, dbname: str = "imdb") -> str:
    """Ask a server over its socket, as people do."""
    return shell(node, "psql", "-U", "root", "-d", dbname, "-XAtc", sql).strip()


def records() -> list[dict[str, str]]:
    """The catalog, oldest first, as ``catalog.yml -e view=json`` shows it."""
    output = play("playbooks/catalog.yml", "-e", "view=json").output
    listed = json.loads(output[output.index("\n[") : output.rindex("\n]") + 2])
    return sorted(listed, key=lambda record: (record["fecha"], record["hora"]))


def labels() -> list[str]:
    """The backups that the repository knows, oldest first."""
    information = json.loads(shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres"))
    return [backup["label"] for backup in information[0]["backup"]]


def dsn() -> str:
    """How a client outside reaches whichever server takes writes."""
    password = (SECRETS / "user_imdb").read_text().strip()
    ports = ",".join(str(port) for port in PORTS.values())
    return (
        f"host=127.0.0.1,127.0.0.1 port={ports} user=imdb password={password} dbname=imdb connect_timeout=2"
        f" target_session_attrs=read-write sslmode=verify-full sslrootcert={SECRETS / 'tls' / 'ca.crt'}"
    )


@dataclass
class Writer:
    """A client outside that inserts numbers and keeps those that were acknowledged; it reconnects by itself."""

    pause: float = 0.02
    acknowledged: list[int] = field(default_factory=list)
    longest_outage: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Writer:
        with psycopg.connect(dsn(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS trial (id bigint PRIMARY KEY, at timestamptz DEFAULT now())")
            last = connection.execute("SELECT coalesce(max(id), 0) FROM trial").fetchone()
        self._thread = threading.Thread(target=self._write, args=(last[0] if last else 0,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(30)

    def _write(self, last: int) -> None:
        number, written_at = last, time.monotonic()
        while not self._stop.is_set():
            try:
                with psycopg.connect(dsn(), autocommit=True) as connection:
                    while not self._stop.is_set():
                        # A number whose fate is unknown is never tried again: it may be there or not.
                        number += 1
                        connection.execute("INSERT INTO trial (id) VALUES (%s)", (number,))
                        self.longest_outage = max(self.longest_outage, time.monotonic() - written_at)
                        written_at = time.monotonic()
                        self.acknowledged.append(number)
                        self._stop.wait(self.pause)
            except psycopg.Error:
                self._stop.wait(0.02)


def missing(rows: set[int], acknowledged: list[int]) -> list[int]:
    """Acknowledged numbers that are not among ``rows``."""
    return sorted(set(acknowledged) - rows)


def rows_of(node: str) -> set[int]:
    return {int(line) for line in psql(node, "SELECT id FROM trial").split()}


def restore_rows(node: str, label: str, target_type: str = "immediate") -> set[int]:
    """Restore a backup into a scratch directory of ``node``, recover it, and return the rows of the trial's table.

    The scratch server archives nothing and listens to nobody: no route leads from it to the repository or a client.
    """
    scratch, socket = "/var/lib/postgresql/scratch", "/var/lib/postgresql/scratch-socket"
    script = f"""
set -eu
rm -rf {scratch} {socket}
mkdir -m 0700 {scratch} {socket}
pgbackrest --stanza=main --pg1-path={scratch} --set={label} --type={target_type} \
    {"--target-action=promote" if target_type != "default" else ""} --archive-mode=off restore
pg_ctl -D {scratch} -w -t 120 -l {scratch}/scratch.log start \
    -o "-c listen_addresses='' -c unix_socket_directories={socket} -c port=5999 -c ssl=off -c logging_collector=off"
until [ "$(psql -h {socket} -p 5999 -d imdb -U postgres -XAtc 'SELECT pg_is_in_recovery()')" = f ]; do sleep 0.2; done
psql -h {socket} -p 5999 -d imdb -U postgres -XAtc 'SELECT id FROM trial'
pg_ctl -D {scratch} -m immediate -w stop >&2
rm -rf {scratch} {socket}
"""
    output = shell(node, "timeout", "240", "bash", "-c", script, user="postgres")
    return {int(line) for line in output.split() if line.isdigit()}
