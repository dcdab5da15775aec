"""Documents in batches of bounded size, and lines about how far that is."""

import re
import time
from collections.abc import Iterator

BATCH_CHARACTERS = 2**20  # tokenised, some 100 MB
PROGRESS_SECONDS = 10

_AFTER_WORD = re.compile(r"(?<=\S)[ \n]")


def text_batches(documents: list[str], cuts: bool, name: str) -> Iterator[list[tuple[str, bool]]]:
    """Yield pieces of documents in batches of about `BATCH_CHARACTERS` characters.

    Args:
        documents: Text.
        cuts: Whether a document that is longer may be cut, before a space or newline after a word.
        name: What the lines about the progress call the documents.

    Yields:
        Lists of (piece, whether its document ends with it).
    """
    batch: list[tuple[str, bool]] = []
    filled = done = 0
    total, told = sum(map(len, documents)), time.monotonic()
    for document in documents:
        for piece in _pieces(document, cuts):
            batch.append(piece)
            filled += len(piece[0])
            if filled < BATCH_CHARACTERS:
                continue
            yield batch
            batch, filled, done = [], 0, done + filled
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
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
