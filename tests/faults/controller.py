"""The controller of a play: started, held at a task, killed, and waited for with a deadline."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster import ROOT, command_line, controller_environment

#: A play that has shown nothing new for so long is a finding: nobody would wait longer.
DEADLINE = 180.0
#: What the plays of all cases printed.
LOG = ROOT / ".cache" / "faults.log"
ERROR = re.compile(r"^\[ERROR\]: (.*?)(?=\n(?:Origin|\n|\[|fatal:|failed:|TASK|PLAY))", re.MULTILINE | re.DOTALL)
UNREACHABLE = re.compile(r'"msg": "(.+?)"|^\s*msg: (.+)$', re.MULTILINE)


@dataclass
class Ended:
    """How a play ended; ``code`` None: it was killed, or hung and was ended by the test."""

    code: int | None
    output: str
    seconds: float
    hung: bool = False

    @property
    def tasks(self) -> list[str]:
        return re.findall(r"^TASK \[(.+)\]", self.output, re.MULTILINE)

    @property
    def said(self) -> str:
        """What somebody would have read, in one line."""
        if self.hung:
            return f"hung: nothing new for {DEADLINE:g} s after {self.tasks[-1] if self.tasks else 'the start'}"
        if self.code is None:
            return "(killed)"
        if self.code == 0:
            return "ended well"
        errors = [" ".join(text.split()) for text in ERROR.findall(self.output)]
        sentences = [re.sub(r"^(?:Task failed: )?(?:Module failed: |Action failed: )?", "", text) for text in errors]
        if sentences:
            return sentences[-1]
        found = [first or second for first, second in UNREACHABLE.findall(self.output)]
        return found[-1] if found else f"status {self.code}"


@dataclass
class Controller:
    """One run of a playbook. With ``task`` it is held before or after that task (a pattern) for the first time."""

    name: str
    arguments: tuple[str, ...] = ()
    task: str = ""
    when: str = "before"
    _folder: TemporaryDirectory[str] = field(default_factory=TemporaryDirectory)
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0

    def __enter__(self) -> Controller:
        environment = controller_environment() | {"ANSIBLE_DISPLAY_OK_HOSTS": "true"}
        if self.task:
            environment |= {
                "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("hold")),
                "ANSIBLE_CALLBACKS_ENABLED": "relevo_hold",
                "RELEVO_HOLD_TASK": self.task,
                "RELEVO_HOLD_WHEN": self.when,
                "RELEVO_HOLD_FOLDER": self._folder.name,
            }
        self._started = time.monotonic()
        with self._file("output").open("wb") as output:
            self._process = subprocess.Popen(
                command_line(self.name, *self.arguments),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def _file(self, name: str) -> Path:
        return Path(self._folder.name) / name

    @property
    def output(self) -> str:
        return self._file("output").read_text(errors="replace")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the play was not started"
        return self._process

    def wait_until_held(self) -> None:
        deadline = time.monotonic() + 2 * DEADLINE
        while not self._file("held").exists():
            assert self.process.poll() is None, f"{self.name} ended before the task {self.task}:\n{self.output[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name} has not come to the task {self.task}"
            time.sleep(0.05)

    def go_on(self) -> None:
        self._file("go").touch()

    def kill(self) -> Ended:
        """As if the controller's machine had lost its power: its workers, which are sessions of their own, too."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(20)
        return self._ended(None)

    def wait(self) -> Ended:
        """Let it end by itself; one that does not is ended, as somebody at the keyboard would."""
        shown, since = 0, time.monotonic()
        while time.monotonic() - since < DEADLINE:
            try:
                return self._ended(self.process.wait(1))
            except subprocess.TimeoutExpired:
                size = self._file("output").stat().st_size
                if size != shown:
                    shown, since = size, time.monotonic()
        return replace(self.kill(), hung=True)

    def _ended(self, code: int | None) -> Ended:
        ended = Ended(code, self.output, time.monotonic() - self._started)
        status = "killed" if code is None else f"status {code}"
        with LOG.open("a") as log:
            log.write(f"\n$ {self.name} {' '.join(self.arguments)}   [{ended.seconds:.1f} s, {status}]\n{ended.output}")
        return ended


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [found for child in children for found in (child, *descendants(child))]


def run(name: str, *arguments: str) -> Ended:
    """Run a playbook to its end, or to the deadline."""
    with Controller(name, arguments) as controller:
        return controller.wait()
