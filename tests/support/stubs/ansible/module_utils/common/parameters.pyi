from collections.abc import Collection
from typing import TypeVar

T = TypeVar("T")

def remove_values(value: T, no_log_strings: Collection[str]) -> T: ...
