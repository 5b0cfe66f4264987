"""What is said again at the end of a play: sentences that others have come after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.callback.failures import Failure, repeated
from ansible_collections.relevo.postgres.plugins.plugin_utils._failed_task import sentence_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"msg": "The primary\ndoes not answer."}, "The primary does not answer."),
        (
            {
                "msg": "One or more items failed",
                "results": [
                    {"msg": "fine"},
                    {"failed": True, "msg": "No space."},
                    {"failed": True, "msg": "Nor here."},
                ],
            },
            "No space.",
        ),
        ({"results": [{"unreachable": True, "msg": "No route."}]}, "No route."),
        ({"censored": "the output has been hidden"}, "the output has been hidden"),
        ({}, "see above"),
    ],
)
def test_the_sentence_of_a_failure(result: dict[str, Any], sentence: str) -> None:
    assert sentence_of(result) == sentence


def test_what_others_came_after_is_repeated() -> None:
    early, last = Failure("Start it", "No space.", 3), Failure("Judge", "Not healthy.", 9)
    assert repeated({"db1": early}, 9) == ["db1: Start it: No space."]
    assert repeated({"db1": early, "localhost": last}, 9) == [
        "db1: Start it: No space.",
        "localhost: Judge: Not healthy.",
    ]


def test_a_sentence_that_concerns_several_hosts_is_repeated_once() -> None:
    """Seen: a refusal for three hosts, and the same three lines again at the end."""
    same, other = Failure("Follow it", "No primary.", 3), Failure("Judge", "Not healthy.", 9)
    found = {"db1": same, "db2": Failure("Follow it", "No primary.", 3), "localhost": other}
    assert repeated(found | {"db3": Failure("Follow it", "No space.", 3)}, 9) == [
        "db1, db2: Follow it: No primary.",
        "localhost: Judge: Not healthy.",
        "db3: Follow it: No space.",
    ]


def test_the_last_thing_that_was_said_is_not_repeated() -> None:
    assert repeated({"localhost": Failure("Judge", "Not healthy.", 9)}, 9) == []
    assert repeated({}, 9) == []


def test_nobody_hands_on_what_ansible_says_of_a_loop() -> None:
    """Of a loop its msg is no more than "One or more items failed"."""
    files = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml")]
    assert len(files) > 100
    assert [path.name for path in files if "ansible_failed_result.msg" in path.read_text()] == []
