# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One small interface for whatever runs a play, and its two backends: ansible-runner here, and AWX."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .ending import Ending
from .settings import Awx, Runner, Settings, template_key

RawEvent = Mapping[str, Any]
#: AWX's words for a job that has ended.
ENDED = {"successful": True, "failed": False, "error": False, "canceled": False}
#: Before a number: how we call a job of AWX.
AWX_JOB = "AWX job "
#: ansible-runner sets it to False where nobody has set it, and it wins over ansible.cfg.
HOST_KEY_CHECKING = "ANSIBLE_HOST_KEY_CHECKING"
#: Seconds for which an AWX that does not answer is asked again after a job: it restarts, or its proxy does.
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Request:
    """What is to be run. ``who`` and ``job`` are what others read of the holder of a lock.

    ``check``: in check mode, so that whatever the play makes of its variables, it changes nothing.
    """

    playbook: str
    variables: dict[str, Any] = field(default_factory=dict)
    who: str = ""
    job: str = ""
    check: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class BackendError(Exception):
    """The play could not be run, or what became of it is not known: a sentence."""


class LostSightError(BackendError):
    """The play was begun and may still run; nobody can be asked how it goes."""


class Backend(Protocol):
    def run(self, request: Request, on_event: Callable[[RawEvent], None], on_start: Callable[[str], None]) -> bool:
        """Run a play to its end; true when it ended with 0.

        ``on_event`` gets each event, ``on_start`` the name under which the backend knows the run. Raises BackendError.
        """


class RunnerBackend:
    """ansible-runner, on this machine."""

    def __init__(self, settings: Settings, options: Runner, directory: Path) -> None:
        self.settings = settings
        self.options = options
        self.directory = directory

    def run(self, request: Request, on_event: Callable[[RawEvent], None], on_start: Callable[[str], None]) -> bool:
        # It loads half a second of libraries, which only the process of a play needs.
        import ansible_runner

        def take(event: RawEvent) -> bool:
            on_event(event)
            # Its own copy on the disk would hold the results of tasks.
            return False

        with tempfile.TemporaryDirectory(prefix="play-", dir=self.directory) as folder:
            on_start(str(os.getpid()))
            done = ansible_runner.run(
                private_data_dir=folder,
                project_dir=str(self.settings.project_directory),
                playbook=str(self.settings.playbooks / request.playbook),
                inventory=self.options.inventory,
                cmdline="--check" if request.check else None,
                # They come into a file of the folder, since everybody sees the arguments of a process.
                extravars=dict(request.variables),
                envvars=self._environment(request, self._launcher(Path(folder))),
                event_handler=take,
                cancel_callback=Ending(),
                quiet=True,
            )
        return bool(done.rc == 0)

    def _launcher(self, folder: Path) -> Path:
        """A folder for the PATH: takes back two things that ansible-runner gives a play.

        A terminal, at which nobody sits: a play would ask there, and ssh whether it may trust a machine. And the word
        that any machine is trusted (ANSIBLE_HOST_KEY_CHECKING), which ansible.cfg has to say.
        """
        path = folder / "bin" / "ansible-playbook"
        path.parent.mkdir()
        said_to_us = HOST_KEY_CHECKING in os.environ
        lines = [
            "#!/bin/sh",
            "" if said_to_us else f"unset {HOST_KEY_CHECKING}",
            "export SSH_ASKPASS=/bin/false SSH_ASKPASS_REQUIRE=force",
            f'exec "{self.options.ansible_playbook}" "$@" </dev/null',
        ]
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        path.chmod(stat.S_IRWXU)
        return path.parent

    def _environment(self, request: Request, launcher: Path) -> dict[str, str]:
        found = {
            # Ansible refuses to run without a UTF-8 locale.
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
            "PATH": f"{launcher}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "RELEVO_REQUESTED_BY": request.who,
            "RELEVO_API_JOB": request.job,
        }
        if self.options.ansible_config:
            found["ANSIBLE_CONFIG"] = self.options.ansible_config
        if self.options.collections_path:
            found["ANSIBLE_COLLECTIONS_PATH"] = self.options.collections_path
        return found


class AwxBackend:
    """Job templates of an AWX, over its REST API: launch, state, events."""

    def __init__(self, options: Awx) -> None:
        self.options = options

    def _client(self) -> Any:
        import httpx

        token = self.options.token_file.read_text(encoding="utf-8").strip()
        return httpx.Client(
            base_url=self.options.url,
            headers={"Authorization": f"Bearer {token}"},
            verify=self.options.authority or True,
            timeout=30,
        )

    def run(self, request: Request, on_event: Callable[[RawEvent], None], on_start: Callable[[str], None]) -> bool:
        import httpx

        with self._client() as client:
            try:
                number = self._launch(client, request)
            except httpx.HTTPError as error:
                raise BackendError(f"AWX at {self.options.url} does not answer as it should: {error}.") from error
            on_start(f"{AWX_JOB}{number}")
            return self._follow(client, number, on_event)

    def state(self, name: str) -> str:
        """AWX's word for the state of a job that ``on_start`` named; empty where it cannot be asked."""
        import httpx

        try:
            with self._client() as client:
                number = name.removeprefix(AWX_JOB)
                return str(client.get(f"/api/v2/jobs/{number}/").raise_for_status().json()["status"])
        except (httpx.HTTPError, OSError, ValueError, KeyError):
            return ""

    def _launch(self, client: Any, request: Request) -> int:
        key = template_key(request.playbook, request.variables)
        name = self.options.template(key)
        kind = {"job_type": "check"} if request.check else {}
        body = {"extra_vars": json.dumps(answers_of(request.variables)), **kind}
        answer = client.post(f"/api/v2/job_templates/{name}/launch/", json=body)
        if answer.status_code == 404:
            raise BackendError(
                f"AWX has no job template {name}. Run awx.yml, or name yours in control_api_awx_templates, as {key}."
            )
        if answer.status_code in (401, 403):
            raise BackendError(f"AWX refuses the token of {self.options.token_file} for the job template {name}.")
        if answer.status_code == 400:
            raise BackendError(f"AWX refuses what the job template {name} was asked for: {answer.text[:1000]}")
        answer.raise_for_status()
        launched = answer.json()
        # AWX drops what the template does not ask for, and says so only here.
        ignored = launched.get("ignored_fields", {})
        dropped = sorted(ignored.get("extra_vars", {}))
        if not dropped and "job_type" not in ignored:
            return int(launched["job"])
        client.post(f"/api/v2/jobs/{launched['job']}/cancel/")
        if dropped:
            raise BackendError(
                f"The job template {name} does not take {', '.join(dropped)}: it has to prompt for variables on "
                "launch. The job was cancelled."
            )
        raise BackendError(
            f"The job template {name} does not take the job type check, in which a plan is made: it has to prompt for "
            "it on launch. The job was cancelled."
        )

    def _follow(self, client: Any, number: int, on_event: Callable[[RawEvent], None]) -> bool:
        last = 0
        while True:
            state = self._read(client, number, f"/api/v2/jobs/{number}/")
            last = self._events(client, number, last, on_event)
            # AWX writes the last events after the state.
            if state["status"] in ENDED and state.get("event_processing_finished", True):
                return ENDED[state["status"]]
            time.sleep(self.options.poll_s)

    def _read(self, client: Any, number: int, path: str, parameters: dict[str, Any] | None = None) -> Any:
        """What AWX says of a job. It goes on whether or not we can ask, so that is tried again."""
        import httpx

        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return client.get(path, params=parameters).raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                if time.monotonic() >= deadline:
                    raise LostSightError(
                        f"AWX job {number} may still run: AWX at {self.options.url} has not answered as it should for "
                        f"{PATIENCE_S:g} s ({error}). See in AWX what became of the job before anything else is run."
                    ) from error
            time.sleep(self.options.poll_s)

    def _events(self, client: Any, number: int, last: int, on_event: Callable[[RawEvent], None]) -> int:
        parameters = {"counter__gt": last, "order_by": "counter", "page_size": 200}
        page = self._read(client, number, f"/api/v2/jobs/{number}/job_events/", parameters)
        for event in page["results"]:
            on_event(event)
            last = max(last, int(event["counter"]))
        return self._events(client, number, last, on_event) if page.get("next") else last


def answers_of(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Variables as the surveys of roles/awx ask for them.

    A choice is text, also that between true and false. A question that nobody answered gets its default, which for the
    kind of a target is the end of the archive, so a target without one is the time that restore.yml takes it for.
    """
    answers = {name: str(value).lower() if isinstance(value, bool) else value for name, value in variables.items()}
    if answers.get("target") and not answers.get("target_type"):
        answers["target_type"] = "time"
    return answers


def backend_of(settings: Settings, directory: Path) -> Backend:
    if isinstance(settings.backend, Awx):
        return AwxBackend(settings.backend)
    return RunnerBackend(settings, settings.backend, directory)
