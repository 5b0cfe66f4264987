"""What a test asks of a restore: a moment to go back to, and what its report says."""

from __future__ import annotations

import re
import time

from cluster import PRIMARY, REPOSITORY, Play, at_once, play, psql, shell

RESTORE = "playbooks/restore.yml"
SCRATCH = "/var/lib/postgresql/scratch"
#: On the repository host, while a restore in place is unfinished.
RECORD = "/var/lib/pgbackrest/relevo/restore/main.json"
IN_PLACE = ("-e", "to=cluster", "-e", "confirm=main")
_CLOCK = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"


def new_ledger() -> None:
    """An empty table, in which a row tells a moment."""
    psql(PRIMARY, "DROP TABLE IF EXISTS ledger; CREATE TABLE ledger (id int PRIMARY KEY)")


def add(number: int) -> None:
    psql(PRIMARY, f"INSERT INTO ledger VALUES ({number})")


def now() -> str:
    """A moment between two commits."""
    time.sleep(1.1)  # of which the plan knows the end of a backup to the second
    moment = psql(PRIMARY, _CLOCK)
    time.sleep(0.1)
    return moment


def scratch_instances(directory: str = SCRATCH) -> list[str]:
    return shell(REPOSITORY, "sh", "-c", f"if [ -d {directory} ]; then ls {directory}; fi").split()


def port_of(done: Play) -> str:
    """The port of the scratch instance that a report is about."""
    found = re.search(r"psql -p (\d+)", done.text)
    assert found, done.output[-3000:]
    return found[1]


def undo_of(done: Play) -> list[str]:
    """The arguments of the command that the report gives, or the refusal of a target that was not reached."""
    found = re.search(
        r"(?:To undo it|The way back to what it was), .*?: ansible-playbook playbooks/restore\.yml ((?:-e \S+ ?)+)",
        done.text,
    )
    assert found, done.output[-3000:]
    return found[1].split()


#: In a plan what goes on while nobody does anything: the clock, and what others leave of a disk.
_MOVES = re.compile(r"until \S+Z|of the last [\w. ]+? goes|[\d.]+ \w+ free\b")


def _shown(done: Play) -> list[str]:
    """The lines of the one plan that a play has shown."""
    [found] = re.findall(r"^Plan of .*\n(?:  .*\n)*", done.output, re.MULTILINE)
    return _MOVES.sub("...", found).splitlines()


def check_mode_differs(name: str, *arguments: str) -> list[str]:
    """The lines in which what check mode shows and what the plan shows are not the same."""
    checked, planned = at_once(lambda more: _shown(play(name, *arguments, *more)), (("--check",), ("-e", "plan=text")))
    return sorted(set(checked) ^ set(planned))
