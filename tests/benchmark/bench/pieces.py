"""Pieces of the page: figures as text, tables, and what is said of each system and kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.figures import Spread
from bench.targets import Row


def numbers(found: Spread | None, digits: int) -> list[str]:
    if found is None:
        return ["-"] * 4
    return [f"{value:.{digits}f}" for value in (found.least, found.median, found.p95, found.most)]


def amount(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return {"s": f"{value:.3f} s" if value < 1 else f"{value:.1f} s", "x": f"{value:.2f}"}.get(unit, f"{value:g}")


def one_line(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= 300 else f"{shown[:300]} …"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def keys(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    """The systems and kinds, in the order in which they were first measured, a system's kinds together."""
    found = dict.fromkeys((row["system"], row["variant"], row["kind"]) for row in rows)
    systems = list(dict.fromkeys(key[:2] for key in found))
    return sorted(found, key=lambda key: systems.index(key[:2]))


def name(key: tuple[str, str, str]) -> str:
    return f"{key[0]} ({key[1]})" if key[1] else key[0]


def ends(rows: Iterable[Row], key: tuple[str, str, str]) -> list[str]:
    """How many runs went well, and how many failed."""
    mine = [row for row in rows if (row["system"], row["variant"], row["kind"]) == key]
    failed = sum("failure" in row for row in mine)
    return [f"{len(mine) - failed - sum('not_offered' in row for row in mine)}", f"{failed}"]


def problems(rows: Iterable[Row]) -> list[str]:
    """What failed and what is not offered, each said once."""
    said = {}
    for row in rows:
        if reason := row.get("failure") or row.get("not_offered"):
            key = (row["system"], row["variant"], row["kind"])
            said[f"- {name(key)}, {key[2]}: {one_line(reason)}"] = key
    return ["What failed, or is not offered:", "\n".join(said)] if said else []
