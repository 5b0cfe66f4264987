"""How long an old primary takes to return as a standby, by each method, and how a rewind grows with the WAL kept.

``measure`` runs itself in a process of its own, since the driver of the cluster takes its names from the environment
when it is imported, and another part of the benchmark may have imported it under another name.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.returning_pair import Pair

ROOT = Path(__file__).resolve().parents[3]
CLUSTER, FIRST_PORT = "relevo_bench_returns", 25532
#: The WAL kept, in MB, with which the methods are compared.
COMPARED_WITH_MB = 128
#: A rewind may take this share of a base backup's time.
TARGET = 0.20


@dataclass(frozen=True)
class Round:
    """One return. ``wal_kept_mb`` None: the settings as the collection installs them."""

    method: str
    wal_kept_mb: int | None = COMPARED_WITH_MB
    whole_play: bool = False


def rounds(wal_kept_mb: Iterable[int], repeat: int, growth: bool, plays: bool) -> list[Round]:
    """The returns measured at one size, in order.

    Restores first: they replay all WAL since the backup. Those that the target compares take turns, so that each sees
    the same machine. The WAL kept only rises, since it has to be written.
    """
    fewer = min(repeat, 2)
    listed = [Round("restore")] * fewer
    if plays:
        listed.append(Round("restore", whole_play=True))
    listed += [Round(method) for method in ("clean", "rewind", "basebackup")] * repeat
    if plays:
        listed += [Round(method, whole_play=True) for method in ("clean", "rewind", "basebackup")]
    if growth:
        for kept in sorted(set(wal_kept_mb) - {COMPARED_WITH_MB}):
            listed += [Round("rewind", kept)] * fewer
        listed.append(Round("rewind", None))
    return listed


def median(rows: list[dict[str, Any]], size_gb: int, method: str, wal_kept_mb: int | None) -> float | None:
    """The median of the module's seconds; None where it was not measured."""
    wanted = {"size_gb": size_gb, "method": method, "wal_kept_mb": wal_kept_mb, "whole_play": False}
    seconds = [row["seconds"] for row in rows if all(row[key] == value for key, value in wanted.items())]
    return round(statistics.median(seconds), 2) if seconds else None


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians by size, method and WAL kept, each as a share of the base backup of that size."""
    found = []
    for size, method, kept in dict.fromkeys((row["size_gb"], row["method"], row["wal_kept_mb"]) for row in rows):
        seconds = median(rows, size, method, kept)
        if seconds is None:
            continue
        base = median(rows, size, "basebackup", COMPARED_WITH_MB)
        same = [row for row in rows if (row["size_gb"], row["method"], row["wal_kept_mb"]) == (size, method, kept)]
        plays = [row["seconds"] for row in same if row["whole_play"]]
        modules = [row for row in same if not row["whole_play"]]
        copied = [row["copied_bytes"] for row in modules if row["copied_bytes"] is not None]
        found.append(
            {
                "size_gb": size,
                "method": method,
                "wal_kept_mb": kept,
                "runs": len(modules),
                "seconds": seconds,
                "share_of_basebackup": round(seconds / base, 3) if base else None,
                "pg_wal_bytes": round(statistics.median(row["pg_wal_bytes"] for row in modules)),
                "copied_bytes": round(statistics.median(copied)) if copied else None,
                "play_seconds": plays[0] if plays else None,
            }
        )
    return found


def verdict(summarised: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether a rewind of the largest size, with the WAL compared, keeps within the target."""
    size = max(row["size_gb"] for row in summarised)
    for row in summarised:
        if (row["size_gb"], row["method"], row["wal_kept_mb"]) == (size, "rewind", COMPARED_WITH_MB):
            share = row["share_of_basebackup"]
            return {"size_gb": size, "share": share, "target": TARGET, "met": share is not None and share <= TARGET}
    return {"size_gb": size, "share": None, "target": TARGET, "met": False}


def measure(
    sizes_gb: list[int],
    wal_kept_mb: list[int],
    repeat: int = 2,
    keep: bool = False,
) -> dict[str, Any]:
    """Make a pair, let its old primary return by every method, and remove it unless ``keep``.

    The growth with the WAL kept and the whole plays are measured at the largest size only.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "returns.json"
        command = ["--output", str(result), "--repeat", str(repeat), "--sizes", *map(str, sizes_gb)]
        try:
            run_alone([*command, "--wal-kept", *map(str, wal_kept_mb)])
            found: dict[str, Any] = json.loads(result.read_text())
        finally:
            # By a process of its own too: also what one that was killed has left.
            if not keep:
                run_alone(["--remove"])
        return found


def run_alone(arguments: list[str]) -> None:
    """Run this file with the names of its own cluster."""
    paths = [str(ROOT / "tests" / "benchmark"), str(ROOT / "tests" / "support")]
    own = {"RELEVO_TEST_CLUSTER": CLUSTER, "RELEVO_TEST_PORT": str(FIRST_PORT), "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-m", "bench.returns", *arguments], cwd=ROOT, env=os.environ | own, check=False
    )
    if done.returncode:
        raise RuntimeError(f"The returns could not be measured (status {done.returncode}). Its output is above.")


def measure_here(pair: Pair, sizes_gb: list[int], wal_kept_mb: list[int], repeat: int) -> dict[str, Any]:
    """What ``measure`` does, in this process."""
    rows: list[dict[str, Any]] = []
    pair.make()
    for size in sorted(sizes_gb):
        pair.grow(size)
        largest = size == max(sizes_gb)
        for item in rounds(wal_kept_mb, repeat, growth=largest, plays=largest):
            rows.append(one_return(pair, item))
            print(json.dumps(rows[-1]), flush=True)
    summarised = summary(rows)
    return {"rows": rows, "summary": summarised, "verdict": verdict(summarised)}


def one_return(pair: Pair, item: Round) -> dict[str, Any]:
    pair.settle()
    pair.keep_wal(item.wal_kept_mb)
    if item.method == "clean":
        pair.part_cleanly()
    else:
        pair.diverge()
    row: dict[str, Any] = {
        **asdict(item),
        "size_gb": pair.gigabytes,
        "database_bytes": pair.size(),
        "pg_wal_bytes": pair.wal_size(pair.source),
        **{name: pair.setting(pair.source, name) for name in ("wal_keep_size", "max_wal_size", "min_wal_size")},
        "load": os.getloadavg()[0],
        "copy_seconds": None,
        "copied_bytes": None,
    }
    if item.whole_play:
        if item.method in ("restore", "basebackup"):
            pair.leave_only(item.method)
        row["seconds"] = pair.rejoin_by_playbook(item.method)
    else:
        pair.start_container()
        done = pair.rejoin(item.method)
        if done["method"] != item.method or done["failures"]:
            raise RuntimeError(f"{item.method} was asked for, {done['method']} was done: {done['failures']}")
        row |= {name: done[name] for name in ("seconds", "copy_seconds", "copied_bytes")}
    pair.swap()
    return row


def main() -> None:
    from bench.returning_pair import Pair

    parser = argparse.ArgumentParser(description="Measure the return of an old primary.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 4], metavar="GB")
    parser.add_argument("--wal-kept", type=int, nargs="+", default=[128, 512, 1024, 3072], metavar="MB")
    parser.add_argument("--repeat", type=int, default=2)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--output", type=Path, help="measure, and write the result here; the pair stays")
    what.add_argument("--remove", action="store_true", help="remove the pair")
    options = parser.parse_args()
    if options.remove:
        Pair().remove()
    else:
        found = measure_here(Pair(), options.sizes, options.wal_kept, options.repeat)
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
