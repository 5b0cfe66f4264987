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
#: What the page shows, as data: a run of some cases puts them into it.
PUBLISHED = ROOT / "tests" / "faults" / "results.json"
PAGE = ROOT / "docs" / "explanation" / "faults.md"
WIDTH = 170
HEAD = """# Faults

What happens when something dies in the middle of a play. `make faults` runs it all on containers and writes this page.

Each row is one run, on the day in its last column. The fault comes exactly at the step, since the controller is held
there; for a moment *inside* a module, the process that would end the moment is paused. Then an operator undoes the
fault (starts, unpauses, connects, makes room; nothing else) and runs the same playbook again until it ends well;
*again* says how often that was needed. It is run once more where it was not. Where an emergency has left the old
primary down, `rejoin.yml` follows.

A client outside writes all the time. Afterwards: exactly one node accepts writes, and never did two in any sample
(every 0.1 s, and how long the answers take); every acknowledged row is there, or the play has reported the loss; the
archive holds every segment from the backup before the fault to now, along the history of the timelines; the next
backup is made; the standby streams; `status.yml` says that nothing needs attention. A row that fails stays in the
table.

*primary* and *standby* are those at the start of the play, in an emergency the dead one and the candidate.
"""


@dataclass
class Result:
    """One case. ``problems`` is empty when all went well; ``on`` is the day of its run."""

    name: str
    first: str = ""
    needed: int | None = None
    acknowledged: int = 0
    lost: int = 0
    reported: bool = False
    seconds: float = 0.0
    repaired: str = ""
    on: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")
    problems: list[str] = field(default_factory=list)


def merged() -> bool:
    """Whether the chosen cases go into what is published."""
    return os.environ.get("RELEVO_FAULTS_MERGE") == "yes"


def earlier() -> list[Result]:
    """What is published, of the cases that there still are."""
    known = {case.name for case in CASES}
    return [one for one in (Result(**row) for row in json.loads(PUBLISHED.read_text())) if one.name in known]


def record(results: list[Result], result: Result) -> None:
    """Add a case, or put it in the place of its earlier run."""
    for index, before in enumerate(results):
        if before.name == result.name:
            results[index] = result
            return
    results.append(result)


def save(results: Sequence[Result]) -> None:
    """After each case, so that an interrupted run has left what it knows."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps([asdict(result) for result in results], indent=1) + "\n"
    (FOLDER / "faults.json").write_text(text)
    if merged() or (os.environ.get("RELEVO_FAULTS_PUBLISH") and whole(results)):
        PUBLISHED.write_text(text)


def whole(results: Sequence[Result]) -> bool:
    return {result.name for result in results} == {case.name for case in CASES}


def publish(results: Sequence[Result], machine: str) -> None:
    """The table; only one that has all cases becomes the page of the documentation."""
    text = page(results, machine)
    (FOLDER / "faults.md").write_text(text)
    if (merged() or os.environ.get("RELEVO_FAULTS_PUBLISH")) and whole(results):
        PAGE.write_text(text)


def page(results: Sequence[Result], machine: str) -> str:
    known = {case.name: case for case in CASES}
    by_name = {result.name: result for result in results}
    well = sum(not result.problems for result in results)
    needed = Counter(result.needed for result in results)
    counts = ", ".join(
        f"{count} needed {times} more run{'' if times == 1 else 's'}" for times, count in sorted_counts(needed)
    )
    rows = sum(result.acknowledged for result in results)
    lines = [
        HEAD,
        f"{len(results)} cases in {sum(result.seconds for result in results) / 60:.0f} min: {well} went well, "
        f"{len(results) - well} did not. {counts}. {rows} rows were acknowledged, "
        f"{sum(result.lost for result in results)} of them are lost.",
        "",
        f"{machine}.",
        "",
    ]
    for play in dict.fromkeys(case.play for case in CASES):
        chosen = [by_name[case.name] for case in CASES if case.play == play and case.name in by_name]
        if chosen:
            lines += [f"## {play}.yml", "", *table(chosen, known), ""]
    return "\n".join(lines)


def sorted_counts(needed: Counter[int | None]) -> list[tuple[int, int]]:
    return sorted((times, count) for times, count in needed.items() if times is not None)


def table(results: Sequence[Result], known: dict[str, Case]) -> list[str]:
    lines = [
        "| state | where | fault | the first run said | again | rows | lost | result | s | on |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        case = known[result.name]
        outcome = " ".join(result.problems).replace("|", "/").replace("\n", " ")
        lost = f"{result.lost}{' (reported)' if result.reported else ''}"
        again = "-" if result.needed is None else str(result.needed)
        lines.append(
            f"| {case.begin or 'whole'} | {case.place.rstrip('$')} | {case.fault} | {cell(result.first)} | {again} "
            f"| {result.acknowledged} | {lost} | {'**FAILED**: ' + cell(outcome) if outcome else 'ok'}"
            f"{'; ' + case.note if case.note else ''} | {result.seconds:.0f} | {result.on} |"
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
        f"Last run on {datetime.now(UTC):%Y-%m-%d} with PostgreSQL {postgresql} and pgBackRest {pgbackrest}, on a "
        f"machine with {os.cpu_count()} processors and {memory:.0f} GB of memory "
        f"({platform.system()} {platform.release()})"
    )
