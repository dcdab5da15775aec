"""Numbers in messages: of things, of bytes, of seconds, and the ends of ranges."""

from collections.abc import Iterable

_ROUNDS_UP = 999.5  # to 1000, with three digits
_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_MOST_DIGITS = 9  # beyond these, numbers differ by rounding alone
_SHORT = 9.95  # seconds: below, two digits say more than whole seconds
_SIMILAR = 100  # times larger: then equally many decimals would be a row of zeros
_LARGEST_INTEGER = 1e15


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


def measured_duration(seconds: float) -> str:
    """Format a duration that may be short: `0.41 s`, else as `duration`."""
    return f"{seconds:.2g} s" if seconds < _SHORT else duration(seconds)


def alike(values: Iterable[float], digits: int = 4) -> list[str]:
    """Format measured numbers that are read together: `2.66` and `3.10`.

    Those of similar size get equally many decimals.

    Args:
        values: The numbers.
        digits: Significant digits; more where different numbers would look the same.
    """
    numbers = list(values)
    texts = _told_apart(numbers, digits)
    sizes = [abs(number) for number in numbers]
    if any("e" in text for text in texts) or max(sizes) >= _SIMILAR * min(sizes):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return [f"{number:,.{decimals}f}" for number in numbers]


def span_text(values: Iterable[float], digits: int = 4) -> str:
    """Return `2.66 to 3.10`: the least and the largest measured number; one if they are equal."""
    numbers = list(values)
    return " to ".join(dict.fromkeys(alike((min(numbers), max(numbers)), digits)))


def setting_span_text(values: Iterable[float], digits: int = 3) -> str:
    """Return `0.001 to 0.01`: the least and the largest setting, as people write them."""
    numbers = list(values)
    return " to ".join(dict.fromkeys(_told_apart([min(numbers), max(numbers)], digits)))


def _told_apart(numbers: list[float], digits: int) -> list[str]:
    """Format numbers with as many digits as make different ones look different."""
    different = len(set(numbers))
    texts = [_significant(number, digits) for number in numbers]
    while len(set(texts)) < different and digits < _MOST_DIGITS:
        digits += 1
        texts = [_significant(number, digits) for number in numbers]
    return texts


def _significant(number: float, digits: int) -> str:
    whole = float(number).is_integer() and abs(number) < _LARGEST_INTEGER
    return f"{number:,.0f}" if whole or abs(number) >= 10**digits else f"{number:.{digits}g}"
