from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

def missing_required_lib(library: str, reason: str | None = None, url: str | None = None) -> str: ...

class AnsibleModule:
    params: dict[str, Any]
    check_mode: bool
    tmpdir: str
    no_log_values: set[str]
    def __init__(
        self,
        argument_spec: Mapping[str, Any],
        *,
        mutually_exclusive: Sequence[Sequence[str]] | None = None,
        required_together: Sequence[Sequence[str]] | None = None,
        required_one_of: Sequence[Sequence[str]] | None = None,
        required_if: Sequence[tuple[Any, ...]] | None = None,
        required_by: Mapping[str, Any] | None = None,
        supports_check_mode: bool = False,
    ) -> None: ...
    def exit_json(self, **result: Any) -> NoReturn: ...
    def fail_json(self, msg: str, *, exception: BaseException | str | None = None, **result: Any) -> NoReturn: ...
    def warn(self, warning: str, *, help_text: str | None = None) -> None: ...
