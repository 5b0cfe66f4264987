"""The fence commands of examples/fence, with tools that say what the real ones say: 0 only for what is off."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "fence"


@dataclass(frozen=True)
class Tool:
    """What a tool is called, the words among its arguments that ask and that switch off, and what it answers."""

    name: str
    asks: str
    stops: str
    on: str
    off: str


TOOLS = {
    "ipmi": Tool("ipmitool", "power status", "power off", "Chassis Power is on", "Chassis Power is off"),
    "libvirt": Tool("virsh", "domstate db1", "destroy db1", "running", "shut off"),
    "proxmox": Tool("ssh", "qm status 101", "qm stop 101", "status: running", "status: stopped"),
    "ec2": Tool("aws", "describe-instances", "stop-instances", "running", "stopped"),
}


def fence(
    folder: Path, example: str, *, node: str = "db1", off: bool = False, obeys: bool = True, answers: bool = True
) -> tuple[int, list[str]]:
    """The example's status, and the command lines that its tool was called with."""
    return run(folder, example, node=node, off=off, obeys=obeys, answers=answers)[::2]


def run(
    folder: Path,
    example: str,
    *mode: str,
    node: str = "db1",
    off: bool = False,
    obeys: bool = True,
    answers: bool = True,
    other: str = "",
) -> tuple[int, str, list[str]]:
    """Its status, what it printed, and the calls. ``other``: what the tool says of a machine's state instead."""
    tool, state, calls = TOOLS[example], folder / "state", folder / "calls"
    state.write_text(other or (tool.off if off else tool.on))
    calls.touch()
    (folder / tool.name).write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {calls}\n'
        f"{'' if answers else 'echo timeout >&2; exit 1'}\n"
        f'case "$*" in *"{tool.asks}"*) cat {state} ;;\n'
        # What is off already, no tool switches off.
        f'*"{tool.stops}"*) if grep -qx "{tool.off}" {state}; then exit 1; fi\n'
        f"{f'printf %s {tool.off!r} > {state}' if obeys else ':'} ;;\n"
        "*) exit 2 ;; esac\n"
    )
    (folder / "sleep").write_text("#!/bin/sh\n")
    for program in (tool.name, "sleep"):
        (folder / program).chmod(0o755)
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "RELEVO_NODE": node}
    done = subprocess.run([str(FOLDER / example), *mode], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.strip(), calls.read_text().splitlines()


def test_each_example_is_tested() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(TOOLS)


@pytest.mark.parametrize("example", TOOLS)
def test_a_machine_is_switched_off_and_asked_whether_it_is(example: str, tmp_path: Path) -> None:
    status, calls = fence(tmp_path, example)
    assert status == 0
    assert TOOLS[example].asks in calls[-1]
    assert [call for call in calls if TOOLS[example].stops in call] != []


@pytest.mark.parametrize("example", TOOLS)
def test_one_that_is_off_is_proved_to_be_off(example: str, tmp_path: Path) -> None:
    """A failover that was cut off is run again."""
    assert fence(tmp_path, example, off=True)[0] == 0


@pytest.mark.parametrize("example", TOOLS)
def test_one_that_stays_on_is_not_proved_to_be_off(example: str, tmp_path: Path) -> None:
    assert fence(tmp_path, example, obeys=False)[0] != 0


@pytest.mark.parametrize("example", TOOLS)
def test_an_interface_that_does_not_answer_proves_nothing(example: str, tmp_path: Path) -> None:
    assert fence(tmp_path, example, answers=False)[0] != 0


@pytest.mark.parametrize("example", ["proxmox", "ec2"])
def test_a_machine_that_it_does_not_know_is_never_taken_for_another(example: str, tmp_path: Path) -> None:
    status, calls = fence(tmp_path, example, node="db9")
    assert status != 0
    assert calls == []


@pytest.mark.parametrize("example", TOOLS)
def test_without_a_name_nothing_is_done(example: str, tmp_path: Path) -> None:
    status, calls = fence(tmp_path, example, node="")
    assert status != 0
    assert calls == []


@pytest.mark.parametrize("off", [False, True])
@pytest.mark.parametrize("example", TOOLS)
def test_its_status_is_asked_for_and_nothing_switched_off(example: str, off: bool, tmp_path: Path) -> None:
    status, said, calls = run(tmp_path, example, "status", off=off)
    assert (status, said) == (0, "off" if off else "on")
    assert calls
    assert [call for call in calls if TOOLS[example].stops in call] == []


@pytest.mark.parametrize("example", TOOLS)
def test_a_status_that_cannot_be_had_or_understood_is_none(example: str, tmp_path: Path) -> None:
    for options in ({"answers": False}, {"other": "paused"}, {"node": ""}):
        status, said, calls = run(tmp_path, example, "status", **options)
        assert (status != 0, said) == (True, ""), options
        assert [call for call in calls if TOOLS[example].stops in call] == []


@pytest.mark.parametrize("example", TOOLS)
def test_a_mistyped_mode_switches_nothing_off(example: str, tmp_path: Path) -> None:
    assert run(tmp_path, example, "staus") == (2, "", [])
