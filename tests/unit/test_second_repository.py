"""A second repository: what is asked of pgBackRest, which files make each stand alone, and one that is away."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from jinja2 import StrictUndefined
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.relevo.postgres.plugins.filter.json_together import json_together
from ansible_collections.relevo.postgres.plugins.filter.lacking_repositories import lacking_repositories
from ansible_collections.relevo.postgres.plugins.filter.plans_together import plans_together
from ansible_collections.relevo.postgres.plugins.filter.repository_files import repository_files
from ansible_collections.relevo.postgres.plugins.filter.second_repository import second_repository
from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._catalog import store
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._operation_plan import Effect, OperationPlan
from ansible_collections.relevo.postgres.plugins.module_utils._process import Finished
from ansible_collections.relevo.postgres.plugins.module_utils._recovery_window import Hole
from ansible_collections.relevo.postgres.plugins.module_utils._repository import archive
from ansible_collections.relevo.postgres.plugins.module_utils._repository import away as away_module
from ansible_collections.relevo.postgres.plugins.module_utils._repository.alone import alone
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import (
    FIRST_ANSWER,
    Away,
    answering,
    each,
    each_that_answers,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import config_of, repositories
from ansible_collections.relevo.postgres.plugins.module_utils._repository.errors import BACKUP_MISSING
from ansible_collections.relevo.postgres.plugins.module_utils._repository.listing import described
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import in_the_way, require_mounted
from ansible_collections.relevo.postgres.plugins.module_utils._restore import facts
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.modules import (
    catalog_info,
    pg_restore_hold,
    pg_restore_in_place_plan,
    pg_restore_plan,
    pgbackrest_annotate,
    pgbackrest_info,
    pgbackrest_repositories_info,
    pgbackrest_repository_check,
    pgbackrest_stanza,
    stanza_removal,
)

pytestmark = pytest.mark.usefixtures("repositories_answer")

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
        (BUCKET | {"s3_bucket": ""}, "pgbackrest_repo2_s3_bucket is empty"),
        (BUCKET | {"s3_endpoint": ""}, "pgbackrest_repo2_s3_endpoint is empty"),
        (BUCKET | {"s3_region": ""}, "pgbackrest_repo2_s3_region is empty"),
        (BUCKET | {"s3_key": ""}, "one is empty. Nothing was changed. Give both"),
        (BUCKET | {"s3_key_secret": ""}, "one is empty. Nothing was changed. Give both"),
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


def test_a_bucket_may_be_opened_without_a_key() -> None:
    """As its owner says in pgBackRest's own words (``repo2-s3-key-type``)."""
    found = second_repository(BUCKET | {"s3_key": "", "s3_key_secret": ""}, FIRST_PATH)
    assert not {"s3-key", "s3-key-secret"} & found.keys()


def test_a_directory_beside_the_first_one_is_fine() -> None:
    assert second_repository(NOTHING | {"type": "posix", "path": f"{FIRST_PATH}2"}, FIRST_PATH)


def test_a_server_need_not_know_where_the_first_one_is() -> None:
    """Its path may be given to the repository host alone."""
    assert second_repository(NOTHING | {"type": "posix", "path": FIRST_PATH}, "")["path"] == FIRST_PATH


ROLE = yaml.safe_load((Path(__file__).resolve().parents[2] / "roles" / "pgbackrest" / "vars" / "main.yml").read_text())


@pytest.mark.parametrize(
    ("options", "second", "repository", "secret"),
    [
        ({}, NOTHING, True, False),
        ({"repo1-cipher-pass": "words"}, NOTHING, True, True),
        ({"repo1-s3-key-secret": "words"}, NOTHING, False, True),
        ({"compress-level": 3}, BUCKET, True, True),
        # What a server's file says of the second one is that it is there.
        ({}, BUCKET, False, False),
        ({}, NOTHING | {"type": "posix", "path": "/mnt/two"}, True, False),
        ({}, NOTHING | {"type": "posix", "path": "/mnt/two", "cipher_pass": "words"}, True, True),
    ],
)
def test_what_holds_a_secret_is_not_shown(
    options: dict[str, Any], second: dict[str, Any], repository: bool, secret: bool
) -> None:
    environment = NativeEnvironment(undefined=StrictUndefined)
    environment.tests["search"] = lambda value, pattern: re.search(pattern, value) is not None
    given = {
        "pgbackrest_options": options,
        "__pgbackrest_second": second_repository(second, FIRST_PATH),
        "__pgbackrest_is_repository": repository,
    }
    found: Any = environment.from_string(ROLE["__pgbackrest_has_secret"]).render(given)
    assert found is secret


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


class GivenModule:
    """As much of Ansible's as the check of a new configuration uses."""

    def __init__(self, config: Path, content: str, second: bool, kept: Sequence[str] = ()) -> None:
        self.params = {
            "content": content,
            "stanzas": ["main"],
            "config": str(config),
            "left_path": "",
            "version": "pgBackRest 2.55.1",
            "second_mount": "",
            "second": second,
            "kept": list(kept),
            "timeout": 30,
        }


@pytest.mark.parametrize(
    ("had", "content", "second", "asked"),
    [
        # Of one it asks with the configuration itself, as ever; and of the new one in a file of its own.
        (False, alone(TWO, 1).replace("/one", "/three"), False, ["pgbackrest.conf", "new"]),
        (False, TWO.replace("/one", "/three"), True, ["pgbackrest.conf", "new"]),
        (False, TWO, True, []),
        (True, TWO, True, []),
        (True, TWO.replace("/one", "/three"), True, ["repo1.conf", "new"]),
        (True, TWO.replace("repo2-path=/", "repo2-path=/two"), True, ["repo2.conf", "new"]),
        # One that is given up loses nothing.
        (True, alone(TWO, 1), False, []),
    ],
)
def test_each_repository_is_asked_with_the_configuration_that_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, had: bool, content: str, second: bool, asked: list[str]
) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text(TWO if had else alone(TWO, 1))
    for number in (1, 2) if had else ():
        (tmp_path / f"repo{number}.conf").write_text(alone(TWO, number))
    seen: list[str] = []

    def info(pgbackrest: PgBackRest, _timeout: float) -> dict[str, Any]:
        seen.append(pgbackrest.config.name if pgbackrest.config.parent == tmp_path else "new")
        return {"status": {"code": 2}, "backup": []}

    monkeypatch.setattr(PgBackRest, "info", info)
    monkeypatch.setattr(pgbackrest_repository_check, "write_file", lambda path, text: path.write_text(text))
    found = pgbackrest_repository_check.work(GivenModule(config, content, second))  # type: ignore[arg-type]
    assert (seen, found["asked"]) == (asked, bool(asked))


@pytest.mark.parametrize(
    ("kept", "second", "refused"),
    [
        (["shop", "north"], False, True),
        # Not of this repository host.
        (["north"], False, False),
        ([], False, False),
        (["shop"], True, False),
    ],
)
def test_a_second_one_is_not_given_up_while_servers_that_are_not_told_archive_to_it(
    tmp_path: Path, kept: list[str], second: bool, refused: bool
) -> None:
    config = tmp_path / "pgbackrest.conf"
    both = f"{TWO}tls-server-auth=s1=shop\n\n[shop]\npg1-host=s1\n"
    config.write_text(both)
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").write_text(alone(both, number))
    given = GivenModule(config, both if second else alone(both, 1), second, kept)
    if refused:
        with pytest.raises(RelevoError, match="but the servers of shop, which this run leaves as they are, may"):
            pgbackrest_repository_check.work(given)  # type: ignore[arg-type]
    else:
        assert pgbackrest_repository_check.work(given)["asked"] is False  # type: ignore[arg-type]


def test_with_one_repository_pgbackrest_is_called_as_ever() -> None:
    """No configuration is named, and no repository."""
    assert repositories(Path("/nowhere/pgbackrest.conf")) == [1]
    assert PgBackRest("main").line("info", "--output=json") == [
        *("pgbackrest", "--stanza=main", "--log-level-console=off", "--log-level-stderr=warn"),
        *("--output=json", "info"),
    ]


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("repo1-path={disk}", True),
        ("repo1-type=cifs\nrepo1-path={disk}", True),
        # The path is in the bucket, or on another host.
        ("repo1-type=s3\nrepo1-path={disk}", False),
        ("repo1-host=repo\nrepo1-path={disk}", False),
        ("repo1-path={disk}/missing", False),
    ],
)
def test_a_full_disk_of_this_host_is_not_that_of_a_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, full: bool
) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text(f"[global]\n{text.format(disk=tmp_path)}\n")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    assert PgBackRest("main", config).repository_is_full() is full


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


def question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: dict[int, Finished | None]) -> Path:
    """The configurations of two repositories whose first questions end like this; None: not in time."""

    def run(command: Sequence[str], timeout: float, **_options: Any) -> Finished | None:
        assert (command[-2:], timeout) == (["repo-ls", "archive/main"], FIRST_ANSWER)
        (number,) = (number for number in (1, 2) if f"repo{number}.conf" in command[1])
        return ended[number]

    monkeypatch.undo()
    monkeypatch.setattr(_process, "run_to_end", run)
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf"):
        (tmp_path / name).touch()
    return tmp_path / "pgbackrest.conf"


THERE = Finished(0, "17-1\n", "", 0.1)
MISSING = Finished(1, "", "", 0.1)
REFUSED = Finished(49, "", "ERROR: [049]: unable to connect to 'bucket:443': [111] Connection refused", 9.0)


def test_before_anything_else_each_of_two_is_asked_whether_it_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """pgBackRest would try for three minutes, at each of its commands."""
    config = question(monkeypatch, tmp_path, {1: THERE, 2: None})
    numbers, away = answering("main", [1, 2], config)
    assert numbers == [1]
    assert [one.sentence for one in away] == [
        "Repository 2 is away: It did not answer within 10 s. Look at its server, its disk and the network."
    ]


def test_what_is_wrong_with_it_is_in_its_own_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    numbers, (away,) = answering("main", [1, 2], question(monkeypatch, tmp_path, {1: REFUSED, 2: THERE}))
    assert (numbers, away.repository) == ([2], 1)
    assert away.reason.startswith("Nothing takes connections at bucket:443. Start the server that should")


def test_one_that_has_no_archive_yet_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert answering("main", [1, 2], question(monkeypatch, tmp_path, {1: THERE, 2: MISSING})) == ([1, 2], [])


def test_where_none_answers_that_is_the_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match="Nothing takes connections at bucket:443"):
        answering("main", [1, 2], question(monkeypatch, tmp_path, {1: REFUSED, 2: None}))


def test_the_only_one_is_not_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert answering("main", [1], question(monkeypatch, tmp_path, {})) == ([1], [])


@pytest.mark.parametrize("at_once", [True, False])
def test_at_once_or_one_after_the_other_the_answers_are_the_same(at_once: bool) -> None:
    found = each([1, 2], lambda number: answers({1: "disk gone."}, number), at_once)
    assert found == ({2: "answer 2"}, [Away(1, "disk gone.")])


def test_nothing_is_done_with_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = question(monkeypatch, tmp_path, {1: THERE, 2: None})
    found, (away,) = each_that_answers("main", [1, 2], lambda number: answers({}, number), config)
    assert (found, away.repository) == ({1: "answer 1"}, 2)


@pytest.mark.parametrize(("asked", "failing"), [([1], {1: "first."}), ([1, 2], {1: "first.", 2: "second."})])
def test_where_none_works_the_first_failure_is_told(asked: list[int], failing: dict[int, str]) -> None:
    with pytest.raises(RelevoError, match=r"^first\.$"):
        each(asked, lambda number: answers(failing, number))


def test_what_is_said_of_it() -> None:
    assert Away(2, "no route.").sentence == "Repository 2 is away: no route."
    assert Away(2, "no route.").as_dict() == {"repository": 2, "reason": "no route."}


class AskingModule:
    """As much of Ansible's as the question about a repository uses."""

    def __init__(self, config: Path, **params: Any) -> None:
        nothing: dict[str, Any] = {"wait": None, "holes": False, "timelines": False, "tls_server": False}
        asked = {"stanza": "main", "config": str(config), "repository": 1, "require": "stanza", "timeout": 1.0}
        self.params = {**nothing, **asked, "every": True, **params}


TIMELINES = {1: 4, 2: 3}


@pytest.mark.parametrize(
    ("slow", "silent", "newest", "away"),
    [
        ([], [], 4, []),
        ([2], [], 4, [2]),
        # It has answered, and is too slow to list its archive.
        ([1], [], 3, [1]),
        ([], [1], 3, [1]),
        ([], [2], 4, [2]),
    ],
)
def test_one_whose_archive_cannot_be_listed_is_away_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slow: list[int],
    silent: list[int],
    newest: int,
    away: list[int],
) -> None:
    config = tmp_path / "pgbackrest.conf"
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf"):
        (tmp_path / name).write_text("[global]\n")

    def info(pgbackrest: PgBackRest, _timeout: float) -> dict[str, Any]:
        if pgbackrest.repository in silent:
            raise RelevoError("no route.")
        return {"status": {"code": 0}, "backup": [{"label": f"of {pgbackrest.repository}"}]}

    def timeline(pgbackrest: PgBackRest, _timeout: float) -> int:
        if pgbackrest.repository in slow:
            raise RelevoError("did not end.")
        return TIMELINES[pgbackrest.repository]

    monkeypatch.setattr(PgBackRest, "info", info)
    monkeypatch.setattr(pgbackrest_info, "newest_archived_timeline", timeline)
    found = pgbackrest_info.work(AskingModule(config, timelines=True))  # type: ignore[arg-type]
    assert found["newest_timeline"] == newest
    assert [one["repository"] for one in found["away"]] == away
    assert found["repositories"] == [1, 2]
    assert found["backups"] == [{"label": f"of {min({1, 2} - set(away))}"}]


@pytest.mark.parametrize(("begins", "told"), [("000000010000000000000001", True), ("000000010000000000000009", False)])
def test_what_the_other_one_lacks_is_told_until_a_backup_begins_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: str, told: bool
) -> None:
    """As of the first one: with a whole backup after it, it is in the way of nothing that comes."""
    config = tmp_path / "pgbackrest.conf"
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf"):
        (tmp_path / name).write_text("[global]\n")
    hole = Hole("000000010000000000000003", "000000010000000000000004", 2)

    def made(start: str) -> dict[str, Any]:
        return {"timestamp": {"stop": 1}, "archive": {"start": start, "stop": start}}

    entry = {"status": {"code": 0}, "backup": [made("000000010000000000000001"), made(begins)]}
    monkeypatch.setattr(PgBackRest, "info", lambda *_arguments: entry)
    monkeypatch.setattr(pgbackrest_info, "archive_holes", lambda one, *_rest: [hole] if one.repository == 2 else [])
    found = pgbackrest_info.work(AskingModule(config, holes=True))  # type: ignore[arg-type]
    lacking = [{"repository": 2, "holes": [asdict(hole)]}]
    assert (found["holes"], found["behind"]) == ([], lacking if told else [])


def test_where_no_archive_can_be_listed_that_is_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PgBackRest, "info", lambda *_arguments: {"status": {"code": 0}})
    config = tmp_path / "pgbackrest.conf"
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf"):
        (tmp_path / name).write_text("[global]\n")

    def timeline(_pgbackrest: PgBackRest, _timeout: float) -> int:
        raise RelevoError("did not end.")

    monkeypatch.setattr(pgbackrest_info, "newest_archived_timeline", timeline)
    with pytest.raises(RelevoError, match="did not end"):
        pgbackrest_info.work(AskingModule(config, timelines=True))  # type: ignore[arg-type]


def test_an_instance_of_the_other_repository_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was restored from the first one proves nothing of the second, and is not taken for it."""

    def asked(repository: int) -> dict[str, Any]:
        given = {"name": "x", "target_type": "latest", "target": "", "label": "", "timeline": 0, "read_only": False}
        one = pg_restore_plan.Asked({**given, "stanza": "main", "config": "/c", "repository": repository})
        with pytest.raises(RelevoError, match="asked"):
            one.plan()
        return one.asked

    def pgbackrest(*_arguments: Any) -> PgBackRest:
        raise RelevoError("asked")

    monkeypatch.setattr(pg_restore_plan, "PgBackRest", pgbackrest)
    assert asked(2) == {**asked(1), "repository": 2}
    assert "repository" not in asked(1)


@pytest.mark.parametrize(
    ("mount", "missing", "created", "away"),
    [
        # Only site.yml begins a second one, and only where it is meant to be.
        (None, [2], [], "Look whether its disk is mounted; otherwise run site.yml"),
        ("/missing", [2], [], "Nothing is mounted at pgbackrest_repo2_mount=/missing"),
        ("", [2], [2], ""),
        ("/proc", [2], [2], ""),
        # The first one is begun where it is missing, as ever.
        (None, [1], [1], ""),
        (None, [], [], ""),
    ],
)
def test_a_hand_over_begins_no_second_repository_in_the_empty_place_of_a_share(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mount: str | None,
    missing: list[int],
    created: list[int],
    away: str,
) -> None:
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf"):
        (tmp_path / name).write_text("[global]\n")
    begun: list[int] = []

    def create(pgbackrest: PgBackRest, command: str, *_options: str, timeout: float) -> None:
        # Between two attempts of a server that pushes.
        assert (command, timeout) == ("stanza-create", 180.0)
        begun.append(pgbackrest.repository)

    monkeypatch.setattr(PgBackRest, "reachable", lambda *_arguments: ([], []))
    monkeypatch.setattr(PgBackRest, "info", lambda one: {"status": {"code": 1 if one.repository in missing else 0}})
    monkeypatch.setattr(PgBackRest, "run_when_free", create)
    monkeypatch.setattr(PgBackRest, "prove_archiving", lambda *_arguments: None)
    module: Any = AskingModule(
        tmp_path / "pgbackrest.conf",
        state="checked",
        upgrade=False,
        connect_timeout=1,
        unreachable=[],
        second_mount=mount,
    )
    module.check_mode = False
    module.warn = lambda _sentence: None
    found = pgbackrest_stanza.work(module)
    assert (begun, found["changed"]) == (created, bool(created))
    assert ([one["repository"] for one in found["away"]] == [2]) is bool(away)
    assert away in "".join(one["reason"] for one in found["away"])


@pytest.mark.parametrize(
    ("two", "silent", "measured", "others"),
    [(False, 0, 1, []), (True, 0, 1, [2]), (True, 2, 1, []), (True, 1, 2, [])],
)
def test_each_that_answers_is_measured_with_its_own_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: bool, silent: int, measured: int, others: list[int]
) -> None:
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf") if two else ("pgbackrest.conf",):
        (tmp_path / name).write_text("[global]\n")
    counted: list[str] = []

    def measure(_params: dict[str, Any], number: int) -> catalog_info.Measured:
        if number == silent:
            raise RelevoError("no route.")
        return catalog_info.Measured(
            PgBackRest("main", tmp_path / "pgbackrest.conf", number), {"number": number}, {}, {}
        )

    def count(_client: None, name: str, _labels: list[str]) -> tuple[int, int]:
        counted.append(name)
        return 0, 0

    monkeypatch.setattr(away_module, "answering", lambda _stanza, numbers, _config: (list(numbers), []))
    monkeypatch.setattr(catalog_info, "measured", measure)
    monkeypatch.setattr(catalog_info, "measure", lambda entry, *_rest: entry)
    monkeypatch.setattr(catalog_info, "connected", lambda _params: nullcontext())
    monkeypatch.setattr(catalog_info, "counts", count)
    found = catalog_info.work(AskingModule(tmp_path / "pgbackrest.conf"))  # type: ignore[arg-type]
    seen = [{"number": number, "repository": number} for number in (measured, *others)]
    assert (found["repository"], found["facts"]) == (measured, {**seen[0], "others": seen[1:]})
    assert counted == [{1: "main", 2: "main@2"}[number] for number in (measured, *others)]
    assert [one["repository"] for one in found["away"]] == ([silent] if silent else [])


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


def failure(why: str, steps: int | None = None, made: int = 0) -> dict[str, Any]:
    return {"why": why, "steps": None if steps is None else [{}] * steps, "made": [{}] * made}


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        ({}, ""),
        ({2: failure("No route.")}, "No backup of main in repository 2 (No route.). The other repository got its own."),
        # The first of the two backups of the day is none of the day.
        ({1: failure("Full.", 2, 1)}, "No backup of main in repository 1 (Full.). The other repository got its own."),
        (
            {1: failure("No primary."), 2: failure("No primary.")},
            "No backup of main in repository 1 (No primary.), repository 2 (No primary.). No repository got one.",
        ),
        ({2: failure("WRONGPASS.", 2, 2)}, "Repository 2 has its backups, but then: WRONGPASS."),
        ({2: failure("WRONGPASS.", 0)}, "Repository 2 has its backups, but then: WRONGPASS."),
        (
            {1: failure("WRONGPASS.", 1, 1), 2: failure("No route.")},
            "No backup of main in repository 2 (No route.). The other repository got its own. "
            "Repository 1 has its backups, but then: WRONGPASS.",
        ),
    ],
)
def test_a_backup_that_was_not_recorded_is_not_called_none(failures: dict[int, dict[str, Any]], said: str) -> None:
    assert lacking_repositories(failures, "main", 2) == said


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

    held = {1: segment, 2: "000000020000000000000004"}

    def names(pgbackrest: PgBackRest, path: str, _timeout: float) -> list[str]:
        # A timeline of years has thousands of such folders.
        assert path == "archive/main/17-1/0000000200000000"
        return [f"{held[pgbackrest.repository]}-{'a' * 40}.zst", f"{segment}.partial-{'b' * 40}.zst"]

    monkeypatch.setattr(archive.Archive, "newest", newest)
    monkeypatch.setattr(PgBackRest, "names", names)
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").touch()
    failing = False
    assert archive.in_repository(segment, 1, config=config)
    assert not archive.in_repository(segment, 2, config=config)
    failing = True
    assert not archive.in_repository(segment, 2, config=config)


# --- what a recovering server asks for ---

#: The newest timeline of a repository, and its newest segment there.
OLDER, NEWER, FRESH = (2, "000000020000000000000005"), (2, "000000020000000000000007"), (3, "")
BEYOND_THE_FORK = (2, "000000020000000000000009")


@pytest.mark.parametrize(
    ("held", "newest", "away"),
    [
        ({1: NEWER}, NEWER[1], []),
        ({1: None}, None, []),
        ({1: OLDER, 2: NEWER}, NEWER[1], []),
        ({1: NEWER, 2: OLDER}, NEWER[1], []),
        ({1: NEWER, 2: None}, NEWER[1], []),
        # Of a timeline that was left, nothing is waited for: what it has beyond its end is not replayed.
        ({1: BEYOND_THE_FORK, 2: FRESH}, None, []),
        ({1: BEYOND_THE_FORK, 2: (3, "000000030000000000000008")}, "000000030000000000000008", []),
        ({1: OLDER, 2: RelevoError("No route.")}, OLDER[1], [Away(2, "No route.")]),
        ({1: RelevoError("No disk."), 2: NEWER}, NEWER[1], [Away(1, "No disk.")]),
    ],
)
def test_the_newest_segment_is_that_of_all_that_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: dict[int, Any], newest: str | None, away: list[Away]
) -> None:
    config = configured(tmp_path, len(held))

    def of(pgbackrest: PgBackRest, _timeout: float) -> Any:
        found = held[pgbackrest.repository]
        if isinstance(found, RelevoError):
            raise found
        if found is None:
            return None
        timeline, last = found
        listed = {timeline: [f"{timeline:08X}{1:016X}", last] if last else []}
        return SimpleNamespace(newest_timeline=lambda: timeline, segments=listed.__getitem__)

    monkeypatch.setattr(archive.Archive, "newest", of)
    assert archive.newest_segment_anywhere("main", config=config) == (newest, away)


def configured(directory: Path, count: int) -> Path:
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf") if count > 1 else ("pgbackrest.conf",):
        (directory / name).write_text("[global]\n")
    return directory / "pgbackrest.conf"


@pytest.mark.parametrize(
    ("count", "failing", "name"),
    [
        (1, [], "pgbackrest.conf"),
        # Asked or not, there is no other one.
        (1, [1], "pgbackrest.conf"),
        (2, [], "pgbackrest.conf"),
        (2, [1], "repo2.conf"),
        (2, [2], "repo1.conf"),
        (2, [1, 2], "pgbackrest.conf"),
    ],
)
def test_a_recovering_server_asks_those_that_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, failing: list[int], name: str
) -> None:
    """pgBackRest asks each for each file, and one that hangs for minutes."""
    config = configured(tmp_path, count)

    def answer(pgbackrest: PgBackRest, _timeout: float) -> None:
        assert count > 1, "the only one is not asked first"
        if pgbackrest.repository in failing:
            raise RelevoError("It hangs.")

    monkeypatch.setattr(PgBackRest, "require_answer", answer)
    assert archive.config_that_answers("main", config=config) == tmp_path / name


@pytest.mark.parametrize(("numbers", "away"), [([1], False), ([1, 2], False), ([1, 2], True)])
def test_what_a_stopped_server_had_left_is_archived_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: list[int], away: bool
) -> None:
    """The way back from a restore in place begins in the first one; a second one that hangs is asked once."""
    pushed: list[tuple[int, str]] = []

    class To:
        def __init__(self, _stanza: str, repository: int = 1) -> None:
            self.repository = repository

    def push(to: To, path: Path, _timeout: float) -> bool:
        pushed.append((to.repository, path.name))
        if to.repository == 2 and away:
            raise RelevoError("no route.")
        return True

    monkeypatch.setattr(pg_restore_hold, "PgBackRest", To)
    monkeypatch.setattr(pg_restore_hold, "push", push)
    status = tmp_path / "pg_wal" / "archive_status"
    status.mkdir(parents=True)
    for name in ("one", "two"):
        (status.parent / name).touch()
        (status / f"{name}.ready").touch()
    assert pg_restore_hold.archive_rest(Server(tmp_path), "main", numbers) == ["one", "two"]
    assert [name for number, name in pushed if number == 1] == ["one", "two"]
    assert [name for number, name in pushed if number == 2] == ([] if numbers == [1] else ["one", "two"][: 2 - away])
    assert sorted(path.name for path in status.iterdir()) == ["one.done", "two.done"]


@pytest.mark.parametrize(("two", "answers", "known"), [(False, True, 0), (True, True, 7), (True, False, 0)])
def test_a_timeline_that_only_the_second_one_knows_is_given_to_no_other_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: bool, answers: bool, known: int
) -> None:
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf") if two else ("pgbackrest.conf",):
        (tmp_path / name).write_text("[global]\n")

    def newest(pgbackrest: PgBackRest) -> int:
        assert pgbackrest.repository == 2
        if not answers:
            raise RelevoError("no route.")
        return 7

    monkeypatch.setattr(pg_restore_in_place_plan, "newest_archived_timeline", newest)
    given = {"stanza": "main", "config": str(tmp_path / "pgbackrest.conf")}
    assert pg_restore_in_place_plan.known_to_a_second(given) == known


# --- which there are ---


@pytest.mark.parametrize(
    ("kind", "known", "unmounted", "said"),
    [
        ("none", 1, "", ""),
        ("", 1, "", ""),
        ("s3", 2, "", ""),
        ("posix", 2, "", ""),
        ("s3", 1, "", "The inventory has a second repository (pgbackrest_repo2_type), of which repo does not know"),
        ("none", 2, "", "repo has a second repository, which the servers archive to, and the inventory has none any"),
        ("posix", 2, "/mnt/two", "Nothing is mounted at pgbackrest_repo2_mount=/mnt/two, where the second repository"),
        # What is left of one that was given up.
        ("none", 1, "/mnt/two", ""),
    ],
)
def test_what_does_not_tell_all_hosts_begins_none_and_gives_none_up(
    kind: str, known: int, unmounted: str, said: str
) -> None:
    """add_node.yml, remove_node.yml and remove.yml write the repository host's configuration, not that of its peers."""
    found = in_the_way(kind, known, "repo", unmounted)
    assert found.startswith(said)
    assert bool(found) is bool(said)


def test_the_empty_place_of_a_disk_is_told(tmp_path: Path) -> None:
    def unmounted(mount: str) -> str:
        module: Any = SimpleNamespace(params={"config": str(tmp_path / "pgbackrest.conf"), "only": 0, "mount": mount})
        return str(pgbackrest_repositories_info.work(module)["unmounted"])

    assert (unmounted(""), unmounted("/proc"), unmounted(str(tmp_path))) == ("", "", str(tmp_path))


def test_a_rotation_begins_no_second_repository() -> None:
    roles = Path(__file__).resolve().parents[2] / "roles"
    rotated = yaml.safe_load((roles / "rotate" / "tasks" / "certificates.yml").read_text())
    [proof] = [task for task in rotated if task.get("ansible.builtin.include_role", {}).get("tasks_from") == "stanza"]
    assert proof["vars"]["__pgbackrest_begins_second"] is False
    [brings] = [
        task["relevo.postgres.pgbackrest_stanza"]
        for block in yaml.safe_load((roles / "pgbackrest" / "tasks" / "stanza.yml").read_text())
        for task in block.get("block", [])
        if "relevo.postgres.pgbackrest_stanza" in task
    ]
    assert brings["second_mount"].endswith("if __pgbackrest_begins_second | default(true) else omit }}")


def test_a_host_without_a_configuration_has_what_pgbackrest_takes_by_itself(tmp_path: Path) -> None:
    assert described(1, tmp_path / "pgbackrest.conf") == {"number": 1, "place": FIRST_PATH, "directory": FIRST_PATH}


def test_where_each_repository_is(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").write_text(alone(TWO.replace("repo2-path=/", "repo2-s3-bucket=b"), number))
    assert described(1, config) == {"number": 1, "place": "/one", "directory": "/one"}
    assert described(2, config) == {"number": 2, "place": f"s3://b{FIRST_PATH}", "directory": ""}


# --- the removal of a cluster ---


@pytest.mark.parametrize(
    ("bucket", "others"),
    [(False, ["first", "second"]), (True, ["first"])],
)
def test_what_is_held_of_a_cluster_in_both(tmp_path: Path, bucket: bool, others: list[str]) -> None:
    """What others have in a bucket is no reason to keep this host."""
    config = tmp_path / "pgbackrest.conf"
    text = TWO if bucket else TWO.replace("repo2-type=s3", "repo2-type=posix")
    config.write_text(text)
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").write_text(alone(text, number))
    nothing = {"configured": True, "exists": False, "pieces": False, "needed": {}, "running": ""}
    found = stanza_removal.together(
        {
            1: nothing | {"backups": ["20260101-000000F"], "exists": True, "others": ["first"]},
            2: nothing | {"backups": ["20260102-000000F"], "pieces": True, "others": ["second"], "running": "5%"},
        },
        config,
    )
    assert found == {
        "configured": True,
        "backups": ["20260101-000000F", "20260102-000000F"],
        "exists": True,
        "pieces": True,
        "needed": {},
        "others": others,
        "running": "5%",
        "second": ["20260102-000000F"],
    }


def test_backups_of_a_repository_that_is_away_are_not_deleted_and_may_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text(TWO)
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").write_text(alone(TWO, number))

    def held(pgbackrest: PgBackRest) -> dict[str, Any]:
        if pgbackrest.repository == 2:
            raise RelevoError("No route.")
        nothing = {"exists": True, "pieces": False, "needed": {}, "others": [], "running": ""}
        return nothing | {"configured": True, "backups": []}

    class Module:
        check_mode = True
        params: dict[str, Any] = {"stanza": "main", "config": str(config), "backups": "keep"}  # noqa: RUF012

    monkeypatch.setattr(stanza_removal, "held", held)
    module: Any = Module()
    assert stanza_removal.work(module)["away"] == [{"repository": 2, "reason": "No route."}]
    module.params["backups"] = "delete"
    with pytest.raises(RelevoError, match="Repository 2 is away: No route"):
        stanza_removal.work(module)


@pytest.mark.parametrize(
    ("labels", "away", "noted", "named"),
    [
        ({1: ["a", "b"], 2: ["c"]}, (), {1: "b", 2: "c"}, []),
        # One that is away is named, and the other one has it.
        ({1: ["a", "b"]}, (2,), {1: "b"}, [2]),
        ({2: ["c"]}, (1,), {2: "c"}, [1]),
        # Where there is no backup there is nothing to be restored from, either.
        ({1: ["a"], 2: []}, (), {1: "a"}, []),
        # It goes away in between.
        ({1: ["a"], 2: ["fails"]}, (), {1: "a"}, [2]),
    ],
)
def test_the_newest_backup_of_each_repository_is_annotated(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    labels: dict[int, list[str]],
    away: Sequence[int],
    noted: dict[int, str],
    named: list[int],
) -> None:
    module, done, warned = annotating(tmp_path, monkeypatch, labels, away)
    said = pgbackrest_annotate.work(module)
    assert {one["repository"]: one["label"] for one in said["noted"]} == noted == done
    assert [one["repository"] for one in said["away"]] == named
    assert [f"Repository {number} is away: No route." for number in named] == warned
    assert said["changed"]


def test_where_no_repository_can_be_annotated_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[dict[int, list[str]], str]] = [
        ({1: ["fails"], 2: ["fails"]}, "No route"),
        ({1: [], 2: []}, "has no backup yet"),
    ]
    for labels, why in asked:
        module, _done, _warned = annotating(tmp_path, monkeypatch, labels, ())
        with pytest.raises(RelevoError, match=why):
            pgbackrest_annotate.work(module)
    module.params["label"] = "20260101-000000F"
    with pytest.raises(RelevoError, match="every=true wants label=newest"):
        pgbackrest_annotate.work(module)


@pytest.mark.parametrize(
    ("label", "error"),
    [("broken", "no backup set to annotate"), ("absent", "has no backup absent")],
)
def test_what_is_learnt_of_a_backup_that_is_gone_fails_nothing_where_that_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str, error: str
) -> None:
    """A drill of a backup without its manifest has found just that, and pgBackRest will not annotate it."""
    module, done, warned = annotating(tmp_path, monkeypatch, {1: ["broken"]}, ())
    module.params |= {"every": False, "label": label}
    with pytest.raises(RelevoError, match=error):
        pgbackrest_annotate.work(module)
    module.params["required"] = False
    said = pgbackrest_annotate.work(module)
    assert (said["changed"], said["noted"], done) == (False, [], {})
    gone = f"Nothing was noted with the backup {label}: it is in the repository no more, or without its manifest."
    assert warned == [gone]


def test_a_second_one_that_cannot_be_annotated_fails_only_who_requires_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, done, warned = annotating(tmp_path, monkeypatch, {1: ["a"], 2: ["fails"]}, ())
    module.params |= {"every": False, "repository": 2, "label": "fails"}
    with pytest.raises(RelevoError, match="No route"):
        pgbackrest_annotate.work(module)
    module.params["required"] = False
    said = pgbackrest_annotate.work(module)
    assert (said["changed"], said["noted"], done) == (False, [], {})
    assert said["away"] == [{"repository": 2, "reason": "No route."}]
    assert warned == ["Repository 2 is away: No route."]


@pytest.mark.parametrize(("two", "answers"), [(False, True), (True, True), (True, False)])
def test_a_second_one_is_asked_whether_it_is_there_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two: bool, answers: bool
) -> None:
    """A bucket that is away takes minutes for each question."""
    for name in ("pgbackrest.conf", "repo1.conf", "repo2.conf") if two else ("pgbackrest.conf",):
        (tmp_path / name).write_text("[global]\n")

    def require(pgbackrest: PgBackRest, timeout: float) -> None:
        assert (pgbackrest.repository, timeout) == (2, 10)
        if not answers:
            raise RelevoError("No route.")

    def read(_pgbackrest: PgBackRest) -> str:
        assert answers
        return "all of it"

    monkeypatch.setattr(PgBackRest, "require_answer", require)
    monkeypatch.setattr(facts, "read_repository", read)
    given = {"stanza": "main", "config": str(tmp_path / "pgbackrest.conf")}
    expected = ("all of it" if answers else "No route.") if two else None
    assert pg_restore_in_place_plan.read_second(given) == expected


def annotating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: dict[int, list[str]], away: Sequence[int]
) -> tuple[Any, dict[int, str], list[str]]:
    """The module, what it has annotated by repository, and its warnings."""
    config = tmp_path / "pgbackrest.conf"
    config.write_text(TWO)
    for number in (1, 2):
        (tmp_path / f"repo{number}.conf").write_text(alone(TWO, number))
    done: dict[int, str] = {}
    warned: list[str] = []

    def annotate(pgbackrest: PgBackRest, command: str, label: str, *options: str, timeout: float) -> None:
        assert (command, options, timeout) == ("annotate", ("--annotation=relevo-point-x=1",), 5)
        if label == "--set=fails":
            raise RelevoError("No route.")
        if label == "--set=broken":
            raise RelevoError("no backup set to annotate found", rc=BACKUP_MISSING)
        done[pgbackrest.repository] = label.removeprefix("--set=")

    def entry(pgbackrest: PgBackRest) -> dict[str, Any]:
        return {"backup": [{"label": label} for label in labels[pgbackrest.repository]]}

    gone = [Away(number, "No route.") for number in away]

    def answering(_stanza: str, numbers: Sequence[int], _config: str) -> tuple[list[int], list[Away]]:
        return [number for number in numbers if number not in away], gone

    monkeypatch.setattr(PgBackRest, "require_stanza", entry)
    monkeypatch.setattr(PgBackRest, "run_when_free", annotate)
    monkeypatch.setattr(away_module, "answering", answering)
    params = {"stanza": "main", "config": str(config), "repository": 1, "label": "newest", "every": True, "wait": 5}
    params |= {"required": True}
    params |= {"annotations": {"relevo-point-x": "1"}}
    return SimpleNamespace(params=params, check_mode=False, warn=warned.append), done, warned


ROOT = Path(__file__).resolve().parents[2]


def takes_a_repository(module: str) -> bool:
    """Whether its option ``repository`` is the number of one of two; some modules name the repository host by it."""
    path = ROOT / "plugins" / "modules" / f"{module.removeprefix('relevo.postgres.')}.py"
    return "relevo.postgres." in module and path.exists() and "- relevo.postgres.repository\n" in path.read_text()


def tasks_of_a_file(path: Path) -> list[dict[str, Any]]:
    found, waiting = [], list(yaml.safe_load(path.read_text()))
    while waiting:
        task = waiting.pop(0)
        found.append(task)
        for within in ("block", "rescue", "always"):
            waiting += task.get(within, [])
    return found


def calls_of(role: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The file, the module and the arguments of every task that could say which repository it means."""
    return [
        (path.name, name, arguments)
        for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml"))
        for task in tasks_of_a_file(path)
        for name, arguments in task.items()
        if takes_a_repository(name)
    ]


#: In place it is always the first one, which main.yml holds.
IN_PLACE = ("leave_present.yml", "replace.yml")


@pytest.mark.parametrize(("role", "at_least"), [("restore", 4), ("drill", 5)])
def test_every_step_of_a_restore_is_told_which_repository(role: str, at_least: int) -> None:
    """``tables=`` once restored out of the first one whatever was asked for: one task of many was not told."""
    told = [call for call in calls_of(role) if call[0] not in IN_PLACE and call[2].get("state") != "absent"]
    assert len(told) >= at_least
    for file, module, arguments in told:
        assert arguments.get("repository") == f"{{{{ {role}_repository }}}}", f"{role}/tasks/{file}: {module}"
