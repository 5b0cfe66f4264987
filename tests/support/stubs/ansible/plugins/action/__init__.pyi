from abc import ABC
from typing import Any

from ansible.playbook.play_context import PlayContext

class Task:
    delegate_to: str | None
    args: dict[str, Any]
    check_mode: bool

class Loader:
    def get_real_file(self, file_path: str) -> str: ...
    def cleanup_tmp_file(self, file_path: str) -> None: ...

class Connection:
    transport: str
    def get_option(self, option: str) -> Any: ...

class ActionBase(ABC):
    TRANSFERS_FILES: bool
    _requires_connection: bool
    _supports_check_mode: bool
    _supports_async: bool
    _task: Task
    _loader: Loader
    _templar: Any
    _connection: Connection
    _play_context: PlayContext
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]: ...
    def validate_argument_spec(
        self, argument_spec: dict[str, Any] | None = None, **rules: Any
    ) -> tuple[Any, dict[str, Any]]: ...
    def _execute_module(
        self,
        module_name: str | None = None,
        module_args: dict[str, Any] | None = None,
        *,
        task_vars: dict[str, Any] | None = None,
    ) -> dict[str, Any]: ...
    def _configure_module(
        self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
    ) -> tuple[Any, str]: ...
    def _low_level_execute_command(
        self, cmd: str, sudoable: bool = True, in_data: bytes | None = None
    ) -> dict[str, Any]: ...
