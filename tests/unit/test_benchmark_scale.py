"""The benchmark of many clusters: what it adds up, and what its page says."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bench import report_scale, sampler
from bench.report_scale import BEGIN, END, Line, line
from systems.base import BenchmarkError

MIB = 1 << 20
MACHINE = {"cores": 2, "memory_gib": 23.5}
RUN = {"at": "2026-11-27 10:00 UTC", "machine": MACHINE, "load_before": [0.5, 1, 1], "load_after": [1, 1, 1]}


def plays(*numbers: int) -> list[dict[str, Any]]:
    """Each run costs 10 s and 50 MB, each cluster 2 s and 0.5 MB more."""
    return [
        {
            "clusters": number,
            "play": play,
            "seconds": 30.0 + number,
            "processor": 10.0 + 2 * number,
            "memory": round((50 + number / 2) * MIB),
            "repository_memory": 40 * MIB,
            "changed": 0,
        }
        for number in numbers
        for play in ("site.yml, second", "backup.yml")
    ]


def stores(number: int) -> dict[str, Any]:
    return {
        "clusters": number,
        "backups": number,
        "repository_bytes": 8 * MIB * number,
        "database_bytes": 30 * MIB * number,
        "backup_bytes": 4 * MIB * number,
        "backup_seconds": [3, 5, 4],
        "redis_bytes_per_record": 1500,
    }


def test_the_memory_of_processes_counts_shared_pages_once() -> None:
    rollups = "00400000-7ffd rollup\nRss:  9000 kB\nPss:  100 kB\nPss_Anon: 90 kB\n\nrollup\nRss: 1 kB\nPss: 20 kB\n"
    assert sampler.proportional(rollups) == 120 * 1024
    assert sampler.proportional("") == 0


def test_the_session_is_found_behind_any_name() -> None:
    assert sampler.session_of("4242 (a (strange) name) S 1 4200 4100 0 -1") == 4100


def test_a_command_is_measured_with_all_that_it_starts(tmp_path: Path) -> None:
    work = "import subprocess, sys\nx = bytearray(60 << 20)\nsubprocess.run([sys.executable, '-c', 'import time; t = "
    work += "time.process_time()\\nwhile time.process_time() - t < 2: pass'])\nprint('done'); sys.exit(3)"
    ran = sampler.run([sys.executable, "-c", work], tmp_path, os.environ, 60)
    assert (ran.code, ran.output) == (3, "done\n")
    assert ran.processor >= 2
    assert ran.memory > 60 * MIB


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="did not end within 0.5 s"):
        sampler.run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, os.environ, 0.5)


def test_the_peak_of_what_is_measured_meanwhile() -> None:
    answers, asked = iter([1, 7, 3]), threading.Event()

    def measure() -> int:
        answer = next(answers, None)
        if answer is None:
            asked.set()
        return answer or 0

    with sampler.peak(measure, 0.001) as found:
        assert asked.wait(10)
    assert found == [7]


def test_what_a_play_changed_is_named() -> None:
    output = "TASK [role : Do it] *****\nok: [a]\nchanged: [b]\nTASK [Rest] ***\nok: [b]\n\nPLAY RECAP\n"
    assert sampler.Ran(0, output, 1, 1, 1).changes() == ["role : Do it on b"]


def test_a_straight_line_needs_two_numbers() -> None:
    assert line([(1, 5.0), (1, 6.0)]) is None
    assert line([(1, 12.0), (4, 18.0), (16, 42.0)]) == Line(10.0, 2.0)
    assert Line(10.0, 2.0).at(1000) == 2010.0


def test_the_page_keeps_what_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "scale.md").write_text(f"# Many\n\nBefore.\n\n{BEGIN}\n\nold figures\n\n{END}\n\nAfter.\n")
    broken = {"clusters": 4, "broken": "c02", "seconds": 20.0, "backed_up": ["c01", "c03", "c04"], "said": "1 of 4."}
    part = {"plays": plays(1, 4, 16), "stores": [stores(1), stores(16)], "broken": [broken], "run": RUN}
    report_scale.write(part, tmp_path)
    text = (tmp_path / "scale.md").read_text()
    assert text.startswith(f"# Many\n\nBefore.\n\n{BEGIN}\n\n")
    assert text.endswith(f"\n\n{END}\n\nAfter.\n")
    assert "old figures" not in text
    assert "| `backup.yml` | 31 / 12 / 50 | 34 / 18 / 52 | 46 / 42 / 58 |" in text
    assert "| `site.yml`, second | 10.0 | 2.00 | 0.6 |" in text
    assert "| 16 | 16 | 30 | 4.0 | 8.0 | 4 | 40 | 1500 |" in text
    assert "backed up 3 (c01, c03, c04) in 20 s" in text
    report_scale.write(part, tmp_path)
    assert (tmp_path / "scale.md").read_text() == text


def test_what_was_not_measured_with_a_number_is_a_dash() -> None:
    part = {"plays": [*plays(1), *plays(16)[:1]], "stores": [], "broken": [], "run": RUN}
    assert "| `backup.yml` | 31 / 12 / 50 | - |" in "\n".join(report_scale.blocks(part))
