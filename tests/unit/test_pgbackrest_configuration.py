"""What an owner gives replaces ours, in every section, in pgBackRest's own form."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.filter.with_pgbackrest_options import with_pgbackrest_options
from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.configuration import SINCE, require_names
from ansible_collections.relevo.postgres.plugins.module_utils._repository.second import options

ROOT = Path(__file__).resolve().parents[2]

OURS = """# Written by us
[global]
compress-type=zst
# A comment with compress-type=none
process-max=4
tls-server-auth=a=main
tls-server-auth=b=main

[global:restore]
process-max=4

[main]
pg1-path=/data
"""


def test_without_options_nothing_changes() -> None:
    assert with_pgbackrest_options(OURS, {}) == OURS


def test_what_is_given_stands_once_and_ours_nowhere() -> None:
    text = with_pgbackrest_options(OURS, {"process-max": 2, "compress-type": "lz4", "buffer-size": "1MiB"})
    assert (
        text
        == """# Written by us
[global]
# A comment with compress-type=none
tls-server-auth=a=main
tls-server-auth=b=main
buffer-size=1MiB
compress-type=lz4
process-max=2

[global:restore]

[main]
pg1-path=/data
"""
    )


def test_lists_and_booleans_are_in_pgbackrests_form() -> None:
    text = with_pgbackrest_options("[global]\nstart-fast=y\n", {"start-fast": False, "db-exclude": ["x", "y"]})
    assert text == "[global]\ndb-exclude=x\ndb-exclude=y\nstart-fast=n\n"


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        ("", ["repo1-bundle=y", "repo1-block=y", "backup-standby=prefer"]),
        ("pgBackRest 2.45", ["repo1-bundle=y"]),
        ("pgBackRest 2.46", ["repo1-bundle=y", "repo1-block=y"]),
        ("pgBackRest 2.53.1", ["repo1-bundle=y", "repo1-block=y"]),
        ("pgBackRest 2.55.1", ["repo1-bundle=y", "repo1-block=y", "backup-standby=prefer"]),
        ("pgBackRest 3.0", ["repo1-bundle=y", "repo1-block=y", "backup-standby=prefer"]),
    ],
)
def test_an_older_pgbackrest_gets_what_it_knows(version: str, kept: list[str]) -> None:
    ours = "[global]\nrepo1-bundle=y\nrepo1-block=y\nbackup-standby=prefer\n"
    assert with_pgbackrest_options(ours, {}, version) == "\n".join(["[global]", *kept, ""])
    second = with_pgbackrest_options(ours.replace("repo1", "repo2"), {}, version)
    assert second == "\n".join(["[global]", *(line.replace("repo1", "repo2") for line in kept), ""])
    # What somebody asks for is theirs: pgBackRest's own words say what is wrong with it.
    assert "repo1-block=y\n" in with_pgbackrest_options(ours, {"repo1-block": True}, version)


@pytest.mark.parametrize(
    ("version", "hosts", "refused"),
    [
        ("pgBackRest 2.45", "pg1-host=fd00::12\npg2-host=db2\n", "fd00::12"),
        ("pgBackRest 2.52.1", "repo1-host=fd00::1\npg1-host=fd00::12\n", "fd00::1 and fd00::12"),
        ("pgBackRest 2.53", "pg1-host=fd00::12\n", ""),
        ("pgBackRest 2.45", "pg1-host=10.0.0.2\npg2-host=db2\npg1-socket-path=/a:b\n", ""),
        # It is not installed yet, or it is a node's, which gets its part after the repository host's was judged.
        ("", "pg1-host=fd00::12\n", ""),
    ],
)
def test_an_older_pgbackrest_finds_no_address_of_ipv6(version: str, hosts: str, refused: str) -> None:
    if not refused:
        require_names(hosts, version)
        return
    with pytest.raises(RelevoError, match=f"and would refuse {refused}[.] Its configuration was not changed"):
        require_names(hosts, version)


def test_the_lines_that_depend_on_the_release_are_those_of_the_template() -> None:
    template = (ROOT / "roles" / "pgbackrest" / "templates" / "pgbackrest.conf.j2").read_text().splitlines()
    # That of a second repository is not one of the template's own lines.
    given = dict.fromkeys(("s3_verify", "cipher_pass"), "") | {"type": "posix", "path": "/two", "retention_full": "2"}
    second = [f"repo2-{name}={value}" for name, value in options(given, "/one").items()]
    assert [line for line in SINCE if line not in (*template, *second)] == []


def test_what_starts_the_tls_server_has_the_options_of_our_sessions() -> None:
    """The image's script cannot be a template, so it is held to their owner here."""
    script = ROOT / "roles" / "docker_nodes" / "files" / "image" / "service" / "pgbackrest" / "run"
    options = _names.unlimited(_names.TRANSACTION_TIMEOUT_SINCE, superuser=True)
    assert 'export PGOPTIONS="' + options.replace("\\", "\\\\") + '"' in script.read_text(encoding="utf-8").splitlines()
    unit = ROOT / "roles" / "pgbackrest" / "templates" / "relevo-pgbackrest.service.j2"
    assert r".unlimited | replace('\\', '\\\\') }}" in unit.read_text(encoding="utf-8")
