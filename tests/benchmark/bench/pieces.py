"""Pieces of the page: figures as text, and tables."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Spread


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
