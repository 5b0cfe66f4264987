# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generator of the sample database: same input, same data; every reference holds; size is linear."""

from __future__ import annotations

import gzip
import importlib.util
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FILES = Path(__file__).resolve().parents[2] / "roles" / "sample_database" / "files"
Row = dict[str, str | None]


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("relevo_sample_generate", FILES / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def parse(sql: str) -> dict[str, list[Row]]:
    """Return the rows of the COPY blocks by table, as a server would read them."""
    tables: dict[str, list[Row]] = {}
    for match in re.finditer(r"^COPY public\.(\w+) \((.*?)\) FROM stdin;\n(.*?)^\\\.$", sql, re.MULTILINE | re.DOTALL):
        table, columns, data = match[1], match[2].split(", "), match[3]
        tables[table] = []
        for line in data.splitlines():
            values = [None if value == "\\N" else value for value in line.split("\t")]
            assert len(values) == len(columns), line
            tables[table].append(dict(zip(columns, values, strict=True)))
    return tables


@pytest.fixture(scope="module")
def tables() -> dict[str, list[Row]]:
    return parse("".join(GENERATOR.statements(1, 1)))


def keys(rows: list[Row], *columns: str) -> set[tuple[str | None, ...]]:
    """Return the values of a key, which must be unique."""
    found = {tuple(row[column] for column in columns) for row in rows}
    assert len(found) == len(rows), f"{columns} is not unique"
    return found


def values(rows: list[Row], column: str) -> set[str | None]:
    return {row[column] for row in rows}


def number(row: Row, column: str) -> int:
    value = row[column]
    assert value is not None
    return int(value)


def test_same_seed_same_data_other_seed_other_data() -> None:
    first = "".join(GENERATOR.statements(7, 1))
    assert "".join(GENERATOR.statements(7, 1)) == first
    assert "".join(GENERATOR.statements(8, 1)) != first


def test_the_hash_stays_the_same_on_every_python() -> None:
    # Fixed when the generator was written. Another value means: other data for everybody's seed.
    assert GENERATOR.mix(1, 2, 3, 4) == 0x584D4D21FDA149D3
    assert next(GENERATOR.Sample(1, 1).people()) == (1, "Nadira Kelarick", 1993, None)


def test_numbers_of_rows(tables: dict[str, list[Row]]) -> None:
    assert len(tables["titles"]) == 2000
    assert len(tables["people"]) == 3000
    assert len(tables["episodes"]) == 500
    assert 1700 < len(tables["ratings"]) < 1900
    assert len(tables["title_cast"]) > 5 * 2000


def test_keys_and_references(tables: dict[str, list[Row]]) -> None:
    titles = values(tables["titles"], "title_id")
    keys(tables["titles"], "title_id")
    keys(tables["genres"], "genre_id")
    keys(tables["genres"], "name")
    keys(tables["people"], "person_id")
    keys(tables["title_genres"], "title_id", "genre_id")
    keys(tables["episodes"], "title_id")
    keys(tables["episodes"], "series_id", "season", "number")
    keys(tables["title_cast"], "title_id", "billing")
    keys(tables["title_cast"], "title_id", "person_id", "category")
    keys(tables["ratings"], "title_id")
    for table in ("title_genres", "episodes", "title_cast", "ratings"):
        assert values(tables[table], "title_id") <= titles
    assert values(tables["title_genres"], "genre_id") <= values(tables["genres"], "genre_id")
    assert values(tables["title_cast"], "person_id") <= values(tables["people"], "person_id")
    assert values(tables["title_cast"], "title_id") == titles
    kinds = {row["title_id"]: row["kind"] for row in tables["titles"]}
    assert {kinds[row["series_id"]] for row in tables["episodes"]} == {"series"}
    assert {row["title_id"] for row in tables["episodes"]} == {title for title in kinds if kinds[title] == "episode"}


def test_rows_meet_the_checks_of_the_schema(tables: dict[str, list[Row]]) -> None:
    for row in tables["titles"]:
        assert row["primary_title"]
        assert 1880 <= number(row, "start_year") <= 2024
        assert (row["end_year"] is not None) == (row["kind"] == "series")
        assert row["end_year"] is None or number(row, "end_year") >= number(row, "start_year")
    for row in tables["ratings"]:
        assert 0 < number(row, "votes") <= number(row, "score_sum") <= 10 * number(row, "votes")
    for row in tables["title_cast"]:
        assert (row["character_name"] is not None) == (row["category"] == "actor")


def test_nobody_plays_before_birth_or_after_death(tables: dict[str, list[Row]]) -> None:
    years = {row["title_id"]: number(row, "start_year") for row in tables["titles"]}
    people = {row["person_id"]: row for row in tables["people"]}
    for row in tables["title_cast"]:
        person = people[row["person_id"]]
        assert number(person, "birth_year") < years[row["title_id"]]
        assert person["death_year"] is None or number(person, "death_year") >= years[row["title_id"]]


def test_columns_are_those_of_the_schema() -> None:
    schema = (FILES / "schema.sql").read_text(encoding="utf-8")
    for table, columns in GENERATOR.COLUMNS.items():
        body = re.search(rf"CREATE TABLE public\.{table} \((.*?)^\);", schema, re.MULTILINE | re.DOTALL)
        assert body is not None, table
        defined = re.findall(r"^  (\w+) (?!.*GENERATED ALWAYS)", body[1], re.MULTILINE)
        assert defined == columns.split(", ")


def test_size_is_linear() -> None:
    fixed = sum(
        len((FILES / f"{part}.sql").read_text(encoding="utf-8")) for part in ("schema", "constraints", "routines")
    )
    small, large = (sum(map(len, GENERATOR.statements(1, scale))) - fixed for scale in (1, 4))
    assert 3.9 < large / small < 4.2


def test_memory_is_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    # Watching the memory is slow, so that this sample is small.
    monkeypatch.setattr(GENERATOR, "TITLES_PER_SCALE", 100)
    monkeypatch.setattr(GENERATOR, "PEOPLE_PER_SCALE", 150)

    def peak(scale: int) -> int:
        tracemalloc.start()
        for _piece in GENERATOR.statements(1, scale):
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)
    assert peak(8) < peak(1) * 1.5


def test_output_to_a_packed_file_is_the_same_file_each_time(tmp_path: Path) -> None:
    paths = [tmp_path / "one.sql.gz", tmp_path / "two.sql.gz"]
    for path in paths:
        assert GENERATOR.main(["--output", str(path)]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gzip.decompress(paths[0].read_bytes()).decode("utf-8") == "".join(GENERATOR.statements(1, 1))
    assert paths[0].stat().st_size < 300_000


@pytest.mark.parametrize("arguments", [["--scale", "0"], ["--scale", "x"], ["--scale", "-1"], ["--seed", "1.5"]])
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        GENERATOR.main(arguments)
    assert error.value.code == 2
    assert "must be a whole number from" in capsys.readouterr().err


def test_an_unwritable_output_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert GENERATOR.main(["--output", str(tmp_path / "missing" / "a.sql")]) == 1
    assert "could not be written" in capsys.readouterr().err


def test_every_statement_names_the_schema() -> None:
    """A file must not depend on the search path, as a dump does not."""
    bare: Callable[[str], list[str]] = re.compile(
        r"^(?:CREATE TABLE|CREATE TYPE|CREATE FUNCTION|CREATE PROCEDURE|ALTER TABLE|COPY) (?!public\.).*", re.MULTILINE
    ).findall
    assert bare("CREATE TABLE titles (") != []
    assert bare("".join(GENERATOR.statements(1, 1))) == []
