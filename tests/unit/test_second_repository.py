"""A second repository: what is asked of pgBackRest, which files make each stand alone, and one that is away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.relevo.postgres.plugins.filter.json_together import json_together
from ansible_collections.relevo.postgres.plugins.filter.plans_together import plans_together
from ansible_collections.relevo.postgres.plugins.filter.repository_files import repository_files
from ansible_collections.relevo.postgres.plugins.filter.second_repository import second_repository
from ansible_collections.relevo.postgres.plugins.module_utils._catalog import store
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import Effect, OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._repository import archive
from ansible_collections.relevo.postgres.plugins.module_utils._repository.alone import alone
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away, each, first_of
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import config_of, repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import require_mounted
from ansible_collections.relevo.postgres.plugins.modules.pgbackrest_repositories_info import described

FIRST_PATH = "/var/lib/pgbackrest"
NOTHING = {
    "type": "none",
    "path": "",
    "retention_full": 2,
    "cipher_pass": "",
    "s3_bucket": "",
    "s3_endpoint": "",
    "s3_region": "",
    "s3_key": "",
    "s3_key_secret": "",
    "s3_uri_style": "host",
    "s3_ca": "",
    "s3_verify": True,
}
BUCKET = NOTHING | {
    "type": "s3",
    "s3_bucket": "backups",
    "s3_endpoint": "store:9000",
    "s3_region": "eu",
    "s3_key": "id",
    "s3_key_secret": "hush",
    "s3_uri_style": "path",
}
TWO = """[global]
repo1-path=/one
repo1-retention-full=2
process-max=4
repo2-type=s3
repo2-path=/
repo2-retention-full=7

[main]
pg1-path=/data
"""
OF_A_SERVER = "[global]\nrepo1-host=repo\nrepo1-host-type=tls\nrepo2-host=repo\nrepo2-host-type=tls\n"


# --- what its owner describes ---


def test_there_is_none_unless_it_is_asked_for() -> None:
    assert second_repository(NOTHING, FIRST_PATH) == {}


def test_a_directory() -> None:
    assert second_repository(NOTHING | {"type": "posix", "path": "/mnt/two"}, FIRST_PATH) == {
        "type": "posix",
        "path": "/mnt/two",
        "retention-full": "2",
        "bundle": "y",
        "block": "y",
    }


def test_a_bucket() -> None:
    assert second_repository(BUCKET, FIRST_PATH) == {
        "type": "s3",
        "path": "/",
        "retention-full": "2",
        "bundle": "y",
        "block": "y",
        "s3-bucket": "backups",
        "s3-endpoint": "store:9000",
        "s3-region": "eu",
        "s3-key": "id",
        "s3-key-secret": "hush",
        "s3-uri-style": "path",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"s3_ca": "-----BEGIN"}, {"storage-ca-file": "/etc/pgbackrest/repo2-ca.crt"}),
        ({"s3_verify": False}, {"storage-verify-tls": "n"}),
        ({"path": "/shop"}, {"path": "/shop"}),
        ({"cipher_pass": "words"}, {"cipher-type": "aes-256-cbc", "cipher-pass": "words"}),
        ({"retention_full": "9"}, {"retention-full": "9"}),
    ],
)
def test_what_else_a_bucket_may_have(given: dict[str, object], expected: dict[str, str]) -> None:
    assert second_repository(BUCKET | given, FIRST_PATH) == second_repository(BUCKET, FIRST_PATH) | expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "azure"}, "pgbackrest_repo2_type=azure is not known. Choose one of none, posix, s3"),
        ({"type": "posix"}, r"pgbackrest_repo2_path=\(empty\) is not the path of a directory"),
        ({"type": "posix", "path": "/mnt/two", "mount": "/mnt/tw"}, "does not lie on pgbackrest_repo2_mount=/mnt/tw"),
        ({"type": "s3", "mount": "/mnt"}, r"pgbackrest_repo2_path=\(empty\) does not lie on"),
        ({"type": "posix", "path": "two"}, "pgbackrest_repo2_path=two is not the path of a directory"),
        ({"type": "posix", "path": FIRST_PATH}, "lie in one another"),
        ({"type": "posix", "path": f"{FIRST_PATH}/"}, "lie in one another"),
        ({"type": "posix", "path": f"{FIRST_PATH}/two"}, "lie in one another"),
        ({"type": "posix", "path": "/var/lib"}, "lie in one another"),
        ({"type": "posix", "path": "/two", "cipher_pass": "a\nrepo2-type=s3"}, "cipher_pass has more than one line"),
    ],
)
def test_what_pgbackrest_would_take_and_nobody_means_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        second_repository(NOTHING | given, FIRST_PATH)


def test_a_directory_beside_the_first_one_is_fine() -> None:
    assert second_repository(NOTHING | {"type": "posix", "path": f"{FIRST_PATH}2"}, FIRST_PATH)


def test_the_empty_place_of_a_share_is_no_repository(tmp_path: Path) -> None:
    given = NOTHING | {"type": "posix", "path": "/mnt/share/two", "mount": "/mnt/share"}
    assert second_repository(given, FIRST_PATH)["path"] == "/mnt/share/two"
    require_mounted("")
    require_mounted("/proc")
    for nowhere in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RelevoError, match="Nothing is mounted at .* Nothing was changed. Mount it"):
            require_mounted(str(nowhere))


# --- each alone ---


def test_the_first_one_alone() -> None:
    assert alone(TWO, 1) == (
        "[global]\nrepo1-path=/one\nrepo1-retention-full=2\nprocess-max=4\n\n[main]\npg1-path=/data\n"
    )


def test_the_second_one_alone_is_the_first() -> None:
    assert alone(TWO, 2) == (
        "[global]\nprocess-max=4\nrepo1-type=s3\nrepo1-path=/\nrepo1-retention-full=7\n\n[main]\npg1-path=/data\n"
    )


@pytest.mark.parametrize("number", [1, 2])
def test_a_server_says_which_file_is_meant_on_the_repository_host(number: int) -> None:
    assert alone(OF_A_SERVER, number) == (
        f"[global]\nrepo1-host=repo\nrepo1-host-config=/etc/pgbackrest/repo{number}.conf\nrepo1-host-type=tls\n"
    )


def test_the_files_of_two_repositories() -> None:
    found = repository_files(TWO, "0600", several=True)
    assert [(file["path"], file["mode"], file["absent"]) for file in found] == [
        ("/etc/pgbackrest/repo1.conf", "0600", False),
        ("/etc/pgbackrest/repo2.conf", "0600", False),
    ]
    assert [file["content"] for file in found] == [alone(TWO, 1), alone(TWO, 2)]


@pytest.mark.parametrize("text", [alone(TWO, 1), TWO])
def test_without_a_second_one_they_are_absent(text: str) -> None:
    """Also where an owner has described one in pgBackRest's own options, and has not asked for two."""
    assert [file["absent"] for file in repository_files(text)] == [True, True]


def test_who_asks_for_a_repository_gets_the_file_that_knows_it_alone(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text(alone(TWO, 1))
    assert repositories(config) == [1]
    assert PgBackRest("main", config).config == config
    with pytest.raises(RelevoError, match="Stanza main has no repository 2 on this host. Nothing was changed"):
        PgBackRest("main", config, 2)

    for file in repository_files(TWO):
        (tmp_path / Path(file["path"]).name).write_text(file["content"])
    assert repositories(config) == [1, 2]
    assert PgBackRest("main", config).config == config_of(1, config) == tmp_path / "repo1.conf"
    assert PgBackRest("main", config, 2).config == tmp_path / "repo2.conf"


# --- one that is away ---


def answers(failing: dict[int, str], number: int) -> str:
    if number in failing:
        raise RelevoError(failing[number])
    return f"answer {number}"


@pytest.mark.parametrize(
    ("asked", "failing", "answered", "away"),
    [
        ([1], {}, {1: "answer 1"}, []),
        ([1, 2], {}, {1: "answer 1", 2: "answer 2"}, []),
        ([1, 2], {2: "no route."}, {1: "answer 1"}, [Away(2, "no route.")]),
        ([1, 2], {1: "disk gone."}, {2: "answer 2"}, [Away(1, "disk gone.")]),
    ],
)
def test_one_that_is_away_is_named(
    asked: list[int], failing: dict[int, str], answered: dict[int, str], away: list[Away]
) -> None:
    assert each(asked, lambda number: answers(failing, number)) == (answered, away)


@pytest.mark.parametrize("at_once", [True, False])
def test_at_once_or_one_after_the_other_the_answers_are_the_same(at_once: bool) -> None:
    found = each([1, 2], lambda number: answers({1: "disk gone."}, number), at_once)
    assert found == ({2: "answer 2"}, [Away(1, "disk gone.")])


@pytest.mark.parametrize(
    ("failing", "answer", "away"),
    [({}, "answer 1", []), ({2: "no."}, "answer 1", []), ({1: "no."}, "answer 2", [Away(1, "no.")])],
)
def test_the_first_that_can(failing: dict[int, str], answer: str, away: list[Away]) -> None:
    assert first_of([1, 2], lambda number: answers(failing, number)) == (answer, away)


def test_where_none_can_the_first_failure_is_told() -> None:
    with pytest.raises(RelevoError, match=r"^first\.$"):
        first_of([1, 2], lambda number: answers({1: "first.", 2: "second."}, number))


@pytest.mark.parametrize(("asked", "failing"), [([1], {1: "first."}), ([1, 2], {1: "first.", 2: "second."})])
def test_where_none_works_the_first_failure_is_told(asked: list[int], failing: dict[int, str]) -> None:
    with pytest.raises(RelevoError, match=r"^first\.$"):
        each(asked, lambda number: answers(failing, number))


def test_what_is_said_of_it() -> None:
    assert Away(2, "no route.").sentence == "Repository 2 is away: no route."
    assert Away(2, "no route.").as_dict() == {"repository": 2, "reason": "no route."}


# --- together ---


def test_a_program_gets_one_document() -> None:
    assert json.loads(json_together(['[{"clave": "á"}]', "[]", "[2, 3]"])) == [{"clave": "á"}, 2, 3]
    assert json_together([]) == "[]"


def plan(action: str, message: str, **more: Any) -> dict[str, Any]:
    return OperationPlan("backup", "main", action, message, **more).as_dict()


def test_the_plans_of_both_are_one() -> None:
    risk = "A hand-over is refused while a backup runs."
    first = plan("none", "In repository 1: Nothing to do.", risks=[risk])
    second = plan("backup", "In repository 2: Day 1.", affects=[Effect("repository 2", "gets a backup")], risks=[risk])
    assert plans_together([first, second]) == plan(
        "backup",
        "In repository 1: Nothing to do. In repository 2: Day 1.",
        affects=[Effect("repository 2", "gets a backup")],
        risks=[risk],
    )


class Catalog:
    """A Redis that has the index of a second repository, or none."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def exists(self, name: str) -> int:
        assert name == "relevo:backups:main@2"
        return int(bool(self.keys))

    def zrevrange(self, _name: str, _first: int, _last: int) -> list[str]:
        return list(self.keys)


def test_the_records_of_a_second_one_that_is_no_more_go(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(store, "_forget", lambda _client, name: forgotten.append(name))
    assert store.forget_left(Catalog(), "main", write=True) == []
    assert store.forget_left(Catalog("one"), "main", write=False) == ["one"]
    assert forgotten == []
    assert store.forget_left(Catalog("one"), "main", write=True) == ["one"]
    assert forgotten == ["main@2"]


# --- what is archived in which ---


def test_a_segment_is_in_the_one_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = "000000020000000000000005"
    config = tmp_path / "pgbackrest.conf"
    config.write_text("[global]\nrepo1-host=repo\n\n[global:archive-push]\nio-timeout=3\n\n[main]\npg1-path=/data\n")
    # With one the server itself says all there is to say.
    assert not archive.in_repository(segment, config=config)

    def newest(pgbackrest: PgBackRest, _timeout: float) -> archive.Archive | None:
        assert pgbackrest.stanza == "main"
        if pgbackrest.repository == 2 and failing:
            raise RelevoError("no route.")
        return archive.Archive(pgbackrest, "17-1")

    held = {1: [segment], 2: ["000000020000000000000004"]}
    monkeypatch.setattr(archive.Archive, "newest", newest)
    monkeypatch.setattr(archive.Archive, "segments", lambda one, *_timelines: held[one.pgbackrest.repository])
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").touch()
    failing = False
    assert archive.in_repository(segment, 1, config=config)
    assert not archive.in_repository(segment, 2, config=config)
    failing = True
    assert not archive.in_repository(segment, 2, config=config)


# --- which there are ---


def test_a_host_without_a_configuration_has_what_pgbackrest_takes_by_itself(tmp_path: Path) -> None:
    assert described(1, tmp_path / "pgbackrest.conf") == {"number": 1, "place": FIRST_PATH, "directory": FIRST_PATH}


def test_where_each_repository_is(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").write_text(alone(TWO.replace("repo2-path=/", "repo2-s3-bucket=b"), number))
    assert described(1, config) == {"number": 1, "place": "/one", "directory": "/one"}
    assert described(2, config) == {"number": 2, "place": f"s3://b{FIRST_PATH}", "directory": ""}
