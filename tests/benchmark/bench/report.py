"""The page docs/explanation/performance.md with its plots and its JSON, all of it from the results of a run."""

from __future__ import annotations

import json
import platform
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import report_api, report_backup, report_catalog, report_machines, report_proxy, report_scale
from bench.figures import spread
from bench.pieces import amount, ends, keys, name, numbers, problems, table
from bench.targets import (
    Row,
    Target,
    api_targets,
    backup_targets,
    catalog_targets,
    emergency_targets,
    is_quiet,
    planned_targets,
    proxy_targets,
    values,
)

PAGE, DATA = "performance.md", "performance.json"
OUTAGE_PLOT, EMERGENCY_PLOT = "performance-outage.svg", "performance-emergency.svg"
#: How the kinds of hand-over are called.
KINDS = {"quiet": "quiet", "load": "200 tps"}
#: How the parts are called, in the order of the page.
CALLED = {
    "planned": "Planned",
    "emergency": "Emergency",
    "proxy": "HAProxy",
    "returns": "Returns",
    "api": "API",
    "machines": "Machines",
    "backup": "Backup",
    "catalog": "Catalog",
}

Results = dict[str, Any]


def latest(several: Iterable[Results]) -> Results:
    """Of each part the results that were measured last; of two from the same minute those that come last."""
    found: Results = {}
    for results in several:
        for part, one in results.items():
            if part not in found or one["run"]["at"] >= found[part]["run"]["at"]:
                found[part] = one
    return found


def publish(results: Results, docs: Path, root: Path) -> None:
    """Write the page, the JSON and the plots; nothing in them names this machine or a path of it."""
    text = json.dumps(results, indent=1, sort_keys=True) + "\n"
    (docs / DATA).write_text(_nameless(text, root))
    (docs / PAGE).write_text(_nameless(page(results), root))
    plots(results, docs)
    if "scale" in results:
        report_scale.write(results["scale"], docs.parent)


def _nameless(text: str, root: Path) -> str:
    without_paths = text.replace(str(root), ".").replace(f"{Path.home()}/", "~/")
    # As a whole word: a host may be called like a part of one.
    return re.sub(rf"\b{re.escape(platform.node())}\b", "the controller", without_paths)


def plots(results: Results, docs: Path) -> None:
    wanted = [
        ("planned", "outage", OUTAGE_PLOT, "Write outage of a planned hand-over", "seconds without writes"),
        ("emergency", "first_write", EMERGENCY_PLOT, "Primary gone", "seconds from the command to the first write"),
    ]
    for part, figure, file, title, axis in wanted:
        rows = results.get(part, {}).get("rows", [])
        found = {key: values(rows, figure, key[2], key[:2]) for key in keys(rows)}
        if part == "planned":
            lines = [(name(key), KINDS[key[2]], seconds) for key, seconds in found.items() if seconds]
        else:
            lines = [(f"{name(key)}, {key[2]}", "", seconds) for key, seconds in found.items() if seconds]
        if lines:
            # Only `make bench` installs what draws; all else must work without it.
            from bench.plot import Series, strips

            strips(docs / file, [Series(*line) for line in lines], title, axis)


# --- the page ----------------------------------------------------------------------------------------------------


def page(results: Results) -> str:
    blocks = [
        "# Performance",
        "Made by `make bench`, which measures and writes this page, its plots and "
        "[performance.json](performance.json). Nothing here was typed by hand. A part of it: "
        "`make bench BENCH='--only relevo,floor --part planned'`; `BENCH=--quick` takes minutes instead of hours, "
        "with so few rounds that its figures only show the form.",
        *_run(results),
        "## Targets",
        *_targets(results),
    ]
    sections = {
        "planned": _planned,
        "emergency": _emergency,
        "proxy": report_proxy.section,
        "returns": _returns,
        "api": report_api.section,
        "machines": report_machines.section,
        "backup": report_backup.section,
        "catalog": report_catalog.section,
    }
    for part, section in sections.items():
        if part in results:
            blocks += section(results[part])
    return "\n\n".join(wrapped(block) for block in blocks) + "\n"


def wrapped(block: str) -> str:
    """A paragraph in lines of the length that our pages have; tables, headings and lists stay as they are."""
    if block.startswith(("|", "#", "- ", "!")):
        return block
    return textwrap.fill(block, 120, break_long_words=False, break_on_hyphens=False)


def _run(results: Results) -> list[str]:
    blocks = []
    for part, called in CALLED.items():
        if part not in results:
            continue
        run = results[part]["run"]
        machine = run["machine"]
        blocks.append(
            f"**{called}**: {run['at']}, {run['minutes']:.0f} min{', a quick run' if run['quick'] else ''}. "
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, "
            f"{machine['kernel']}, {machine['engine']} ({machine['storage_driver']}). "
            f"Load average before it: {', '.join(f'{one:.2f}' for one in run['load_before'])}; at its end: "
            f"{', '.join(f'{one:.2f}' for one in run['load_after'])}."
        )
        if not is_quiet(run["load_before"][0], machine["cores"]):
            blocks.append(
                "**The machine was busy with other work: compare the systems with one another, not the seconds.**"
            )
    versions = {system: found for part in results.values() for system, found in part["run"].get("versions", {}).items()}
    listed = [
        [system, ", ".join(f"{what} {number}" for what, number in found.items())] for system, found in versions.items()
    ]
    return [*blocks, table(["System", "Versions"], listed)] if listed else blocks


def _targets(results: Results) -> list[str]:
    found: list[Target] = []
    if "planned" in results:
        run = results["planned"]["run"]
        quiet = is_quiet(run["load_before"][0], run["machine"]["cores"])
        found += planned_targets(results["planned"]["rows"], quiet)
    if "emergency" in results:
        found += emergency_targets(results["emergency"]["rows"])
    if "proxy" in results:
        found += proxy_targets(results["proxy"]["rows"])
    if "api" in results:
        run = results["api"]["run"]
        found += api_targets(results["api"], is_quiet(run["load_before"][0], run["machine"]["cores"]))
    if "machines" in results:
        found += report_machines.targets(results["machines"]["rows"])
    if "backup" in results:
        found += backup_targets(results["backup"])
    if "catalog" in results:
        found += catalog_targets(results["catalog"])
    rows = [[one.text, amount(one.limit, one.unit), amount(one.figure, one.unit), _bold(one.verdict)] for one in found]
    if "returns" in results:
        verdict = results["returns"]["result"]["verdict"]
        said = "not measured" if verdict["share"] is None else "met" if verdict["met"] else "missed"
        text = f"return by `pg_rewind`, {verdict['size_gb']} GB: as a share of a base backup's time"
        rows.append([text, amount(verdict["target"], "x"), amount(verdict["share"], "x"), _bold(said)])
    return [table(["Target", "At most", "Measured", ""], rows)]


def _bold(verdict: str) -> str:
    return f"**{verdict}**" if verdict == "missed" else verdict


def _planned(part: dict[str, Any]) -> list[str]:
    rows: list[Row] = part["rows"]
    lines = []
    for key in keys(rows):
        outage = spread(values(rows, "outage", key[2], key[:2]))
        command = spread(values(rows, "command", key[2], key[:2]))
        lost = values(rows, "lost", key[2], key[:2])
        lines.append(
            [name(key), KINDS[key[2]], *numbers(outage, 3), amount(command.median if command else None, "s"),
             *ends(rows, key), f"{sum(lost):g}" if lost else "-"]
        )  # fmt: skip
    heads = ["System", "Load", "Least", "Median", "p95", "Most", "Command", "Runs", "Failed", "Rows lost"]
    ours = [[f"`{file}`", *numbers(spread(values(rows, file)), 1), f"{len(values(rows, file))}"]
            for file in ("failover.yml", "failback.yml")]  # fmt: skip
    window = spread(values(rows, "window", "quiet", ("relevo", "")))
    return [
        "## Planned hand-over",
        f"![Write outage]({OUTAGE_PLOT})",
        "Seconds without an accepted write, as a client sees them: it inserts every 2 ms over a multi-host DSN "
        "(`target_session_attrs=read-write`), connects again 5 ms after it was disconnected, and afterwards every "
        "row that was acknowledged to it is looked for. All systems were up at the same time and took turns. p95 is "
        "the nearest rank. *Command* is the median of the whole command. *200 tps*: under pgbench at 200 transactions "
        "a second. *floor*: the barest script on Relevo's own pair, which makes two checkpoints, sends SIGINT, waits "
        "for the end of the stop and of the replay, and promotes, without a check, a lock or a mark. *defaults*, "
        "*tuned*: as a rival is installed, and as its users recommend it for speed.",
        table(heads, lines),
        "The whole play, in seconds, from the command's start to its end, with all checks before and the proof that "
        "archiving works after:",
        table(["Playbook", "Least", "Median", "p95", "Most", "Runs"], ours),
        *([f"Relevo's own `window_seconds`, quiet: median {window.median:.3f} s."] if window else []),
        *problems(rows),
    ]


def _emergency(part: dict[str, Any]) -> list[str]:
    rows: list[Row] = part["rows"]
    lines = []
    for key in keys(rows):

        def middle(figure: str, key: tuple[str, str, str] = key) -> str:
            found = spread(values(rows, figure, key[2], key[:2]))
            return amount(found.median if found else None, "s")

        lost = values(rows, "lost", key[2], key[:2])
        written = spread(values(rows, "first_write", key[2], key[:2]))
        lines.append(
            [name(key), key[2], *numbers(written, 2), middle("fencing"), middle("salvage"), middle("command"),
             middle("outage"), *ends(rows, key), f"{sum(lost):g}" if lost else "-"]
        )  # fmt: skip
    heads = ["System", "Primary", "Least", "Median", "p95", "Most", "Fencing", "Salvage", "Command", "Outage", "Runs",
             "Failed", "Rows lost"]  # fmt: skip
    return [
        "## Emergency",
        f"![First write]({EMERGENCY_PLOT})",
        "Seconds from the operator's command to the first accepted write (least to most); the rest are medians. "
        "*Fencing* and *salvage* are parts of it. The command comes 0.5 s after the primary has gone. *Outage* is "
        "without writes in all, and the only figure where no command was given or the system was quicker. "
        "*Killed*: SIGKILL to its container. "
        "*With a tail*: the standby was cut off before, and 64 MB of WAL were on the dead primary's disk only. *floor* "
        "is `pg_promote` alone: nothing fenced, nothing salvaged.",
        table(heads, lines),
        "Automatic systems wait for their own time-outs, so they were measured at the same time as one another; the "
        "others alone.",
        *problems(rows),
    ]


def _returns(part: dict[str, Any]) -> list[str]:
    lines = []
    for row in part["result"]["summary"]:
        kept = "as installed" if row["wal_kept_mb"] is None else f"{row['wal_kept_mb']} MB"
        megabytes = [
            amount(value and round(value / (1 << 20)), "MB") for value in (row["pg_wal_bytes"], row["copied_bytes"])
        ]
        figures = [
            amount(row["seconds"], "s"),
            amount(row["share_of_basebackup"], "x"),
            amount(row["play_seconds"], "s"),
        ]
        lines.append([f"{row['size_gb']} GB", row["method"], kept, *megabytes, *figures, f"{row['runs']}"])
    heads = [
        "Database",
        "Method",
        "WAL kept",
        "`pg_wal`, MB",
        "Copied, MB",
        "Median",
        "Share of a base backup",
        "Whole play",
        "Runs",
    ]
    return [
        "## Return of the old primary",
        "Seconds of `pg_rejoin` until the old primary streams again. 1 % of the pages had changed on either side. "
        "`pg_rewind` copies the new primary's `pg_wal`, so its time grows with the WAL that is kept. *WAL kept* is "
        "`wal_keep_size`, with `max_wal_size` at 128 MB; *as installed* is what the collection sets (512 MB, and "
        "PostgreSQL's 1 GB). *`pg_wal`* is what lay there then, with segments kept for reuse. *Whole play* is "
        "`rejoin.yml` with the start of the container and the proof that archiving works.",
        table(heads, lines),
    ]
