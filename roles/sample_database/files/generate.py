# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the sample movie database as SQL, with the data as COPY blocks.

All names are invented. The same --seed and --scale give the same SQL on every version of Python: every value is
computed from the seed and the row's number by an integer hash. So nothing has to be remembered between
rows (constant memory), and one table can look up what another says about the same title or person.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

TITLES_PER_SCALE = 2000
PEOPLE_PER_SCALE = 3000
LAST_YEAR = 2024

# Titles come in groups of 20: 12 movies, 2 shorts, 1 series and its 5 episodes.
GROUP = 20
SHORTS_FROM, SERIES_AT, EPISODES_FROM = 13, 15, 16


def words(text: str) -> list[str]:
    """Split a list that is easier to read as text."""
    return text.split()


GENRES = words("""
    Action Adventure Animation Biography Comedy Crime Documentary Drama Family Fantasy History Horror Music
    Mystery Romance Sci-Fi Sport Thriller War Western
""")
GIVEN = words("""
    Abrel Adisa Aleño Anvar Beliz Brannok Cassel Corvin Dalira Delphan Edrik Elowyn Fenna Florin Galen Hadria
    Ilvane Jessamy Jorvik Kaisa Kelmar Lirien Lúcan Maelis Marek Nadira Nilo Orsolya Osrik Perrin Quilla Rhoswen
    Rúna Selka Sigrane Talwin Tesni Ulvar Vesna Wendrik Ximera Yarrow Zélie Zorin
""")
FAMILY_START = words("""
    Al Bran Cor Dun El Fal Grim Hol Ist Jar Kel Lor Mor Nev Ost Pel Quen Ros Sal Tor Ul Vel Wes Yar Zan
""")
FAMILY_MIDDLE = ["", "a", "an", "ar", "e", "en", "i", "il", "o", "or", "u", "ur"]
FAMILY_END = words("""
    berg cott dane dell fell ford gard hart lind mar mere more nér ñez quist rick shaw sund thorpe vale wick
    wold
""")
ADJECTIVES = words("""
    Amber Borrowed Broken Burning Crooked Distant Drowned Empty Fearless Forgotten Frozen Gentle Golden Hidden
    Hollow Invisible Last Little Midnight Northern Paper Patient Quiet Restless Scarlet Second Silent Tender
    Wandering Wild
""")
NOUNS = words("""
    Archive Bridge Cartographer Chorus Clockmaker Comet Courier Embassy Ferry Garden Harbour Island Lantern
    Lighthouse Machine Mirror Mountain Orchard Parade River Season Shadow Station Storm Summer Tide Village
    Violin Voyage Winter
""")
LINKS = words("""
    of without beyond beneath before after against from
""")

MASK = (1 << 64) - 1


def mix(seed: int, stream: int, row: int, field: int = 0) -> int:
    """Return 64 well mixed bits for one field of one row (the finalizer of SplitMix64)."""
    value = (
        seed * 0x9E3779B97F4A7C15 + stream * 0xD1B54A32D192ED03 + row * 0x8CB92BA72F3D8DD7 + field * 0xA24BAED4963EE407
    ) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


class Sample:
    """The rows of all tables for a seed and a scale."""

    TITLE, PERSON, GENRE, CAST, RATING = range(1, 6)

    def __init__(self, seed: int, scale: int) -> None:
        self.seed = seed
        self.title_count = TITLES_PER_SCALE * scale
        self.people_count = PEOPLE_PER_SCALE * scale

    @staticmethod
    def kind(title: int) -> str:
        """Return the kind of a title, which its place in the group of 20 decides."""
        place = (title - 1) % GROUP + 1
        if place < SHORTS_FROM:
            return "movie"
        if place < SERIES_AT:
            return "short"
        return "series" if place == SERIES_AT else "episode"

    @staticmethod
    def series_of(title: int) -> int:
        """Return the series of an episode."""
        return (title - 1) // GROUP * GROUP + SERIES_AT

    def start_year(self, title: int) -> int:
        """Return the year of a title; more of them are recent. Episodes follow the start of their series."""
        if self.kind(title) == "episode":
            return min(LAST_YEAR, self.start_year(self.series_of(title)) + (title - 1) % GROUP + 1 - EPISODES_FROM)
        bits = mix(self.seed, self.TITLE, title)
        return LAST_YEAR - min(bits % 104, (bits >> 32) % 104)

    def life(self, person: int) -> tuple[int, int | None]:
        """Return the years of birth and death of a person."""
        bits = mix(self.seed, self.PERSON, person)
        born = 1880 + bits % 125
        died = born + 45 + (bits >> 20) % 55
        return born, died if died <= LAST_YEAR and (bits >> 40) % 10 < 8 else None

    def person_name(self, bits: int) -> str:
        """Return a name made of a given name and an invented family name."""
        family = FAMILY_START[(bits >> 8) % len(FAMILY_START)] + FAMILY_MIDDLE[(bits >> 16) % len(FAMILY_MIDDLE)]
        return f"{GIVEN[bits % len(GIVEN)]} {family}{FAMILY_END[(bits >> 24) % len(FAMILY_END)]}"

    def title_name(self, title: int) -> str:
        """Return the name of a title."""
        bits = mix(self.seed, self.TITLE, title, 1)
        adjective, noun = ADJECTIVES[bits % len(ADJECTIVES)], NOUNS[(bits >> 8) % len(NOUNS)]
        other = NOUNS[(bits >> 16) % len(NOUNS)]
        if self.kind(title) == "episode":
            return f"{adjective} {noun}"
        form = (bits >> 24) % 4
        if form == 0:
            return f"The {adjective} {noun}"
        if form == 1:
            return f"{noun} {LINKS[(bits >> 32) % len(LINKS)]} the {other}"
        if form == 2:
            place = FAMILY_START[(bits >> 32) % len(FAMILY_START)] + FAMILY_END[(bits >> 40) % len(FAMILY_END)]
            return f"The {noun} of {place}"
        return f"{adjective} {noun}, {ADJECTIVES[(bits >> 40) % len(ADJECTIVES)]} {other}"

    def genres(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of genres."""
        return iter(enumerate(GENRES, 1))

    def people(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of people."""
        for person in range(1, self.people_count + 1):
            yield person, self.person_name(mix(self.seed, self.PERSON, person, 1)), *self.life(person)

    def titles(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of titles."""
        runtimes = {"movie": (70, 110), "short": (3, 36), "series": (20, 45), "episode": (20, 45)}
        for title in range(1, self.title_count + 1):
            kind, name, year = self.kind(title), self.title_name(title), self.start_year(title)
            bits = mix(self.seed, self.TITLE, title, 2)
            shortest, spread = runtimes[kind]
            ends = min(LAST_YEAR, year + 4 + bits % 8) if kind == "series" else None
            original = name if bits >> 60 else f"{name} ({self.person_name(bits).split()[1]})"
            yield title, kind, name, original, year, ends, shortest + (bits >> 8) % spread

    def title_genres(self) -> Iterator[tuple[Any, ...]]:
        """Yield one to three genres of each title."""
        for title in range(1, self.title_count + 1):
            bits = mix(self.seed, self.GENRE, title)
            first, step = bits % len(GENRES), 1 + (bits >> 16) % 6
            for number in range(1 + (bits >> 32) % 3):
                yield title, (first + number * step) % len(GENRES) + 1

    def episodes(self) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of episodes: two seasons, of two and three episodes."""
        for title in range(1, self.title_count + 1):
            if self.kind(title) == "episode":
                place = (title - 1) % GROUP + 1 - EPISODES_FROM
                yield title, self.series_of(title), *((1, place + 1) if place < 2 else (2, place - 1))

    def title_cast(self) -> Iterator[tuple[Any, ...]]:
        """Yield five to ten people of each title, who were alive and at least ten years old."""
        for title in range(1, self.title_count + 1):
            year, chosen = self.start_year(title), set[int]()
            wanted = 5 + mix(self.seed, self.CAST, title) % 6
            for attempt in range(1, wanted * 10):
                bits = mix(self.seed, self.CAST, title, attempt)
                person = 1 + bits % self.people_count
                born, died = self.life(person)
                if person in chosen or born + 10 > year or (died is not None and died < year):
                    continue
                chosen.add(person)
                billing = len(chosen)
                category = (
                    "actor"
                    if billing <= wanted - 2
                    else ("director", "writer", "composer", "producer")[(bits >> 50) % 4]
                )
                yield title, billing, person, category, self.person_name(bits >> 24) if category == "actor" else None
                if billing == wanted:
                    break

    def ratings(self) -> Iterator[tuple[Any, ...]]:
        """Yield a rating for nine of ten titles; few have many votes."""
        for title in range(1, self.title_count + 1):
            bits = mix(self.seed, self.RATING, title)
            if bits % 10 == 0:
                continue
            votes = 5 + ((bits >> 4) % (1 << (4 + (bits >> 24) % 16)))
            # Between 2.0 and 9.5, the middle more often.
            thousandths = 2000 + (bits >> 32) % 3750 + (bits >> 48) % 3750
            yield title, votes, max(votes, min(votes * 10, votes * thousandths // 1000))


# In this order every row comes after those that it refers to.
COLUMNS = {
    "genres": "genre_id, name",
    "people": "person_id, name, birth_year, death_year",
    "titles": "title_id, kind, primary_title, original_title, start_year, end_year, runtime_minutes",
    "title_genres": "title_id, genre_id",
    "episodes": "title_id, series_id, season, number",
    "title_cast": "title_id, billing, person_id, category, character_name",
    "ratings": "title_id, votes, score_sum",
}


def copy_block(table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """Yield a COPY statement with its data; no value holds a character that COPY would need escaped."""
    yield f"\nCOPY public.{table} ({columns}) FROM stdin;\n"
    for row in rows:
        yield "\t".join(["\\N" if value is None else str(value) for value in row]) + "\n"
    yield "\\.\n"


def statements(seed: int, scale: int) -> Iterator[str]:
    """Yield the whole file in pieces."""
    here = Path(__file__).resolve().parent
    sample = Sample(seed, scale)
    yield f"-- Sample movie database of relevo.postgres: seed {seed}, scale {scale}. All names are invented.\n"
    yield "SET client_encoding = 'UTF8';\n\n"
    yield (here / "schema.sql").read_text(encoding="utf-8")
    for table, columns in COLUMNS.items():
        yield from copy_block(table, columns, getattr(sample, table)())
    yield "\n"
    yield (here / "constraints.sql").read_text(encoding="utf-8")
    yield "\n"
    yield (here / "routines.sql").read_text(encoding="utf-8")


def number_from(lowest: int) -> Callable[[str], int]:
    """Return a type for argparse: a whole number of at least ``lowest``."""

    def whole_number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} on, not {text!r}")
        return int(text)

    return whole_number


@contextmanager
def opened(path: str | None) -> Iterator[TextIO]:
    """Open standard output or a file, gzipped when its name ends in .gz."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        yield sys.stdout
        sys.stdout.flush()
    elif path.endswith(".gz"):
        # Neither name nor time in the header: the same sample is the same file.
        with (
            Path(path).open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as text,
        ):
            yield text
    else:
        with Path(path).open("w", encoding="utf-8", newline="\n") as text:
            yield text


def main(arguments: list[str] | None = None) -> int:
    """Write the sample where the command line says."""
    parser = argparse.ArgumentParser(description="Write the sample movie database as SQL.")
    parser.add_argument("--scale", type=number_from(1), default=1, help="size; 1 is 2,000 titles (default: 1)")
    parser.add_argument("--seed", type=number_from(0), default=1, help="the same seed gives the same data (default: 1)")
    parser.add_argument("--output", help="a .sql or .sql.gz file (default: SQL to standard output)")
    options = parser.parse_args(arguments)
    try:
        with opened(options.output) as output:
            for piece in statements(options.seed, options.scale):
                output.write(piece)
    except BrokenPipeError:
        # The reader (head, a psql that failed) went away and has said why. Python would complain when it flushes at
        # its end, so that goes nowhere (docs.python.org, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"generate.py: the sample could not be written: {error}. Check the path and the space.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
