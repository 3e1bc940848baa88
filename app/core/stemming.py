"""Take the endings off English words as the second Porter stemmer does."""

import re

_VOWELS = "aeiouy"
_DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
_REGION_EXCEPTIONS = ("gener", "commun", "arsen", "past", "univers", "later", "emerg", "organ")
_KEPT = frozenset(
    "sky news howe atlas cosmos bias andes inning outing canning herring earring".split()
)
_SECOND_STEP = (
    ("ization", "ize"), ("isation", "ize"), ("ational", "ate"), ("fulness", "ful"),
    ("ousness", "ous"), ("iveness", "ive"), ("tional", "tion"), ("biliti", "ble"),
    ("lessli", "less"), ("entli", "ent"), ("ation", "ate"), ("alism", "al"), ("aliti", "al"),
    ("ousli", "ous"), ("iviti", "ive"), ("fulli", "ful"), ("enci", "ence"), ("anci", "ance"),
    ("abli", "able"), ("izer", "ize"), ("ator", "ate"), ("alli", "al"), ("bli", "ble"),
)  # fmt: skip
_THIRD_STEP = (
    ("ational", "ate"), ("tional", "tion"), ("alize", "al"), ("icate", "ic"), ("iciti", "ic"),
    ("ical", "ic"), ("ness", ""), ("ful", ""),
)  # fmt: skip
_FOURTH_STEP = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous",
    "ive", "ize", "al", "er", "ic",
)  # fmt: skip


def stem(word: str) -> str:
    """A lower-case English word without its endings: `paintings` and `painted` are `paint`."""
    if len(word) < 3 or word in _KEPT:
        return word
    if word[0] == "y":
        word = "Y" + word[1:]
    word = re.sub(r"(?<=[aeiou])y", "Y", word)
    first = _region(word, 0)
    for start in _REGION_EXCEPTIONS:
        if word.startswith(start):
            first = len(start)
    second = _region(word, first)
    word = _without_plural(word)
    word = _without_tense(word, first)
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in _VOWELS:
        word = word[:-1] + "i"
    word = _replaced(word, _SECOND_STEP, first)
    word = _replaced(word, _THIRD_STEP, first)
    word = _without_suffix(word, second)
    if word.endswith("e"):
        at = len(word) - 1
        if at >= second or (at >= first and not _ends_short(word[:-1])):
            word = word[:-1]
    elif word.endswith("ll") and len(word) - 1 >= second:
        word = word[:-1]
    return word.lower()


def _region(word: str, start: int) -> int:
    """Where the part after the first consonant that follows a vowel begins."""
    for at in range(start + 1, len(word)):
        if word[at] not in _VOWELS and word[at - 1] in _VOWELS:
            return at + 1
    return len(word)


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _without_tense(word: str, first: int) -> str:
    for ending in ("eedly", "eed"):
        if word.endswith(ending):
            return word[: -len(ending)] + "ee" if len(word) - len(ending) >= first else word
    for ending in ("ingly", "edly", "ing", "ed"):
        if word.endswith(ending):
            base = word[: -len(ending)]
            if not _has_vowel(base):
                return word
            if base.endswith(("at", "bl", "iz")):
                return base + "e"
            if base.endswith(_DOUBLES):
                return base[:-1]
            return base + "e" if len(base) <= first and _ends_short(base) else base
    return word


def _replaced(word: str, rules: tuple[tuple[str, str], ...], first: int) -> str:
    for ending, other in rules:
        if word.endswith(ending):
            at = len(word) - len(ending)
            return word[:at] + other if at >= first else word
    if rules is _SECOND_STEP and word.endswith("li") and len(word) - 2 >= first:
        return word[:-2] if word[-3] in "cdeghkmnrt" else word
    return word


def _without_suffix(word: str, second: int) -> str:
    for ending in _FOURTH_STEP:
        if word.endswith(ending):
            at = len(word) - len(ending)
            return word[:at] if at >= second else word
    if word.endswith(("sion", "tion")) and len(word) - 3 >= second:
        return word[:-3]
    return word


def _has_vowel(part: str) -> bool:
    return any(letter in _VOWELS for letter in part)


def _ends_short(part: str) -> bool:
    """Whether it ends in a short syllable, as `hop` and `at` do."""
    if len(part) == 2:
        return part[0] in _VOWELS and part[1] not in _VOWELS
    return (
        len(part) > 2
        and part[-1] not in _VOWELS + "wxY"
        and part[-2] in _VOWELS
        and part[-3] not in _VOWELS
    )
