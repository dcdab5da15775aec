"""Numbers in messages: of things, of bytes, of seconds."""

_ROUNDS_UP = 999.5  # to 1000, with three digits
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def counted(count: int, thing: str, things: str | None = None) -> str:
    """Return `1 run`, `2 runs`; `things` is the plural where it has no -s."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"


def size_text(size: float) -> str:
    """Format a number of bytes: `12.3 MB`, with 1 kB = 1000 bytes."""
    return f"{scaled(size)}B" if size >= _ROUNDS_UP else f"{size:.0f} B"


def scaled(value: float) -> str:
    """Format a number with three digits and a prefix: `1.23 T`."""
    power = 0
    while value >= _ROUNDS_UP and power < len(_PREFIXES) - 1:
        value, power = value / 1000, power + 1
    number = f"{value:.3g}" if value < _ROUNDS_UP else f"{value:,.0f}"
    return f"{number} {_PREFIXES[power]}".rstrip()


def duration(seconds: float) -> str:
    """Format a duration by its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"
