"""Documents in batches of bounded size, with progress messages."""

import re
import time
from collections.abc import Iterator

BATCH_CHARACTERS = 2**20  # about 100 MB when tokenised
PROGRESS_SECONDS = 10

_AFTER_WORD = re.compile(r"(?<=\S)[ \n]")


def text_batches(documents: list[str], cuts: bool, name: str) -> Iterator[list[tuple[str, bool]]]:
    """Yield pieces of documents in batches of about `BATCH_CHARACTERS` characters.

    Args:
        documents: Text.
        cuts: Whether longer documents may be cut, before a space or newline after a word.
        name: Name of the documents in progress messages.

    Yields:
        Lists of (piece, whether it is the last of its document).
    """
    batch: list[tuple[str, bool]] = []
    filled = done = 0
    total, reported = sum(map(len, documents)), time.monotonic()
    for document in documents:
        for piece in _pieces(document, cuts):
            batch.append(piece)
            filled += len(piece[0])
            if filled < BATCH_CHARACTERS:
                continue
            yield batch
            batch, filled, done = [], 0, done + filled
            if time.monotonic() - reported > PROGRESS_SECONDS:
                reported = time.monotonic()
                print(f"{name}: {done:,} of {total:,} characters", flush=True)
    if batch:
        yield batch


def _pieces(document: str, cuts: bool) -> Iterator[tuple[str, bool]]:
    start = 0
    while cuts and len(document) - start > BATCH_CHARACTERS:
        found = _AFTER_WORD.search(document, start + BATCH_CHARACTERS)
        if found is None:
            break
        yield document[start : found.start()], False
        start = found.start()
    yield document[start:], True
