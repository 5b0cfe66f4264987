"""A configuration that would lose the repository is refused before it is installed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.change import Seen, check, is_another

PLAIN = "[global]\nrepo1-path=/old\nprocess-max=2\n\n[main]\npg1-path=/pg\n"
OTHER_PLACE = PLAIN.replace("/old", "/new")
CIPHERED = PLAIN + "[global]\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=secret\n"
OTHER_PASS = CIPHERED.replace("secret", "another")

HOLDS = Seen(opens=True, exists=True, backups=["20261124-120000F", "20261124-120000F_20261125-120000I"])
ARCHIVE = Seen(opens=True, exists=True)
NOTHING = Seen(opens=True)
SHUT = Seen(opens=False, problem="cipher header invalid")


@pytest.mark.parametrize(
    ("after", "asked"),
    [
        (PLAIN, False),
        (PLAIN.replace("process-max=2", "process-max=4"), False),
        (OTHER_PLACE, True),
        (CIPHERED, True),
        (PLAIN.replace("[global]", "[global]\nrepo1-type=s3\nrepo1-s3-bucket=b"), True),
    ],
)
def test_pgbackrest_is_asked_only_about_another_repository(after: str, asked: bool) -> None:
    assert is_another(PLAIN, after) == asked
    assert is_another(CIPHERED, OTHER_PASS)


@pytest.mark.parametrize(
    ("before", "after", "then", "now", "options"),
    [
        (PLAIN, OTHER_PLACE, HOLDS, HOLDS, {}),
        # What was there has been moved by hand: the old place is empty.
        (PLAIN, OTHER_PLACE, NOTHING, HOLDS, {}),
        (PLAIN, OTHER_PLACE, NOTHING, NOTHING, {}),
        (PLAIN, OTHER_PLACE, HOLDS, NOTHING, {"left": "/old"}),
        # Broken before, and so by no fault of the change, which may be the repair.
        (PLAIN, OTHER_PLACE, SHUT, NOTHING, {}),
        (PLAIN, CIPHERED, NOTHING, NOTHING, {}),
        # The nodes that are fenced stay so where the place stays.
        (PLAIN, CIPHERED, NOTHING, NOTHING, {"fenced": ["a"]}),
    ],
)
def test_what_is_kept_goes_on(before: str, after: str, then: Seen, now: Seen, options: dict[str, Any]) -> None:
    check(before, after, {"main": (then, now)}, **options)


@pytest.mark.parametrize(
    ("before", "after", "then", "now", "options", "said"),
    [
        (PLAIN, CIPHERED, HOLDS, SHUT, {}, "repo1-cipher-type=aes-256-cbc in place of none: it stays as it was"),
        (CIPHERED, PLAIN, HOLDS, SHUT, {}, "repo1-cipher-type=none in place of aes-256-cbc"),
        (CIPHERED, OTHER_PASS, ARCHIVE, SHUT, {}, "cannot be opened with another pass phrase"),
        (PLAIN, OTHER_PLACE, HOLDS, SHUT, {}, "The repository of stanza main cannot be opened. It holds 2 backups"),
        (PLAIN, OTHER_PLACE, HOLDS, NOTHING, {}, "the newest 20261124-120000F_20261125-120000I. Nothing was changed"),
        (PLAIN, OTHER_PLACE, ARCHIVE, NOTHING, {}, "/old holds the WAL archive of stanza main"),
        # Somebody names another place than the one that is left.
        (PLAIN, OTHER_PLACE, HOLDS, NOTHING, {"left": "/older"}, "site.yml -e pgbackrest_left_path=/old"),
        (PLAIN, OTHER_PLACE, HOLDS, NOTHING, {"left": "/old", "fenced": ["a"]}, "keeps a down"),
        (PLAIN, OTHER_PLACE, HOLDS, HOLDS, {"fenced": ["a"]}, "Bring it back first"),
    ],
)
def test_what_would_be_lost_is_refused(
    before: str, after: str, then: Seen, now: Seen, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(RelevoError, match=said) as caught:
        check(before, after, {"main": (then, now)}, **options)
    assert "Nothing was changed." in caught.value.message
    assert "=secret" not in caught.value.message


def test_one_stanza_of_several_is_enough() -> None:
    with pytest.raises(RelevoError, match="stanza south"):
        check(PLAIN, OTHER_PLACE, {"north": (NOTHING, NOTHING), "south": (HOLDS, NOTHING)})


def test_what_pgbackrest_says_is_understood() -> None:
    entry: dict[str, Any] = {"status": {"code": 0}, "backup": [{"label": "20261124-120000F"}]}
    assert Seen.of(entry) == Seen(True, True, ["20261124-120000F"])
    assert Seen.of({"status": {"code": 2}}).exists
    assert Seen.of({"status": {"code": 1}}) == Seen(True, False, [])
    shut = Seen.of({"status": {"code": 99, "message": "other"}, "repo": [{"status": {"message": "cipher header"}}]})
    assert shut == Seen(False, False, [], "cipher header")


def test_who_chose_another_cipher_is_not_sent_to_the_disk() -> None:
    """Seen: "it stays as it was when the stanza was made", and at the end "Look at its disk"."""
    for after, advice, wrong in (
        (CIPHERED, "Take the change out of pgbackrest_options.", "disk"),
        (OTHER_PLACE, "Look at the disk of the new place, or take back pgbackrest_repo_path.", "pgbackrest_options"),
    ):
        with pytest.raises(RelevoError) as refused:
            check(PLAIN, after, {"main": (HOLDS, SHUT)})
        assert advice in refused.value.message
        assert wrong not in refused.value.message
        assert refused.value.message.endswith(" pgBackRest says: cipher header invalid.")
