"""The catalog with as many records as nobody has: pages, a rebuild, and the play, in the cluster's own Redis.

Import it only where ``systems.relevo`` may be imported, which names the tests' cluster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# First: it names the tests' cluster, whose driver reads that name when it is imported.
from systems.relevo import PLAY_SECONDS, Relevo, play  # isort: skip
import cluster  # isort: skip
from bench import sampler
from bench.backup import backups
from bench.figures import spread
from bench.rounds import order, say
from bench.targets import Row
from systems.base import BenchmarkError, docker, in_node

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "catalog_at_scale.py"
#: Where the script finds the product's own Python, beside itself.
FOLDER = "/tmp/relevo-catalog"
LIBRARY = f"{FOLDER}/ansible_collections/relevo/postgres/plugins"
#: The number with which many are compared, and the line of the play that is measured.
FEW = 10
PLAY = ("playbooks/catalog.yml", "-e", "catalog_limit=20")
PAGES, PAGES_OF_WHOLE = 200, 3
SECONDS = 1800


def install() -> None:
    """Bring the script and what it imports onto the repository host."""
    in_node(cluster.REPOSITORY, "mkdir", "--parents", LIBRARY, user="root")
    docker("cp", str(cluster.ROOT / "plugins" / "module_utils"), f"{cluster.REPOSITORY}:{LIBRARY}")
    docker("cp", str(SCRIPT), f"{cluster.REPOSITORY}:{FOLDER}")


def ask(what: str, **given: Any) -> dict[str, Any]:
    """Run a task of the script there. The password goes over its standard input, which no list of processes shows."""
    redis = {"host": cluster.REDIS, "db": 0, "timeout": 5.0}
    redis |= {"username": None, "password": (cluster.SECRETS / "redis").read_text().strip()}
    task = {"do": what, "redis": redis, **given}
    program = f"{FOLDER}/{SCRIPT.name}"
    found = in_node(cluster.REPOSITORY, "python3", program, stdin=json.dumps(task), timeout=SECONDS)
    return dict(json.loads(found))


def rebuilt(records: int) -> dict[str, Any]:
    """The catalog is emptied, and made anew from an information of so many backups."""
    found = ask("rebuild", number=records)
    say(f"catalog, {found['records']} records: {found['seconds']:.1f} s, {found['memory_bytes'] / 1e6:.1f} MB")
    return found


def shown(records: int, number: int) -> Row:
    """One play over a catalog that was just made."""
    found = rebuilt(records)
    environment = cluster.controller_environment()
    ran = sampler.run(cluster.command_line(*PLAY), Path(cluster.ROOT), environment, PLAY_SECONDS)
    if ran.code:
        raise BenchmarkError(f"{PLAY[0]} over {found['records']} records ended with {ran.code}: {ran.output[-1500:]}")
    say(f"catalog, {found['records']} records: {' '.join(PLAY)} {ran.seconds:.1f} s")
    figures = {"seconds": ran.seconds, "processor": ran.processor, "memory": ran.memory}
    return {"round": number + 1, "many": records != FEW, "records": found["records"], "rebuild": found, **figures}


def pages(what: str, tries: int, **given: Any) -> Row:
    found = ask("pages", tries=tries, **given)
    taken, reading = spread(found["seconds"]), spread(found["reading"])
    if taken is None or reading is None:
        raise BenchmarkError(f"No page of the catalog was taken: {what}.")
    say(f"catalog, {what}: p95 {1000 * taken.p95:.1f} ms")
    return {
        "what": what,
        "backups": found["backups"],
        "rows": sum(found["rows"]),
        "tries": taken.runs,
        "median": taken.median,
        "p95": taken.p95,
        "most": taken.most,
        "reading_p95": reading.p95,
    }


def measure(relevo: Relevo, rounds: int, records: int) -> dict[str, Any]:
    """Pages of ``records``, the same one by one, and ``rounds`` of the play with few and with all of them.

    The catalog is the repository's again at the end.
    """
    relevo.ready()
    if not backups():
        # The many are made after the pattern of one, and without --part backup before this there is none.
        play("backup.yml", "-e", "day=1")
    install()
    try:
        first = rebuilt(records)
        filtered = [pages("a page", PAGES, whole=False, number=records)]
        filtered.append(pages("a page, all backups in the repository", PAGES_OF_WHOLE, whole=True, number=records))
        one_by_one = ask("one_by_one", tries=rounds)["seconds"]
        say(f"catalog, one by one: {max(one_by_one):.1f} s")
        # Not counted: Ansible's own caches.
        play(*PLAY)
        plays = [shown(number, turn) for turn in range(rounds) for number in order((FEW, records), turn)]
    finally:
        ask("empty")
        play("site.yml")
    return {
        "records": first["records"],
        "rebuilds": [first, *(row.pop("rebuild") for row in plays if row["many"])],
        "pages": filtered,
        "one_by_one": one_by_one,
        "plays": [{name: value for name, value in row.items() if name != "rebuild"} for row in plays],
    }
