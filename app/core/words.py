"""Cut a text into the stems that searching compares."""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from app.core.stemming import stem

LONGEST_STEM = 200
"""Characters; longer ones are cut."""

STOP_WORDS = frozenset(
    "a about again all also am an and any are as at be because been being both but by can cannot"
    " could did do does doing don for from had has have having he her here hers herself him himself"
    " his how i if in into is it its itself just me my myself no nor not of off on only or other"
    " our ours ourselves out over own s same shall she should so some such t than that the their"
    " theirs them themselves then there these they this those through to too us very was we were"
    " what when where which while who whom whose why will with would you your yours yourself"
    " yourselves d ll m re ve ain aren couldn didn doesn hadn hasn haven isn let ma mightn mustn"
    " needn shan shouldn wasn weren won wouldn".split()
)

_FORMS = """
arise arose arisen; awake awoke awoken; beat beaten; become became; begin began begun; bend bent;
bite bit bitten; bleed bled; blow blew blown; break broke broken; breed bred; bring brought; build
built; burn burnt; buy bought; catch caught; choose chose chosen; come came; creep crept; deal
dealt; dig dug; draw drew drawn; dream dreamt; drink drank drunk; drive drove driven; eat ate
eaten; fall fell fallen; feed fed; feel felt; fight fought; find found; flee fled; fly flew flown;
forbid forbade forbidden; forget forgot forgotten; forgive forgave forgiven; freeze froze frozen;
get got gotten gonna; give gave given; go goes went gone; grow grew grown; hang hung; hear heard;
hide hid hidden; hold held; keep kept; know knew known; lead led; learn learnt; leave left; lend
lent; lie lain lying; light lit; lose lost; make made; mean meant; meet met; pay paid; prove
proven; ride rode ridden; ring rang rung; rise rose risen; run ran; say said; see saw seen; seek
sought; sell sold; send sent; sew sewn; shake shook shaken; shine shone; shoot shot; show shown;
shrink shrank shrunk; sing sang sung; sink sank sunk; sit sat; sleep slept; slide slid; speak
spoke spoken; spend spent; spin spun; stand stood; steal stole stolen; stick stuck; strike struck;
swear swore sworn; sweep swept; swim swam swum; swing swung; take took taken; teach taught; tear
tore torn; tell told; think thought; throw threw thrown; understand understood; wake woke woken;
wear wore worn; weave wove woven; weep wept; win won; write wrote written; child children; foot
feet; goose geese; half halves; knife knives; life lives; man men; mouse mice; person people;
tooth teeth; wife wives; wolf wolves; woman women; good better best; bad worse worst; die dying;
tie tying; mother mom mum mommy mummy mama; father dad daddy papa; kid kiddo kiddos; grandma
grandmother granny; grandpa grandfather grandad granddad; favorite favourite fave; color colour;
gray grey; center centre; theater theatre; program programme; neighbor neighbour; behavior
behaviour; flavor flavour; organize organise; photo photograph pic pics; television tv; bike
bicycle; airplane aeroplane; doctor dr; okay ok; one 1; two 2; three 3; four 4; five 5; six 6;
seven 7; eight 8; nine 9; ten 10; january jan; february feb; march mar; april apr; august aug;
september sept sep; october oct; november nov; december dec
"""

_BASES = {
    form: base for line in _FORMS.split(";") for base, *forms in (line.split(),) for form in forms
}

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CLITIC = re.compile(r"(?:n['’]t|['’](?:s|d|m|re|ve|ll|t))+$")
_PLURAL = re.compile(r"[a-z]{4,}s$")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)$")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")


def stems(text: str) -> list[str]:
    """Stems in the order of the text, repeats included, without stop words.

    Each is lower-case letters and digits only, at most `LONGEST_STEM` of them. Scripts written
    without spaces (Chinese, Japanese) give each pair of neighbouring characters.
    """
    found = []
    for word in _WORD.findall(_plain(text)):
        if word.isascii():
            if short := _stem_of(word[:LONGEST_STEM]):
                found.append(short)
        else:
            found.extend(_stems_beyond_ascii(word))
    return found


def query_words(task: str) -> tuple[str, ...]:
    """The distinct stems of a question, in its order."""
    return tuple(dict.fromkeys(stems(task)))


def _plain(text: str) -> str:
    """Lower case, without accents, wide forms made narrow."""
    lowered = text.lower()
    if lowered.isascii():
        return lowered
    decomposed = unicodedata.normalize("NFKD", lowered)
    bare = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return unicodedata.normalize("NFC", bare).lower()


def _stems_beyond_ascii(word: str) -> list[str]:
    found = []
    at = 0
    for run in _UNSPACED.finditer(word):
        found.append(word[at : run.start()])
        signs = run.group()
        found += [signs] if len(signs) == 1 else map("".join, pairwise(signs))
        at = run.end()
    found.append(word[at:])
    return [short for part in found if part and (short := _stem_of(part[:LONGEST_STEM]))]


@lru_cache(maxsize=65536)
def _stem_of(word: str) -> str:
    """Empty for a stop word."""
    word = _ORDINAL.sub(r"\1", _CLITIC.sub("", word))
    if word in STOP_WORDS:
        return ""
    base = _BASES.get(word) or (_BASES.get(word[:-1]) if _PLURAL.match(word) else None)
    if base:
        return stem(base)
    bare = "".join(filter(str.isalnum, word))
    return stem(bare) if bare.isascii() and bare.isalpha() else bare
