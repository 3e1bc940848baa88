"""Find the request in a text: what surrounds it is left out, and what it names is masked."""

import re

HEAD, TAIL = 800, 500
"""Characters of a long text that are read: its beginning, and its end."""

MASK = "§"
"""Stands for a name, a quotation, a path or a number of somebody else's."""

WINDOW, END = 6_000, 3_000
"""Characters in which blocks and fences are looked for, from the beginning and from the end."""

MOST_BLOCKS = 40
FIRST_LINES, LAST_LINES = 80, 40
NEWLINE = "\n"
FEW = 240
"""Characters below which a text has no logs to look for, unless it has lines."""

_BLOCKS = """
    system-reminder system_reminder reminder system tools available_tools functions tool_list
    context environment environment_details env logs log output documents document file files
    attachments attachment examples thinking memory history conversation instructions_for_tools
    command-output local-command-stdout stdout stderr details pre code quote user_info
""".split()
_OPENING = re.compile(rf"<({'|'.join(map(re.escape, _BLOCKS))})\b[^<>\n]{{0,200}}>", re.IGNORECASE)

_ROLES = ("\nUser:", "\nuser:", "\nHuman:", "\nTask:", "\nRequest:", "\nQuestion:", "\nUSER:")

_NOISE = re.compile(
    r"""\s*(?:
      at\s[\w.$<>/]+[(\s]                       # frames of a stack
    | File\s"                                   # the same in Python
    | Traceback\b
    | \.\.\.\s\d+\smore\b
    | Caused\sby:
    | [\w.]*(?:Error|Exception|Warning):        # what was raised
    | \[?\d{4}[-/]\d\d[-/]\d\d[T\s,]            # lines of logs
    | \[?\d\d:\d\d:\d\d
    | \[?(?:INFO|WARN|WARNING|ERROR|DEBUG|TRACE|FATAL|CRITICAL|NOTICE)\]?[\s:]
    | \w{3}\s+\d{1,2}\s\d\d:\d\d
    | (?:[\w.-]+\s)?\w+\[\d+\]:
    | [>|{}\]$\#%+]                             # quotations, tables, data, prompts, headings
    | \[(?![A-Za-z][A-Za-z /-]{0,24}\]\s)        # lists, but not [Bug]
    | (?:[ ]{4}|\t)\s*\S                         # what is set in, as code is
    | (?:(?:[Aa]vailable|[Tt]he\sfollowing)\s)?[Tt]ools(?:\savailable)?:\s*$
    | ```|~~~|---|===|\*\*\*
    | (?:import|from|def|class|return|const|let|var|function|public|private|select|SELECT|with)\s
      [^\n]*[;:({,*=]\s*$                       # code
    | [-*]\s[\w.]+(?:\([^)]*\))?:\s             # lists of tools
    | "[\w.-]+"\s*:                             # JSON
    | [\w.-]+\s=\s                              # settings
    | \d+\s*\|
    )""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"`[^`\n]{1,200}`|\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|«[^»\n]{1,200}»")
_JUDGES_ITSELF = re.compile(
    r"""\b(?:
      (?:just\s)?(?:a\s)?(?:simple|quick|easy|small|trivial)\s
        (?:question|one|thing|task|request|favou?r|ask)\b\s?[:,-]
    | (?:this|that|it|the\s(?:task|request|question))\s?(?:'s|’s|is|was|seems|should\sbe)\s
        (?:a\s|an\s|all\s|really\s|very\s|quite\s|just\s|only\s)*
        (?:simple|easy|trivial|quick|straightforward|low|basic)\b[^.!?\n]{0,60}
    | (?:answer|classify|label|rate|treat|mark|score|call|consider|output|say)\b[^.!?\n]{0,40}\b
        (?:simple|easy|trivial)\b[^.!?\n]{0,40}
    | (?:complexity|tier|difficulty)\s*(?::|=|is)\s*\w+
    | ignore\s(?:all\s|any\s|the\s)*(?:previous|prior|above)\b[^.!?\n]{0,60}
    )[.!,;]?""",
    re.IGNORECASE | re.VERBOSE,
)
_BELITTLES = (
    "simple",
    "easy",
    "trivial",
    "quick",
    "straightforward",
    "tier",
    "complexity",
    "ignore",
    "difficulty",
    "basic",
)


def request_of(text: str) -> str:
    """The request in a text, at most `HEAD` + `TAIL` characters; names in it are masked."""
    if len(text) > FEW or "<" in text or "```" in text or "\n" in text:
        text = _without_surroundings(text)
    if '"' in text or "`" in text or "“" in text or "«" in text:
        text = _QUOTED.sub(MASK, text)
    lowered = text.lower()
    if any(word in lowered for word in _BELITTLES):
        text = _without_judgement(text)
    return text


def _without_surroundings(text: str) -> str:
    if "<" in text[:WINDOW] or "<" in text[-END:]:
        text = _without_blocks(text)
    if len(text) > WINDOW + END:
        end = text[-END:]
        text = f"{text[:WINDOW]}\n{end.partition(NEWLINE)[2] or end}"
    if "```" in text:
        text = _without_fences(text)
    start = max(text.rfind(role) for role in _ROLES)
    if start >= 0 and text[start:].partition(":")[2].strip():
        text = text[start:].partition(":")[2]
    text = text.strip()
    if "\n" in text:
        text = _without_noise(text)
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD].rpartition(' ')[0] or text[:HEAD]}\n{text[-TAIL:].partition(' ')[2]}"
    return text


def _without_noise(text: str) -> str:
    """Leave out lines that nobody wrote: logs, stacks, code, tables, quotations."""
    lines = text.split("\n")
    if len(lines) > FIRST_LINES + LAST_LINES:
        lines = lines[:FIRST_LINES] + lines[-LAST_LINES:]
    kept = [line for line in lines if line and not _NOISE.match(line)]
    return "\n".join(kept) or lines[0]


def _without_blocks(text: str) -> str:
    """Leave out blocks that tools put around a request; one that has no end is left."""
    parts = []
    at = 0
    for _ in range(MOST_BLOCKS):
        opening = _OPENING.search(text, at, at + WINDOW)
        if opening is None and at < len(text) - END - WINDOW:
            parts.append(text[at : at + WINDOW])
            at = len(text) - END
            opening = _OPENING.search(text, at)
        if opening is None:
            break
        closing = text.find(f"</{opening[1]}>", opening.end())
        if closing < 0:
            parts.append(text[at : opening.start()])
            at = opening.end()
            continue
        parts.append(text[at : opening.start()])
        at = closing + len(opening[1]) + 3
    parts.append(text[at:])
    rest = "\n".join(parts)
    return rest if rest[:WINDOW].strip() or rest[-END:].strip() else text


def _without_fences(text: str) -> str:
    parts = text.split("```", 2 * MOST_BLOCKS)
    rest = "\n".join(parts[::2])
    return rest if rest.strip() else text


def _without_judgement(text: str) -> str:
    rest = _JUDGES_ITSELF.sub(" ", text)
    return rest if any(letter.isalpha() for letter in rest) else text
