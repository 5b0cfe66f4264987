"""What became of each case, and the page that shows it."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from cluster import NETWORK, PRIMARY, ROOT, shell
from table import CASES, Case

FOLDER = ROOT / ".cache"
PAGE = ROOT / "docs" / "explanation" / "faults.md"
WIDTH = 170
HEAD = """# Faults

What happens when something dies in the middle of a play. `make faults` runs it all on containers and writes this page.

Each row is one run. The fault comes exactly at the step, since the controller is held there; for a moment *inside* a
module, the process that would end the moment is paused. Then an operator undoes the fault (starts, unpauses, connects,
makes room; nothing else) and runs the same playbook again until it ends well; *again* says how often that was needed.
It is run once more where it was not. Where an emergency has left the old primary down, `rejoin.yml` follows.

A client outside writes all the time. Afterwards: exactly one node accepts writes, and never did two in any sample
(every 0.1 s, and how long the answers take); every acknowledged row is there, or the play has reported the loss; the
archive holds every segment from the backup before the fault to now, along the history of the timelines; the next
backup is made; the standby streams; `status.yml` says that nothing needs attention. A row that fails stays in the
table.

*primary* and *standby* are those at the start of the play, in an emergency the dead one and the candidate.
"""


@dataclass
class Result:
    """One case. ``problems`` is empty when all went well."""

    name: str
    first: str = ""
    needed: int | None = None
    acknowledged: int = 0
    lost: int = 0
    reported: bool = False
    seconds: float = 0.0
    repaired: str = ""
    rerun: bool = False
    problems: list[str] = field(default_factory=list)


def earlier() -> list[Result]:
    """What the last run has left; nothing in a checkout that has had none."""
    path = FOLDER / "faults.json"
    return [Result(**row) for row in json.loads(path.read_text())] if path.exists() else []


def record(results: list[Result], result: Result) -> None:
    """Add a case, or put it in the place of its earlier run; the page says which those are."""
    for index, before in enumerate(results):
        if before.name == result.name:
            result.rerun = True
            results[index] = result
            return
    results.append(result)


def save(results: Sequence[Result]) -> None:
    """After each case, so that an interrupted run has left what it knows."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "faults.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


def publish(results: Sequence[Result], machine: str) -> None:
    """The table; only a run of all cases makes the page of the documentation."""
    text = page(results, machine)
    (FOLDER / "faults.md").write_text(text)
    if os.environ.get("RELEVO_FAULTS_PUBLISH") and {result.name for result in results} == {case.name for case in CASES}:
        PAGE.write_text(text)


def page(results: Sequence[Result], machine: str) -> str:
    known = {case.name: case for case in CASES}
    well = sum(not result.problems for result in results)
    needed = Counter(result.needed for result in results)
    counts = ", ".join(
        f"{count} needed {times} more run{'' if times == 1 else 's'}" for times, count in sorted_counts(needed)
    )
    rows = sum(result.acknowledged for result in results)
    rerun = [f"*{result.name}*" for result in results if result.rerun]
    lines = [
        HEAD,
        f"{len(results)} cases in {sum(result.seconds for result in results) / 60:.0f} min: {well} went well, "
        f"{len(results) - well} did not. {counts}. {rows} rows were acknowledged, "
        f"{sum(result.lost for result in results)} of them are lost.",
        "",
        f"{machine}.",
        "",
        *([f"Run again once what they showed had been fixed: {', '.join(rerun)}.", ""] if rerun else []),
    ]
    for play in dict.fromkeys(case.play for case in CASES):
        chosen = [result for result in results if known[result.name].play == play]
        if chosen:
            lines += [f"## {play}.yml", "", *table(chosen, known), ""]
    return "\n".join(lines)


def sorted_counts(needed: Counter[int | None]) -> list[tuple[int, int]]:
    return sorted((times, count) for times, count in needed.items() if times is not None)


def table(results: Sequence[Result], known: dict[str, Case]) -> list[str]:
    lines = [
        "| state | where | fault | the first run said | again | rows | lost | result | s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        case = known[result.name]
        outcome = " ".join(result.problems).replace("|", "/").replace("\n", " ")
        lost = f"{result.lost}{' (reported)' if result.reported else ''}"
        again = "-" if result.needed is None else str(result.needed)
        lines.append(
            f"| {case.begin or 'whole'} | {case.place.rstrip('$')} | {case.fault} | {cell(result.first)} | {again} "
            f"| {result.acknowledged} | {lost} | {'**FAILED**: ' + cell(outcome) if outcome else 'ok'}"
            f"{'; ' + case.note if case.note else ''} | {result.seconds:.0f} |"
        )
    return lines


def cell(text: str) -> str:
    """One line of a table, with the names of the nodes as short as the table's words for them."""
    text = " ".join(text.split()).replace("|", "/").replace(f"{NETWORK}_", "")
    return text if len(text) <= WIDTH else f"{text[:WIDTH]} …"


def machine() -> str:
    """Where and with what this is run; asked while the cluster is whole."""
    postgresql = shell(PRIMARY, "postgres", "--version").split()[2]
    pgbackrest = shell(PRIMARY, "pgbackrest", "version").split()[1]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Run on {datetime.now(UTC):%Y-%m-%d} with PostgreSQL {postgresql} and pgBackRest {pgbackrest}, on a machine "
        f"with {os.cpu_count()} processors and {memory:.0f} GB of memory ({platform.system()} {platform.release()})"
    )
