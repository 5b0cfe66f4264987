# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain text for people: sizes, durations and tables, without colour or control characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True)
class Column:
    """A column of a table; ``right`` aligns its values to the right, for numbers."""

    heading: str
    right: bool = False


def format_bytes(count: float | str | None) -> str:
    """Return a size with a binary unit (``22.3 MiB``); a dash when it is not known."""
    if count is None or count == "":
        return "-"
    size = float(count)
    unit = 0
    # 1023.95 and not 1024: one decimal would round it up to "1024.0".
    while abs(size) >= (1023.95 if unit else 1024) and unit < len(_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def format_duration(seconds: float | str | None) -> str:
    """Return a duration with its two largest units (``1 h 03 min``); a dash when it is not known."""
    if seconds is None or seconds == "":
        return "-"
    exact = float(seconds)
    if 0 < abs(exact) < 1:
        return f"{exact:.3f} s"
    if abs(exact) < 60 and exact != int(exact):
        return f"{exact:.1f} s"
    whole = round(exact)
    for size, unit, small_size, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if abs(whole) >= size:
            large, rest = divmod(abs(whole), size)
            sign = "-" if whole < 0 else ""
            return f"{sign}{large} {unit} {rest // small_size:02d} {small_unit}"
    return f"{whole} s"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return the number with the noun that fits it: ``1 backup``, ``2 backups``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def clean(text: object) -> str:
    """Return one printable line: whoever wrote a value must not be able to write to the terminal."""
    if text is None:
        return ""
    return "".join(" " if char in "\n\r\t" else char for char in str(text) if char in "\n\r\t" or char.isprintable())


def width(text: str) -> int:
    """Return how many terminal columns a text takes: wide letters two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _pad(text: str, room: int, right: bool = False) -> str:
    blank = " " * max(0, room - width(text))
    return blank + text if right else text + blank


def _centre(text: str, room: int) -> str:
    left = max(0, room - width(text)) // 2
    return _pad(" " * left + text, room)


def format_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    title: str = "",
    footer: Sequence[str] = (),
) -> str:
    """Draw a table in a box, with a title above the headings and footer lines below the rows."""
    cells = [[clean(value) for value in row] for row in rows]
    widths = [max([width(column.heading), *(width(row[at]) for row in cells)]) for at, column in enumerate(columns)]
    notes = [clean(line) for line in footer]
    inner = sum(widths) + 3 * len(widths) - 1
    missing = max([0, *(width(line) + 2 - inner for line in [title, *notes])])
    # A wide footer widens the widest column of text: blanks between a number and its column would look odd.
    widest = max(range(len(columns)), key=lambda at: (not columns[at].right, widths[at], at))
    widths[widest] += missing
    inner += missing

    def rule(left: str, join: str, right: str) -> str:
        return left + join.join("═" * (size + 2) for size in widths) + right

    def line(values: Sequence[str], align: bool) -> str:
        parts = [
            _pad(value, size, align and column.right)
            for value, size, column in zip(values, widths, columns, strict=True)
        ]
        return "║ " + " │ ".join(parts) + " ║"

    lines = []
    if title:
        lines += ["╔" + "═" * inner + "╗", "║" + _centre(title, inner) + "║", rule("╠", "╤", "╣")]
    else:
        lines.append(rule("╔", "╤", "╗"))
    lines += [line([column.heading for column in columns], True), rule("╠", "╪", "╣")]
    lines += [line(row, True) for row in cells]
    if notes:
        lines.append(rule("╠", "╧", "╣"))
        lines += ["║ " + _pad(note, inner - 2) + " ║" for note in notes]
        lines.append("╚" + "═" * inner + "╝")
    else:
        lines.append(rule("╚", "╧", "╝"))
    return "\n".join(lines)


def format_pairs(pairs: Mapping[str, object], indent: int = 2) -> str:
    """Return ``name: value`` lines with the values aligned; pairs whose value is None are left out."""
    shown = {name: clean(value) for name, value in pairs.items() if value is not None}
    room = max((width(name) for name in shown), default=0) + 1
    return "\n".join(" " * indent + _pad(f"{name}:", room) + f" {value}" for name, value in shown.items())
