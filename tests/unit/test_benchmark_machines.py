"""The benchmark of machines beside containers: who takes turns, how it is judged, and what the page says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench import emergency, machines, planned, report_machines


def row(kind: str, variant: str, **figures: Any) -> dict[str, Any]:
    return {"system": "relevo", "variant": variant, "kind": kind, "round": 1, **figures}


ROWS = [
    row("site.yml", "", command=20.0),
    row("site.yml", "machines", command=31.0),
    row("planned", "", outage=0.1, lost=0),
    row("planned", "machines", outage=0.125, lost=0),
    row("killed", "", first_write=2.0, lost=0),
    row("killed", "", first_write=3.0, lost=0),
    row("killed", "machines", first_write=3.25, lost=1),
]


def test_a_machine_may_be_later_and_slower_by_so_much() -> None:
    found = report_machines.targets(ROWS)
    assert [(one.figure, one.limit, one.verdict) for one in found] == [
        (0.75, 0.5, "missed"),
        (1.55, 1.5, "missed"),
        (1, 0, "missed"),
        (0, 0, "met"),
    ]
    quicker = [row("killed", "", first_write=2.0), row("killed", "machines", first_write=1.5)]
    assert report_machines.targets(quicker)[0].verdict == "met"


def test_what_one_of_them_lacks_is_not_measured_and_what_failed_counts() -> None:
    found = report_machines.targets([row("killed", "", first_write=2.0), row("killed", "machines", failure="no")])
    assert [one.verdict for one in found] == ["not measured", "not measured", "not measured", "missed"]


def test_the_page_has_a_line_for_each_kind_and_kind_of_node() -> None:
    text = "\n".join(report_machines.section({"rows": ROWS, "machine_versions": {"PostgreSQL": "17.12"}}))
    assert "| hand-over: without writes | machines | 0.12 | 0.12 | 0.12 | 0.12 | 1 | 0 |" in text
    assert "| emergency: from the command to the first write | containers | 2.00 | 2.50 | 3.00 | 3.00 | 2 | 0 |" in text
    assert "| `site.yml` with nothing to do | machines | 31.00 | 31.00 | 31.00 | 31.00 | 1 | 0 |" in text
    assert "The machines have PostgreSQL 17.12." in text


def system(variant: str, did: list[str], **more: Any) -> Any:
    def note(what: str) -> Any:
        return lambda: did.append(f"{variant or 'containers'} {what}")

    named = SimpleNamespace(
        name="relevo",
        variant=variant,
        up=note("up"),
        down=note("down"),
        ready=note("ready"),
        kill_primary=note("kill"),
        provision_again=lambda: {"command": 1.0},
        versions=lambda: {"PostgreSQL": "17"},
    )
    return SimpleNamespace(**vars(named) | more)


def test_they_take_turns_and_the_machines_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []
    monkeypatch.setattr(planned, "one", lambda system, kind: {"outage": 0.1})
    monkeypatch.setattr(emergency, "one", lambda system, disaster, command: {"first_write": 2.0})
    found = machines.measure(system("", did), system("machines", did), 2)
    assert [(one["variant"], one["kind"], one["round"]) for one in found["rows"]] == [
        (variant, kind, number)
        for number, order in ((1, ("", "machines")), (2, ("machines", "")))
        for variant in order
        for kind in ("site.yml", "planned", "killed")
    ]
    assert (did[0], did[-1]) == ("machines up", "machines down")
    assert found["machine_versions"] == {"PostgreSQL": "17"}


def test_what_was_begun_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []

    def broken() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        machines.measure(system("", did), system("machines", did, up=broken), 1)
    assert did == ["machines down"]
