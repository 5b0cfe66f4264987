# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image that the node images are built on: present, pulled, or made here out of Debian's packages."""

from __future__ import annotations

import queue
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .._errors import RelevoError
from .container import engine_errors

try:
    import docker.errors
    import docker.utils
    import requests.exceptions
except ImportError:
    pass  # _container says so

How = Literal["present", "pulled", "bootstrapped"]

#: What ca-certificates is for: without it nothing inside could ever trust an https mirror.
INCLUDE = "ca-certificates"
#: What the slim images leave out as well.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
#: The exit status of timeout(1) when the time was over.
TIMED_OUT = 124


@dataclass(frozen=True)
class BaseImage:
    """What is wanted: ``name``, which can be pulled, or ``fallback``, made of Debian's ``suite`` in ``directory``.

    The timeouts are seconds.
    """

    name: str
    fallback: str
    suite: str
    directory: Path
    pull_timeout: float = 300
    bootstrap_timeout: float = 900


def find(client: Any, wanted: BaseImage) -> str | None:
    """The image to build on, when one is there already."""
    for image in (wanted.name, wanted.fallback):
        with engine_errors(f"Inspecting the image {image}"):
            try:
                client.api.inspect_image(image)
            except docker.errors.ImageNotFound:
                continue
        return image
    return None


def pull(client: Any, name: str, timeout: float) -> str:
    """Pull an image; returns why it did not work, or nothing."""
    # The engine waits for ever for a registry that takes the connection and says nothing, and so does its client.
    answer: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: answer.put(_pull(client, name)), daemon=True).start()
    try:
        return answer.get(timeout=timeout)
    except queue.Empty:
        return f"not finished after {timeout:g} s"


def _pull(client: Any, name: str) -> str:
    try:
        for event in client.api.pull(name, stream=True, decode=True):
            if "error" in event:
                return str(event["error"])
        client.api.inspect_image(name)
    except docker.errors.APIError as error:
        return str(error.explanation or error)
    except requests.exceptions.RequestException as error:
        return str(error)
    return ""


def bootstrap(client: Any, wanted: BaseImage, pull_error: str) -> None:
    """Make a minimal Debian and import it; ``pull_error`` says why it could not be pulled.

    The image gets its name when the engine has all of it, so one that was cut off is never used.
    """
    reason = f"The base image could not be pulled ({pull_error})"
    if shutil.which("mmdebstrap") is None:
        raise RelevoError(
            f"{reason}, and mmdebstrap is not there to make one. Install the package mmdebstrap, or set "
            "docker_nodes_base_image to an image of Debian that this engine can have."
        )
    archive, timeout = wanted.directory / "base.tar", wanted.bootstrap_timeout
    # timeout(1) ends the processes that mmdebstrap started too, and lets it clean up.
    limit = ["timeout", "--kill-after=30", f"{timeout:g}"]
    leave_out = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    make = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={INCLUDE}", *leave_out]
    command = [*make, wanted.suite, str(archive)]
    done = subprocess.run([*limit, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == TIMED_OUT:
        raise RelevoError(f"{reason}, and mmdebstrap has not ended within {timeout:g} s. Look at the network.")
    if done.returncode != 0:
        raise RelevoError(
            f"{reason}, and mmdebstrap of {wanted.suite} failed with status {done.returncode}. Its last lines are "
            "below.",
            stderr=done.stderr[-2000:],
        )
    repository, tag = docker.utils.parse_repository_tag(wanted.fallback)
    with engine_errors(f"Importing the image {wanted.fallback}"):
        client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
        client.api.inspect_image(wanted.fallback)


def provide(client: Any, wanted: BaseImage) -> tuple[str, How]:
    """Return the image to build on and how it came to be there."""
    present = find(client, wanted)
    if present is not None:
        return present, "present"
    pull_error = pull(client, wanted.name, wanted.pull_timeout)
    if not pull_error:
        return wanted.name, "pulled"
    bootstrap(client, wanted, pull_error)
    return wanted.fallback, "bootstrapped"


def said_by(client: Any, name: str, command: Sequence[str]) -> str | None:
    """What ``command`` prints in a container of an image that lives no longer than that; None where there is no image.

    It has no network, and nothing is started in it but the command.
    """
    with engine_errors(f"Asking the image {name} what it has"):
        try:
            # Otherwise the client would ask a registry for it.
            client.api.inspect_image(name)
            said: bytes = client.containers.run(
                name, list(command[1:]), entrypoint=command[0], remove=True, network_disabled=True, stdout=True
            )
        except docker.errors.ImageNotFound:
            return None
        except docker.errors.ContainerError as error:
            raise RelevoError(f"The image {name} does not say what it has: {error}.") from error
    return said.decode()
