"""The cluster under test: real containers, driven by the playbooks as a user would."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Another name and first port let several of these clusters live on one engine: a benchmark beside a test.
NETWORK = os.environ.get("RELEVO_TEST_CLUSTER", "relevo_test")
FIRST_PORT = int(os.environ.get("RELEVO_TEST_PORT", "15432"))
PRIMARY, STANDBY = f"{NETWORK}_primary", f"{NETWORK}_standby"
REPOSITORY, REDIS = f"{NETWORK}_pgbackrest", f"{NETWORK}_redis"
PORTS = {PRIMARY: FIRST_PORT, STANDBY: FIRST_PORT + 1}
# As molecule/inventory.yml has them, and as inventory() gives them to a copy of it.
REDIS_PORT = 16379 if NETWORK == "relevo_test" else FIRST_PORT + 2
FAILOVER, FAILBACK, REJOIN, STATUS = (f"playbooks/{name}.yml" for name in ("failover", "failback", "rejoin", "status"))
# The major version of the role's default, and what follows from it on a node.
DEFAULTS = ROOT / "roles" / "postgresql" / "defaults" / "main.yml"
DEFAULT_VERSION = str(yaml.safe_load(DEFAULTS.read_text())["postgresql_version"])
#: Another release of Debian has another one (tests/machines).
VERSION = os.environ.get("RELEVO_TEST_VERSION", DEFAULT_VERSION)
PGDATA = f"/var/lib/postgresql/{VERSION}/main"
GUARD_STATUS = "/var/lib/postgresql/relevo/guard-status.json"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
One = TypeVar("One")
Answer = TypeVar("Answer")
CHANGED = re.compile(r"^changed: \[([^\]\s]+)", re.MULTILINE)


def inventory(
    network: str = NETWORK,
    first_port: int = FIRST_PORT,
    others: Sequence[str] = (),
    root: Path = ROOT,
    name: str = "inventory",
) -> Path:
    """The inventory of the scenarios, or a copy of it with other names and ports; ``others``: further standbys.

    ``root``: another checkout whose inventory it is; ``name``: of the copy, which stands beside the cluster's secrets.
    """
    original = root / "molecule" / "inventory.yml"
    if network == "relevo_test":
        return original
    folder = ROOT / ".cache" / "clusters" / network
    folder.mkdir(parents=True, exist_ok=True)
    text = original.read_text().replace("relevo_test", network).replace("{{ inventory_dir }}", str(original.parent))
    for offset, port in enumerate(("15432", "15433", "16379")):
        text = text.replace(port, str(first_port + offset))
    standby = f"        {network}_standby:\n"
    assert standby in text
    for offset, other in enumerate(others, 3):
        text = text.replace(
            standby, f"        {network}_{other}:\n          node_published_port: {first_port + offset}\n{standby}"
        )
    (folder / f"{name}.yml").write_text(text)
    return folder / f"{name}.yml"


#: Tests of nodes that are not containers of ours give an inventory of their own (tests/machines/conftest.py).
INVENTORY = Path(os.environ["RELEVO_TEST_INVENTORY"]) if "RELEVO_TEST_INVENTORY" in os.environ else inventory()
SECRETS = INVENTORY.parent / ".secrets"


class Changes(int):
    """A number that says what was counted: CI shows no more of a test that failed than its last line."""

    names: Sequence[str]

    def __new__(cls, number: int, names: Sequence[str]) -> Changes:
        made = super().__new__(cls, number)
        made.names = names
        return made

    def __repr__(self) -> str:
        return f"{int(self)} {list(self.names)}" if self.names else f"{int(self)}"


@dataclass(frozen=True)
class Play:
    """How a playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Changed tasks, of all hosts; a test that fails by it says which they were."""
        tasks = self.output.split("\nTASK [")[1:]
        names = [f"{task.partition(']')[0]} ({host})" for task in tasks for host in CHANGED.findall(task)]
        return Changes(sum(int(row[2]) for row in RECAP.findall(self.output)), names)

    @property
    def text(self) -> str:
        """The output with its white space folded, since the terminal's width breaks sentences."""
        return " ".join(self.output.split())


def json_document(output: str) -> dict[str, Any]:
    """What a play has printed as JSON for programs."""
    found: dict[str, Any] = json.loads(output[output.index("\n{\n") : output.rindex("\n}\n") + 2])
    return found


def controller_environment(root: Path = ROOT) -> dict[str, str]:
    return os.environ | {"ANSIBLE_CONFIG": str(root / "ansible.cfg"), "LC_ALL": "C.UTF-8", "COLUMNS": "200"}


def command_line(name: str, *arguments: str, inventory: Path | str = INVENTORY) -> list[str]:
    return [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), name, *arguments]


def play(
    name: str,
    *arguments: str,
    inventory: Path | str = INVENTORY,
    expect: int | None = 0,
    root: Path = ROOT,
    limit: float = 900,
) -> Play:
    """Run a playbook; fails the test when it does not end with ``expect`` (None: any status), or in ``limit`` seconds.

    ``root`` is the checkout whose playbook and collection are run.
    """
    command = command_line(name, *arguments, inventory=inventory)
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=root,
        env=controller_environment(root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
    )
    result = Play(done.returncode, done.stdout + done.stderr, time.monotonic() - started)
    print(f"\n$ ansible-playbook {name} {' '.join(arguments)}   [{result.seconds:.1f} s, status {result.code}]")
    if expect is not None and result.code != expect:
        print(result.output[-8000:])
        raise AssertionError(f"{name} {' '.join(arguments)} ended with {result.code}, not {expect}")
    return result


def at_once(ask: Callable[[One], Answer], of: Iterable[One]) -> list[Answer]:
    """The answers in that order, of several plays at a time: for those that take no lock and change nothing.

    A play mostly waits.
    """
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(ask, of))


def _named_at_once() -> dict[str, str]:
    """Otherwise a task is named only once it has ended."""
    return controller_environment() | {"ANSIBLE_DISPLAY_OK_HOSTS": "true", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true"}


def _is_task(line: str, at: str) -> bool:
    return re.search(rf"(?:TASK|RUNNING HANDLER) \[.*{at}", line) is not None


def provision() -> None:
    """From nothing; whatever is there is removed first."""
    play("playbooks/down.yml", "-e", "down_data=true")
    play("site.yml")


def killed_play(name: str, at: str, *arguments: str, inventory: Path | str = INVENTORY) -> None:
    """Start a playbook, and kill the controller's processes when the task ``at`` (a pattern) begins."""
    command = command_line(name, *arguments, inventory=inventory)
    with subprocess.Popen(
        command, cwd=ROOT, env=_named_at_once(), stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as controller:
        assert controller.stdout is not None
        reached = any(_is_task(line, at) for line in controller.stdout)
        os.killpg(controller.pid, signal.SIGKILL)
    assert reached, f"{name} ended before the task {at}"
    assert controller.returncode == -signal.SIGKILL
    print(f"\n$ ansible-playbook {name}   [killed at {at}]")


def play_with(name: str, at: str, do: Callable[[], object], *arguments: str) -> Play:
    """Run a playbook, and ``do`` something when the task ``at`` (a pattern) begins; it may end with any status."""
    started, lines, reached = time.monotonic(), [], False
    command = command_line(name, *arguments)
    with subprocess.Popen(
        command, cwd=ROOT, env=_named_at_once(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as controller:
        assert controller.stdout is not None
        for line in controller.stdout:
            lines.append(line)
            if not reached and _is_task(line, at):
                reached = True
                do()
    assert reached, f"{name} ended before the task {at}"
    result = Play(controller.returncode, "".join(lines), time.monotonic() - started)
    print(f"\n$ ansible-playbook {name}   [{result.seconds:.1f} s, status {result.code}]")
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


def gone(node: str) -> None:
    """Remove its container and volumes, whatever became of them."""
    for name in docker("ps", "-aq", "--filter", f"name=^{node}$").split():
        docker("rm", "-f", name)
    for name in docker("volume", "ls", "-q", "--filter", f"name=^{node}_").split():
        docker("volume", "rm", name)


def running(node: str) -> bool:
    return docker("inspect", "-f", "{{.State.Running}}", node).strip() == "true"


def wait_until(condition: Callable[[], bool], what: str, timeout: float) -> None:
    """Wait for a condition; fails the test after ``timeout`` seconds, saying what did not come."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"timed out after {timeout:g} s waiting for {what}"
        time.sleep(0.2)


def psql(node: str, sql: str, dbname: str = "imdb") -> str:
    """Ask a server over its socket, as people do."""
    return shell(node, "psql", "-U", "root", "-d", dbname, "-XAtc", sql).strip()


def guard_says(node: str) -> dict[str, str]:
    """The start guard's last verdict on a node."""
    status: dict[str, str] = json.loads(shell(node, "cat", GUARD_STATUS))
    return status


def records(*arguments: str) -> list[dict[str, str]]:
    """The catalog, oldest first, as ``catalog.yml -e view=json`` shows it; ``arguments``: filters."""
    output = play("playbooks/catalog.yml", "-e", "view=json", *arguments).output
    # An empty list is on one line.
    found = re.search(r"^\[(?:\]|\n.*?^\])", output, re.MULTILINE | re.DOTALL)
    assert found, output
    listed = json.loads(found[0])
    return sorted(listed, key=lambda record: (record["fecha"], record["hora"]))


def nothing_needs_attention(said: str | None = None) -> None:
    """``status.yml`` (or ``said``, what it printed) complains of nothing; what it complains of fails the test."""
    output = play(STATUS).output if said is None else said
    complaints = [line.strip() for line in output.splitlines() if line.startswith("!")]
    assert "Nothing needs attention." in output, f"status.yml says: {' '.join(complaints)}"


def repository_backups() -> list[dict[str, Any]]:
    """The backups as pgBackRest lists them, oldest first."""
    information = json.loads(shell(REPOSITORY, "pgbackrest", "--stanza=main", "--output=json", "info", user="postgres"))
    return list(information[0]["backup"])


def labels() -> list[str]:
    """The backups that the repository knows, oldest first."""
    return [backup["label"] for backup in repository_backups()]


def first_segment(label: str) -> str:
    """The segment in which a backup begins."""
    [backup] = [one for one in repository_backups() if one["label"] == label]
    return str(backup["archive"]["start"])


def timeline_of(node: str) -> int:
    """The timeline that a primary writes."""
    return int(psql(node, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)


def switch(times: int = 1) -> str:
    """Switch to new segments; the name of the last one that is complete."""
    for _ in range(times):
        # After a switch that nothing was written since, as a backup's end is, there is no segment to be completed.
        psql(PRIMARY, "SELECT txid_current()")
        name = psql(PRIMARY, "SELECT pg_walfile_name(pg_switch_wal())")
    return name


def archive_all() -> None:
    """Everything until now is in the archive."""
    segment = switch()
    archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    wait_until(lambda: psql(PRIMARY, archived) == "t", f"{segment} to be archived", 60)


def leave_the_first_timeline() -> None:
    """Hand over and back where nobody has yet: of the first timeline there is no history, and so none to lose."""
    if timeline_of(PRIMARY) == 1:
        play(FAILOVER)
        play(FAILBACK)


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
