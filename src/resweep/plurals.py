"""Numbers of things in messages."""


def counted(count: int, thing: str, things: str | None = None) -> str:
    """Return `1 run`, `2 runs`; `things` is the plural where it has no -s."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"
