"""Sizes, durations and tables as people read them."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._tables import (
    Column,
    clean,
    format_bytes,
    format_duration,
    format_pairs,
    format_table,
    plural,
    width,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        ("", "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        ("23421930", "22.3 MiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1024**3 * 5, "5.0 GiB"),
        (1024**6, "1024.0 PiB"),
    ],
)
def test_sizes(count: int | str, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.0834, "0.083 s"),
        (1.25, "1.2 s"),
        ("59", "59 s"),
        (59.99, "60.0 s"),
        (60, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3780, "1 h 03 min"),
        (90000, "1 d 01 h"),
        (-65, "-1 min 05 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_plural() -> None:
    assert [plural(0, "backup"), plural(1, "backup"), plural(2, "entry", "entries")] == [
        "0 backups",
        "1 backup",
        "2 entries",
    ]


def test_a_table_is_a_box_whose_lines_are_equally_wide() -> None:
    text = format_table(
        [Column("Fecha"), Column("Día", right=True)],
        [["2025-10-09", 1], ["año", "日本"]],
        "BACKUPS",
        ["a footer that is wider than the table"],
    )
    lines = text.splitlines()
    assert len({width(line) for line in lines}) == 1
    assert lines[0][0] + lines[0][-1] + lines[-1][0] + lines[-1][-1] == "╔╗╚╝"
    assert lines[5].startswith("║ 2025-10-09  ")
    assert lines[5].endswith(" 1 ║")


def test_a_table_as_it_is() -> None:
    assert format_table([Column("Hora"), Column("Tipo")], [["04:07:19", "completo"]], "LISTA") == (
        "╔═════════════════════╗\n"
        "║        LISTA        ║\n"
        "╠══════════╤══════════╣\n"
        "║ Hora     │ Tipo     ║\n"
        "╠══════════╪══════════╣\n"
        "║ 04:07:19 │ completo ║\n"
        "╚══════════╧══════════╝"
    )


def test_a_value_cannot_write_to_the_terminal() -> None:
    assert clean("a\x1b[31mb\nc\x07") == "a[31mb c"


def test_pairs_are_aligned_and_unknown_ones_left_out() -> None:
    assert format_pairs({"Fecha": "x", "Día": None, "Almacenamiento": 1}) == "  Fecha:          x\n  Almacenamiento: 1"
