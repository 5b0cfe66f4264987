BOOLEANS_FALSE: frozenset[object]
BOOLEANS_TRUE: frozenset[object]

def boolean(value: object, strict: bool = True) -> bool: ...
