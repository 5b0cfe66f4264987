"""Every case of the table: the fault, what an operator does about it, the same playbook again, and what must hold."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from clients import NeverTwo, Writer, more, wait_until_streaming
from cluster import PRIMARY, STANDBY, nothing_needs_attention, psql
from controller import LOG, Controller, Ended, run
from injections import FAULTS
from moments import MOMENTS
from result import Result, record, save
from scene import STATES, Scene, current_primary, ensure, must
from table import BESIDE, CASES, START, Case
from wal_chain import archive_hole, backups

PLAYS = {
    "site": ("site.yml",),
    # An incremental one is the quickest.
    "backup": ("backup.yml", "-e", "day=2"),
    "failover": ("playbooks/failover.yml",),
    "failback": ("playbooks/failback.yml",),
    "rejoin": ("playbooks/rejoin.yml",),
    "restore": ("playbooks/restore.yml",),
    "drill": ("playbooks/drill.yml",),
    "cleanup": ("playbooks/cleanup.yml",),
}
TRIES = 3


def command(case: Case) -> tuple[str, ...]:
    """The play of a case with all that it is given."""
    return (*PLAYS[case.play], *(part for one in case.given.split() for part in ("-e", one)))


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=() if case.short else pytest.mark.long) for case in CASES],
)
def test_fault(case: Case, results: list[Result]) -> None:
    result = Result(case.name)
    record(results, result)
    try:
        attempt(case, result)
    except BaseException as error:
        result.problems.append(str(error).split("\n", 1)[0] or type(error).__name__)
        raise
    finally:
        save(results)
    assert result.problems == []


def attempt(case: Case, result: Result) -> None:
    with LOG.open("a") as log:
        log.write(f"\n=== {case.name} ===\n")
    rules_before, begin = STATES[case.state]
    result.repaired = ensure(rules_before)
    start = backups()[-1]["archive"]["start"]
    started = time.monotonic()
    try:
        with Writer(pause=0.1) as writer, NeverTwo() as watch:
            other = STANDBY if rules_before == PRIMARY else PRIMARY
            scene = Scene(rules_before, other, writer, watch)
            more(writer)
            begin(scene)
            rules = {"failover": STANDBY, "failback": PRIMARY}.get(case.play, scene.primary)
            with scene.undo:
                first = with_fault(case, scene)
            result.first = first.said
            if first.hung:
                result.problems.append(f"The play {first.said}.")
            said = [first.output, *again(case, first, result)]
            home = prove(case)
            demand(rules, writer)
        demand_rows(result, writer, rules, " ".join(" ".join(said).split()))
        hole = archive_hole(start)
        assert hole == [], f"the archive has a hole: {', '.join(hole)}"
        nothing_needs_attention(home.output)
    finally:
        result.seconds = time.monotonic() - started


def with_fault(case: Case, scene: Scene) -> Ended:
    """Run the play, and let the fault happen where the case says. What the undoing takes is left in ``scene.undo``."""
    moment = MOMENTS.get(case.at)
    if case.at == START:
        inject(case, scene)
        return run(*command(case))
    task = moment.task if moment else case.at
    name, *arguments = command(case)
    with Controller(name, tuple(arguments), task, case.when or "before") as controller, ExitStack() as frozen:
        controller.wait_until_held()
        if moment:
            reached = moment.arm(scene)
            controller.go_on()
            thaw = reached()
            frozen.callback(thaw)
            # A paused container has to be let go first.
            scene.undo.callback(thaw)
        if case.fault == "controller killed":
            return controller.kill()
        inject(case, scene)
        frozen.close()
        controller.go_on()
        return controller.wait()


def inject(case: Case, scene: Scene) -> None:
    role, _blank, fault = case.fault.partition(" ")
    FAULTS[fault](scene, scene.node(role))


def again(case: Case, first: Ended, result: Result) -> list[str]:
    """The same playbook, until it ends well; returns what it printed."""
    outputs: list[str] = []
    for number in range(1, TRIES + 1):
        ended = run(*command(case))
        outputs.append(ended.output)
        if ended.code == 0:
            result.needed = 0 if first.code == 0 else number
            if number > case.reruns:
                result.problems.append(f"It took {number} more runs, not {case.reruns}.")
            return outputs
        result.problems += [f"Run {number + 1} {ended.said}."] if ended.hung else []
    raise AssertionError(f"Not finished by {TRIES} more runs: {ended.said}\n{ended.output[-4000:]}")


def prove(case: Case) -> Ended:
    """The way back where the play leaves one open, the next backup, and the status; one controller, to save time."""
    rejoin = ["playbooks/rejoin.yml"] if case.rejoin else []
    if case.given == BESIDE:
        must(*PLAYS["restore"], "-e", "remove=fault")
    return must(*rejoin, *PLAYS["backup"][:1], "playbooks/status.yml", *PLAYS["backup"][1:])


def demand(rules: str, writer: Writer) -> None:
    """One node takes writes, the right one, and the other follows it."""
    assert current_primary() == rules, f"{current_primary() or 'not exactly one node'} takes writes, not {rules}"
    wait_until_streaming(rules)
    more(writer, 5)


def demand_rows(result: Result, writer: Writer, rules: str, said: str) -> None:
    result.acknowledged = len(writer.acknowledged)
    present = {int(line) for line in psql(rules, f"SELECT id FROM trial WHERE id >= {writer.acknowledged[0]}").split()}
    result.lost = len(set(writer.acknowledged) - present)
    result.reported = "is lost" in said or "LOST" in said
    assert result.lost == 0 or result.reported, f"{result.lost} acknowledged rows are lost, and nothing said so"
