"""The benchmark of backup.yml: what is compared with what, how it is judged, what the page says, the parts."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench import report, report_backup
from bench.figures import overhead
from bench.targets import backup_targets
from systems.base import BenchmarkError

RUN = Path(__file__).resolve().parents[1] / "benchmark" / "run"
GIB = 1 << 30


@pytest.fixture
def backup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The module, which names the tests' cluster when it is imported; afterwards nobody finds it so."""
    # Otherwise the inventory of a benchmark that is running would be written anew.
    monkeypatch.setenv("RELEVO_TEST_INVENTORY", str(tmp_path / "inventory.yml"))
    # What it sets is taken back with the rest.
    for name in ("RELEVO_TEST_CLUSTER", "RELEVO_TEST_PORT"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {name: sys.modules.pop(name, None) for name in ("cluster", "systems.relevo", "bench.backup")}
    yield importlib.import_module("bench.backup")
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture
def run() -> ModuleType:
    spec = importlib.util.spec_from_loader("benchmark_run", SourceFileLoader("benchmark_run", str(RUN)))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- what is compared ------------------------------------------------------------------------------------------------


def entry(label: str, kind: str = "full") -> dict[str, Any]:
    return {"label": label, "type": kind, "info": {"size": 100, "repository": {"delta": 60}}}


def test_every_other_pair_begins_with_the_other_way(backup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def one(_relevo: object, way: str) -> dict[str, float]:
        taken.append(way)
        return {"seconds": float(len(taken))}

    monkeypatch.setattr(backup, "one", one)
    rows = [backup.pair(None, number) for number in range(3)]
    assert taken == ["plain", "playbook", "playbook", "plain", "plain", "playbook"]
    assert [(row["pair"], row["first"]) for row in rows] == [(1, "plain"), (2, "playbook"), (3, "plain")]
    assert rows[1]["plain"] == {"seconds": 4.0}


def test_all_is_measured_in_its_order_and_the_data_go(backup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(backup, "grow", lambda relevo, megabytes: done.append(f"grow {megabytes}"))
    monkeypatch.setattr(backup, "size", lambda relevo: 3 * GIB)
    monkeypatch.setattr(backup, "remove", lambda relevo: done.append("remove"))

    def one(_relevo: object, way: str) -> dict[str, float]:
        done.append(way)
        return {"seconds": 10.0}

    monkeypatch.setattr(backup, "one", one)
    found = backup.measure(None, 2, 64)
    # The first one is not counted.
    assert done == ["grow 64", "plain", "plain", "playbook", "playbook", "plain", "remove"]
    assert (len(found["rows"]), found["database_bytes"], found["summary"]["ratio"]) == (2, 3 * GIB, 1.0)


def test_a_backup_is_looked_for_and_must_be_full(backup: ModuleType) -> None:
    before = {"a": entry("a"), "b": entry("b")}
    # The oldest expires with the newest.
    assert backup.made("plain", before, {"b": entry("b"), "c": entry("c")}) == {"bytes": 100, "repository_bytes": 60}
    with pytest.raises(BenchmarkError, match="there is: none"):
        backup.made("plain", before, before)
    with pytest.raises(BenchmarkError, match=r"there is: c \(incr\)"):
        backup.made("playbook", before, before | {"c": entry("c", "incr")})
    with pytest.raises(BenchmarkError, match=r"there is: c \(full\), d \(full\)"):
        backup.made("plain", before, before | {"c": entry("c"), "d": entry("d")})


def test_no_portion_writes_a_row_of_another(backup: ModuleType) -> None:
    first, second = backup.portion(0), backup.portion(1)
    assert f"generate_series(1::bigint, 1 + {backup.PORTION_ROWS} - 1)" in first
    assert f"generate_series({backup.PORTION_ROWS + 1}::bigint, {backup.PORTION_ROWS + 1} + " in second
    assert first.count("md5(") == 12


def test_it_is_filled_until_it_has_its_size(backup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    written = 50 << 20
    monkeypatch.setattr(backup, "_sql", lambda node, statement, database="postgres": statements.append(statement))
    monkeypatch.setattr(backup, "size", lambda relevo: len(portions()) * written)
    waited: list[int] = []
    relevo = SimpleNamespace(primary=lambda: "p", ready=lambda: waited.append(len(portions())))

    def portions() -> list[str]:
        return [one for one in statements if one.startswith("INSERT")]

    backup.grow(relevo, 128)
    assert len(portions()) == 3
    assert waited == [1, 2, 3]
    monkeypatch.setattr(backup, "size", lambda relevo: 0)
    with pytest.raises(BenchmarkError, match="did not reach 128 MB"):
        backup.grow(relevo, 128)


# --- figures and targets ---------------------------------------------------------------------------------------------


def test_the_overhead_is_that_of_the_medians() -> None:
    found = overhead([10.0, 20.0, 12.0], [14.0, 21.0, 15.0])
    assert found == {"plain": 12.0, "ours": 15.0, "ratio": 1.25, "difference": 3.0, "difference_of_a_pair": 3.0}
    with pytest.raises(ValueError, match="zip"):
        overhead([1.0, 2.0], [1.0])


def results(ours: float = 43.9, size: int = 2 * GIB) -> dict[str, Any]:
    rows = [
        {
            "pair": number,
            "first": first,
            "plain": {"seconds": plain, "bytes": size, "repository_bytes": 1200 << 20},
            "playbook": {"seconds": own, "pgbackrest": own - 4, "bytes": size, "repository_bytes": 1200 << 20},
        }
        for number, first, plain, own in ((1, "plain", 40.0, ours), (2, "playbook", 40.0, ours + 0.2))
    ]
    summary = overhead([40.0, 40.0], [ours, ours + 0.2])
    return {"rows": rows, "megabytes": size >> 20, "database_bytes": size, "summary": summary}


@pytest.mark.parametrize(
    ("ours", "size", "verdict"),
    [(43.9, 2 * GIB, "met"), (44.2, 2 * GIB, "missed"), (90.0, GIB, "not asked")],
)
def test_seconds_and_a_share_may_be_added(ours: float, size: int, verdict: str) -> None:
    (target,) = backup_targets(results(ours, size))
    assert (round(target.limit, 6), target.verdict) == (4.2, verdict)


def test_its_section() -> None:
    text = "\n".join(report_backup.section(results()))
    assert "at most 3 s and 3 % longer than the plain backup of the same cluster, at 2 GiB" in text
    assert "databases of 2048 MiB together" in text
    assert "A backup took 1200 MiB in the repository." in text
    assert "| `pgbackrest --type=full backup` | 40.0 | 40.0 | 40.0 | 40.0 | 2 |" in text
    assert "Medians: 1.10 times as long, a difference of 4.0 s; within a pair the median difference is 4.0 s." in text
    assert "| 2 | `backup.yml` | 40.0 | 44.1 | 40.1 | +4.1 |" in text


MACHINE = {"processor": "x", "cores": 2, "memory_gib": 8.0, "kernel": "k", "engine": "e", "storage_driver": "o"}
QUIET = {"at": "2026-11-28 00:00 UTC", "quick": False, "minutes": 20.0, "machine": MACHINE, "versions": {},
         "load_before": [0.1, 0.1, 0.1], "load_after": [1.0, 1.0, 1.0]}  # fmt: skip


def test_the_page_judges_it() -> None:
    page = report.page({"backup": results(ours=50.0) | {"run": QUIET}})
    assert "**Backup**: 2026-11-28 00:00 UTC" in page
    assert "asked from 2 GiB on) | 4.2 s | 10.1 s | **missed** |" in page


# --- the parts -------------------------------------------------------------------------------------------------------


def test_a_part_of_ours_makes_our_pair_only(run: ModuleType) -> None:
    ours, theirs = SimpleNamespace(name="relevo", variant=""), SimpleNamespace(name="patroni", variant="tuned")
    assert run.needed([ours, theirs], ["backup"]) == [ours]
    assert run.needed([ours, theirs], ["catalog", "scale"]) == [ours]
    assert run.needed([ours, theirs], ["scale", "returns"]) == []
    assert run.needed([ours, theirs], ["catalog", "planned"]) == [ours, theirs]
    assert set(run.PARTS) > run.OURS


def test_every_part_is_on_a_page(run: ModuleType) -> None:
    assert set(run.PARTS) - set(report.CALLED) == {"scale"}


def test_a_smaller_size_can_be_chosen(run: ModuleType) -> None:
    def amount(**given: Any) -> Any:
        return run.amount_of(argparse.Namespace(**{"quick": False, "backup_mb": None, "records": None, **given}))

    assert (amount().backup_mb, amount().backup_pairs, amount().records) == (2048, 10, 100_000)
    assert amount(backup_mb=256) == run.FULL._replace(backup_mb=256)
    assert amount(quick=True, records=500) == run.QUICK._replace(records=500)
    assert run.positive("7") == 7
    with pytest.raises(argparse.ArgumentTypeError, match="0 is not a size"):
        run.positive("0")
