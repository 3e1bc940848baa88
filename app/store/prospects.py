"""Gather the stored memories that a question may need, with their texts and tokens."""

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from app.core.errors import Unavailable
from app.core.recall import KeptText, Prospects, View, Wish
from app.core.retrieval import Probe
from app.core.windows import micros
from app.store.database import Store, Tx, in_chunks
from app.store.kept_recall import read_place, recall_kept
from app.store.memory_texts import counts_of, put_counts
from app.store.recall import Recalled, recall
from app.store.textcache import SharedTexts, TextCache

Count = Callable[[Sequence[str], str], Sequence[int]]
"""Tokens of texts in an encoding."""

R = TypeVar("R")


async def gather(
    store: Store,
    texts: TextCache,
    view: View,
    question: Probe,
    wish: Wish,
    *,
    encoding: str,
    count: Count,
    then: Callable[[Prospects], R],
) -> R:
    """What `then` makes of the stored memories of a view that a question may need.

    It runs in the thread that has read them: changing threads costs as much as some statements. A
    text that is met in an encoding for the first time is counted, and its tokens are kept.
    """
    reading = partial(_gather_now, store, texts, view, question, wish, encoding)

    def work() -> tuple[R, Mapping[bytes, int]]:
        prospects = reading()
        new = _count_new(prospects, encoding, count)
        tokens = [text.tokens[encoding] for text in prospects.texts]
        return then(replace(prospects, tokens=tokens)), new

    made, new = await store.aside(work)
    if new:
        with suppress(Unavailable):  # they are counted again another time
            await store.write(view.workspace, _keep_counts, (encoding, new), weight=len(new))
    return made


def _count_new(prospects: Prospects, encoding: str, count: Count) -> Mapping[bytes, int]:
    """Count the texts whose tokens are not known; answers their tokens by content."""
    uncounted = {
        one.content: text
        for one, text in zip(prospects.memories, prospects.texts, strict=True)
        if encoding not in text.tokens
    }
    if not uncounted:
        return {}
    counts = count([text.text for text in uncounted.values()], encoding)
    for text, tokens in zip(uncounted.values(), counts, strict=True):
        text.tokens[encoding] = tokens
    return dict(zip(uncounted, counts, strict=True))


def _gather_now(
    store: Store, texts: TextCache, view: View, question: Probe, wish: Wish, encoding: str
) -> Prospects:
    """What memory has, where it has the places and all texts; the rest from the database."""
    ranges = [(micros(since), micros(until)) for since, until in question.spans]
    places = None if wish.embedding is not None else store.places
    found: Recalled | None = None
    moment = (0, 0)
    if places is not None:
        with places.lock:
            moment = places.moment(view.workspace)
            kept = places.of(view)
            if kept is not None:
                found = recall_kept(kept, view, question.words, wish, ranges=ranges)
    if found is not None:
        at_hand = texts.get_many(view.workspace, {one.content for one in found.memories})
        told = [at_hand.get(one.content) for one in found.memories]
        known = [one for one in told if one is not None and encoding in one.tokens]
        if len(known) == len(told):
            return _prospects(found, known)

    def read(tx: Tx) -> Prospects:
        told = None if found is None else _texts(tx, texts, view.workspace, found, encoding)
        if found is not None and told is not None:
            return _prospects(found, told)
        recalled = recall(tx, view, question.words, wish, ranges=ranges)
        if places is not None:
            seen = recalled.statistics
            for project in places.due(view, seen.memories, seen.length):
                place = read_place(tx, view.workspace, project)
                places.keep(view.workspace, project, place, moment)
        return _prospects(recalled, _texts(tx, texts, view.workspace, recalled, encoding) or ())

    return store.read_now(read)


def _prospects(recalled: Recalled, texts: Sequence[KeptText]) -> Prospects:
    return Prospects(statistics=recalled.statistics, memories=recalled.memories, texts=texts)


def _texts(
    tx: Tx, texts: TextCache, workspace: str, recalled: Recalled, encoding: str
) -> list[KeptText] | None:
    """The texts of what is recalled, with their tokens where these were ever counted; None if one
    has gone since then."""
    contents = {one.content for one in recalled.memories}
    kept = texts.get_many(workspace, contents)
    unknown = contents - kept.keys()
    uncounted = [content for content in kept if encoding not in kept[content].tokens]
    for content, text in _read_texts(tx, texts.shared, workspace, unknown).items():
        kept[content] = text
        texts.put(workspace, content, text)
    if len(kept) < len(contents):
        return None
    counted = counts_of(tx, workspace, [*unknown, *uncounted], encoding)
    for content, tokens in counted.items():
        kept[content].tokens[encoding] = tokens
    return [kept[one.content] for one in recalled.memories]


def _keep_counts(
    tx: Tx, workspace: str, items: Sequence[tuple[str, Mapping[bytes, int]]]
) -> list[None]:
    """Keep tokens of texts that were counted in an encoding for the first time."""
    for encoding, counts in items:
        put_counts(tx, workspace, encoding, counts)
    return [None] * len(items)


def _read_texts(
    tx: Tx, shared: SharedTexts, workspace: str, contents: Set[bytes]
) -> dict[bytes, KeptText]:
    """Texts from what replicas share, and those that it lacks from the database."""
    found = shared.get_many(workspace, contents) if contents else {}
    fresh: dict[bytes, tuple[str, str]] = {}
    for chunk in in_chunks(contents - found.keys()):
        sql = (
            f"SELECT content, text, words FROM memory_texts WHERE workspace = {tx.marks(1)}"
            f" AND content IN ({tx.marks(len(chunk), first=2)})"
        )
        for content, text, words in tx.fetch(sql, [workspace, *chunk]):
            fresh[bytes(content)] = (text, words)
    if fresh:
        shared.put_many(workspace, fresh)
    return {content: KeptText(*text) for content, text in (found | fresh).items()}
