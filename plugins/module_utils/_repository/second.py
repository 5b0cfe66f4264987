# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second repository as its owner describes it, in pgBackRest's options.

What is wrong of these pgBackRest itself says, before the file is in place (``configuration_trial``). Refused here is
what it would take, and what is missing beside a secret: its words are not shown then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath

from .._errors import RelevoError
from .command import CONFIG, SECOND

NONE, POSIX, S3 = TYPES = ("none", "posix", "s3")
#: Where the certificate of who signed the S3 server's is, on the repository host.
CA_FILE = CONFIG.with_name("repo2-ca.crt")
#: A bucket is nobody's root directory: what others keep in it has other names.
IN_BUCKET = "/"
CIPHER = "aes-256-cbc"


def options(given: Mapping[str, str], first_path: str) -> dict[str, str]:
    """pgBackRest's options, without the number; none where there is no second repository.

    ``given``: the role's variables ``pgbackrest_repo2_*`` by the rest of their names. Raises ``RelevoError``.
    """
    values = {name: str(value).strip() for name, value in given.items()}
    kind = values["type"] or NONE
    if kind not in TYPES:
        raise RelevoError(f"pgbackrest_repo2_type={kind} is not known. Choose one of {', '.join(TYPES)}.")
    if kind == NONE:
        return {}
    found = {
        "type": kind,
        "path": _path(kind, values["path"], first_path, values.get("mount", "")),
        "retention-full": values["retention_full"],
        "bundle": "y",
        "block": "y",
    }
    if values["cipher_pass"]:
        found |= {"cipher-type": CIPHER, "cipher-pass": values["cipher_pass"]}
    if kind == S3:
        found |= _of_s3(values)
    for name, value in found.items():
        if "\n" in value:
            raise RelevoError(f"pgbackrest_repo2_{name.replace('-', '_')} has more than one line. Nothing was changed.")
    return found


def require_mounted(mount: str) -> None:
    """Refuse the empty directory that is left where a file system should be: a repository would be begun in it."""
    if mount and not os.path.ismount(mount):
        raise RelevoError(f"{not_mounted(mount)} Nothing was changed. Mount it, then run this again.")


def not_mounted(mount: str) -> str:
    """What is said of it."""
    return f"Nothing is mounted at pgbackrest_repo2_mount={mount}, where the second repository is to be."


def in_the_way(kind: str, known: int, host: str, unmounted: str = "") -> str:
    """Why a play that writes the repository host's configuration and not that of all servers is not begun; or nothing.

    ``kind``: pgbackrest_repo2_type. ``known``: how many repositories the host is configured for. ``unmounted``: where a
    file system is missing. A server that is not told of a new one archives nothing to it, and one that is not told
    that there is none any more keeps all WAL for it.
    """
    wanted = (kind or NONE) != NONE
    if wanted and known < SECOND:
        return (
            f"The inventory has a second repository (pgbackrest_repo2_type), of which {host} does not know yet. Run "
            "site.yml first, which tells all hosts of it, or take that back until then."
        )
    if not wanted and known >= SECOND:
        return (
            f"{host} has a second repository, which the servers archive to, and the inventory has none any more. Run "
            "site.yml first, which tells all hosts so, or give pgbackrest_repo2_type again until then."
        )
    return f"{not_mounted(unmounted)} Mount it." if wanted and unmounted else ""


def _path(kind: str, path: str, first: str, mount: str) -> str:
    if mount and not (kind == POSIX and PurePosixPath(path).is_relative_to(mount)):
        raise RelevoError(
            f"pgbackrest_repo2_path={path or '(empty)'} does not lie on pgbackrest_repo2_mount={mount}. Nothing was "
            "changed. Give a directory on it, or take one of the two back."
        )
    if kind == S3:
        return path or IN_BUCKET
    if not path.startswith("/"):
        raise RelevoError(
            f"pgbackrest_repo2_path={path or '(empty)'} is not the path of a directory. Nothing was changed. Give that "
            "of a directory of the repository host, on another disk than the first repository."
        )
    mine, other = PurePosixPath(path), PurePosixPath(first)
    if mine == other or mine in other.parents or other in mine.parents:
        raise RelevoError(
            f"pgbackrest_repo2_path={path} and the first repository's path {first} lie in one another. Nothing was "
            "changed. Give a directory on another disk."
        )
    return path


def _of_s3(values: Mapping[str, str]) -> dict[str, str]:
    for name in ("s3_bucket", "s3_endpoint", "s3_region"):
        if not values[name]:
            raise RelevoError(f"pgbackrest_repo2_{name} is empty. Nothing was changed. A bucket needs it.")
    if bool(values["s3_key"]) != bool(values["s3_key_secret"]):
        raise RelevoError(
            "Of pgbackrest_repo2_s3_key and pgbackrest_repo2_s3_key_secret one is empty. Nothing was changed. Give "
            "both, or neither where pgbackrest_options say otherwise (repo2-s3-key-type)."
        )
    named = {
        "s3-bucket": values["s3_bucket"],
        "s3-endpoint": values["s3_endpoint"],
        "s3-region": values["s3_region"],
        "s3-key": values["s3_key"],
        "s3-key-secret": values["s3_key_secret"],
        "s3-uri-style": values["s3_uri_style"],
        "storage-ca-file": str(CA_FILE) if values["s3_ca"] else "",
        "storage-verify-tls": "" if values["s3_verify"].lower() == "true" else "n",
    }
    return {name: value for name, value in named.items() if value}
