"""The page's section on the control API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bench.figures import spread
from bench.pieces import amount, numbers, one_line, table
from bench.targets import Row, median

HEALTH = "Asked about|Each client asks|Median, ms|p95, ms|Most, ms|Answers a second|Wrong|Errors".split("|")
OPERATIONS = ("failover", "failback")
WAYS = {"playbook": "`ansible-playbook playbooks/{}.yml`", "api": "`POST /{}`"}


def section(part: dict[str, Any]) -> list[str]:
    """Blocks of Markdown; ``part`` is what ``bench.api.measure`` found."""
    clients = max(row["clients"] for row in part["health"])
    said = {f"- {row['what']}, {row['pace']}: {one_line(error)}" for row in part["health"] for error in row["errors"]}
    hand_overs: list[Row] = part["hand_overs"]
    return [
        "## The control API",
        f"What a load balancer waits for: {clients} clients at once over loopback, each with a connection that it "
        "keeps, `OPTIONS /nodes/NAME/primary` and `/replica` in turn. *Each second*: with a second between an answer "
        "and the next question, as load balancers ask. *Without a pause*: as fast as the server lets them, so that the "
        "figure is how many answers it can give. *floor*: the barest application on the same server (uvicorn), in the "
        "same run. Clients and server share the machine.",
        table(HEALTH, [_health(row) for row in part["health"]]),
        *(["What went wrong:", "\n".join(sorted(said))] if said else []),
        "A hand-over that is asked for over the API, in seconds until the answer that it has ended, beside the "
        "playbook at a terminal; they took turns:",
        table(["Command", "Least", "Median", "p95", "Most", "Runs"], list(_hand_overs(hand_overs))),
        *_difference(hand_overs),
    ]


def _health(row: Row) -> list[str]:
    figures = [f"{1000 * row[name]:.1f}" if row[name] is not None else "-" for name in ("median", "p95", "most")]
    errors = sum(row["errors"].values())
    return [row["what"], row["pace"], *figures, f"{row['per_second']:g}", f"{row['wrong']}", f"{errors}"]


def _hand_overs(rows: list[Row]) -> Iterable[list[str]]:
    for operation in OPERATIONS:
        for way, command in WAYS.items():
            found = _seconds(rows, operation, way)
            yield [command.format(operation), *numbers(spread(found), 1), f"{len(found)}"]


def _difference(rows: list[Row]) -> Iterable[str]:
    alone, asked = (median(_seconds(rows, "failover", way)) for way in WAYS)
    if alone is not None and asked is not None:
        yield f"The API adds {amount(max(0.0, asked - alone), 's')} to a failover (medians)."


def _seconds(rows: list[Row], operation: str, way: str) -> list[float]:
    return [row["seconds"] for row in rows if (row["operation"], row["way"]) == (operation, way)]
