"""The benchmark of returns: which ones are run, and what their table says."""

from __future__ import annotations

from typing import Any

from bench.returns import TARGET, Round, rounds, summary, verdict


def row(method: str, seconds: float, **given: Any) -> dict[str, Any]:
    return {
        "size_gb": 4,
        "method": method,
        "wal_kept_mb": 128,
        "whole_play": False,
        "seconds": seconds,
        "pg_wal_bytes": 200,
        "copied_bytes": 100,
        **given,
    }


def test_every_method_is_measured_and_the_restores_come_before_the_wal_that_they_would_replay() -> None:
    listed = rounds([3072, 128, 512], repeat=3, growth=True, plays=True)
    assert [item.method for item in listed[:6]] == ["restore"] * 3 + ["clean", "rewind", "basebackup"]
    assert listed.count(Round("rewind")) == listed.count(Round("basebackup")) == 3
    assert {item.method for item in listed if item.whole_play} == {"clean", "rewind", "restore", "basebackup"}
    assert [item.wal_kept_mb for item in listed if item.wal_kept_mb != 128] == [512, 512, 3072, 3072, None]


def test_without_growth_and_plays_only_the_methods_are_compared() -> None:
    listed = rounds([128, 512], repeat=1, growth=False, plays=False)
    assert listed == [Round("restore"), Round("clean"), Round("rewind"), Round("basebackup")]


def test_a_median_leaves_out_the_whole_plays_and_other_sizes() -> None:
    rows = [
        row("basebackup", 10),
        row("rewind", 1),
        row("rewind", 3),
        row("rewind", 30, whole_play=True, copied_bytes=None),
        row("rewind", 9, size_gb=1),
        row("rewind", 5, wal_kept_mb=512),
    ]
    found = {(line["size_gb"], line["method"], line["wal_kept_mb"]): line for line in summary(rows)}
    compared = found[4, "rewind", 128]
    assert (compared["seconds"], compared["runs"], compared["play_seconds"]) == (2, 2, 30)
    assert compared["share_of_basebackup"] == 0.2
    assert found[4, "rewind", 512]["share_of_basebackup"] == 0.5
    assert found[1, "rewind", 128]["share_of_basebackup"] is None, "no base backup of that size to compare with"


def test_a_restore_says_nothing_of_what_it_copied() -> None:
    assert summary([row("restore", 4, copied_bytes=None)])[0]["copied_bytes"] is None


def test_the_target_is_that_of_the_largest_size() -> None:
    rows = [row("basebackup", 10), row("rewind", 10 * TARGET), row("basebackup", 10, size_gb=1)]
    rows.append(row("rewind", 9, size_gb=1))
    assert verdict(summary(rows)) == {"size_gb": 4, "share": 0.2, "target": TARGET, "met": True}
    assert not verdict(summary([*rows, row("rewind", 2.1)]))["met"]
    assert not verdict(summary(rows[:1]))["met"], "what was not measured is not met"
