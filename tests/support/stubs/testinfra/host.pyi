class CommandResult:
    rc: int
    stdout: str
    stderr: str

class File:
    exists: bool
    user: str
    group: str
    mode: int
    content_string: str

class Host:
    def run(self, command: str, *args: str) -> CommandResult: ...
    def check_output(self, command: str, *args: str) -> str: ...
    def file(self, path: str) -> File: ...
