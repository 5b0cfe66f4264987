"""What a hand-over says at its end."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.filter.followers import followers
from ansible_collections.relevo.postgres.plugins.filter.handover_report import handover_report

NODES = ["a", "b"]
SWITCHOVER = {"action": "switchover", "primary": "a", "candidate": "b", "message": "Hand over from a to b."}
PROMOTE = {
    "action": "promote",
    "primary": "a",
    "candidate": "b",
    "message": "Promote b.",
    "unread": "What it had written and not sent is lost; how much is unknown.",
}
FOLLOWS = {"results": [{"item": "a", "method": "clean"}]}
PROOF = {"changed": False}
SKIPPED = {"skipped": True}


def test_a_planned_one() -> None:
    said = handover_report(
        SWITCHOVER,
        "b",
        NODES,
        NODES,
        switchover={"window_seconds": 0.1584, "notices": ["The logical slot x stays behind on a."]},
        fence=SKIPPED,
        promotion=SKIPPED,
        followers=FOLLOWS,
        archive={"pushed": [], "lost": []},
        archiving=PROOF,
    )
    assert said.splitlines() == [
        "Hand over from a to b.",
        "  b accepts writes (write outage 0.158 s).",
        "  Warning: The logical slot x stays behind on a.",
        "  a follows b (clean).",
        "  Archiving from b is proven; backups go on from it.",
    ]


PROMOTED = {"primary": "b", "seconds": 0.44, "salvage_complete": True, "salvaged_bytes": 512, "notices": []}
FENCED = {"proved": True, "evidence": "Docker says so", "wal": {"ended": "there is no 0A", "newer_timeline": 0}}


def emergency(fence: dict[str, Any], promotion: dict[str, Any], **more: Any) -> list[str]:
    text = handover_report(PROMOTE, "b", NODES, ["b"], switchover=SKIPPED, fence=fence, promotion=promotion, **more)
    return text.splitlines()


def test_an_emergency() -> None:
    archive = {"pushed": ["01", "02"], "lost": []}
    assert emergency(FENCED, PROMOTED, followers={"results": []}, archive=archive, archiving=PROOF) == [
        "Promote b.",
        "  b accepts writes, 0.4 s after it was asked to.",
        "  The WAL of a was read to its end: 512 bytes that only it had were saved, none were lost.",
        "  a is fenced. Run rejoin.yml to bring it back as a standby, or failback.yml to make it primary again.",
        "  Pushed to the archive in place of a: 01, 02.",
        "  Archiving from b is proven; backups go on from it.",
    ]


def test_a_copy_that_was_cut_off_is_not_called_whole() -> None:
    wal = {"ended": "a did not answer within 60 s", "newer_timeline": 0, "interrupted": True}
    [loss] = [line for line in emergency({**FENCED, "wal": wal}, PROMOTED) if "The WAL of a" in line]
    assert "could not be read to its end (a did not answer within 60 s)." in loss


@pytest.mark.parametrize(
    ("wal", "words"),
    [
        ({"ended": "there is no 0A", "newer_timeline": 0}, "not be read to its end (there is no 0A). What it had"),
        ({}, "could not be read to its end. What it had written and not sent is lost; how much is unknown."),
        ({"newer_timeline": 4}, "was on the newer timeline 4. What it wrote there"),
    ],
)
def test_a_loss_is_said(wal: dict[str, Any], words: str) -> None:
    lines = emergency({**FENCED, "wal": wal}, {**PROMOTED, "salvage_complete": False})
    assert words in lines[2]


def test_what_force_let_pass_is_said() -> None:
    lines = emergency({"proved": False, "evidence": "status 1", "wal": {}}, {**PROMOTED, "archived_bytes": 9})
    assert "  From the archive came 9 bytes of WAL that b had not received." in lines
    assert any(line.startswith("  a was not proved to be stopped (status 1). Keep it off.") for line in lines)


def test_segments_that_are_lost_are_said_loudly() -> None:
    lines = emergency(FENCED, PROMOTED, archive={"lost": ["03"]})
    assert any("LOST from the archive: 03." in line for line in lines)


@pytest.mark.parametrize(
    ("plan", "words"),
    [(SWITCHOVER, "was left alone"), (PROMOTE, "was stopped, since it might have been promoted unseen")],
)
def test_a_third_node_that_is_away_is_named(plan: dict[str, Any], words: str) -> None:
    said = handover_report(plan, "b", ["a", "b", "c"], ["a", "b"])
    assert f"c does not answer and {words}. Run rejoin.yml to bring it back." in said


def test_nothing_to_do_and_nothing_proved_is_one_line() -> None:
    plan = {"action": "finish", "primary": "b", "candidate": "b", "message": "b is primary already."}
    assert handover_report(plan, "b", NODES, NODES, archiving=SKIPPED) == "b is primary already."


def test_a_synchronous_standby_is_said() -> None:
    synchronous = {"message": "b requires a again."}
    assert "\n  b requires a again." in handover_report(SWITCHOVER, "b", NODES, NODES, synchronous=synchronous)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"method": "none"}, "c follows b."),
        ({"method": "clean", "own_pace": ""}, "c follows b (clean)."),
        (
            {"method": "follow", "own_pace": "delayed"},
            "c follows b (follow) at its own pace: it replays with a delay, on purpose (recovery_min_apply_delay), and "
            "was not waited for.",
        ),
        (
            {"method": "none", "own_pace": "paused"},
            "c follows b once its replay goes on, which somebody has paused (SELECT pg_wal_replay_resume() there).",
        ),
        (
            {
                "method": "none",
                "cut_off": "The primary cannot be reached (the name b does not resolve). Nothing was changed; start b.",
            },
            "c is cut off and does not follow b. The primary cannot be reached (the name b does not resolve). Look at "
            "the network. Run rejoin.yml to bring it back.",
        ),
    ],
)
def test_how_a_standby_follows(result: dict[str, Any], said: str) -> None:
    assert followers({"results": [{"item": "c", **result}]}, "b") == [said]


def test_nobody_to_follow() -> None:
    assert followers({"skipped": True}, "b") == []
