"""Cuts texts at random by regular expressions of published tokenizers, and writes what Hugging Face's `tokenizers` makes of them.

Run with a Python that has tokenizers:  python Scripts/reference/word_patterns.py [TEXTS]
Writes word-patterns.json into Tests/TokenizersTests/Expected.
"""
import json
import random
import sys
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

OUT = Path(__file__).resolve().parents[2] / "Tests/TokenizersTests/Expected"
REST = r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
START = r"[^\r\n\p{L}\p{N}]?"
ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# A list is cut by each in turn.
PATTERNS = {
    "tekken": [rf"{START}{UPPER}*{LOWER}+|{START}{UPPER}+{LOWER}*|{REST}"],
    "endings": [rf"{START}{UPPER}*{LOWER}+{ENDING}|{START}{UPPER}+{LOWER}*{ENDING}|" + REST.replace(r"\p{N}|", r"\p{N}{1,3}|")],
    "tekken of llama.cpp": [rf"{START}(?:(?=\p{{L}})[^a-z])*(?:(?=\p{{L}})[^A-Z])+|{START}(?:(?=\p{{L}})[^a-z])+(?:(?=\p{{L}})[^A-Z])*|{REST}"],
    "deepseek": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek 3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                   r"[!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "Llama 3 without a flag": [r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "default of llama.cpp": [r"[\p{P}$+<=>^~|]+", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", r"\p{N}+", "[0-9][0-9][0-9]"],
    "as many as there are": [r"[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}++x|\d{2,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*+x"],
    "places": [r"\b\w+?\b|\S+$|^\s+|\W\B"],
    "few": [r"a{2}|(?:ab|a)(?:c|bcd)|\p{^L}{1,2}\P{N}|[\p{P}\-a-c]+?|[^\S\r\n]{2,}"],
    "in any case": [r"(?i)'(?:[sdmt]|ll|ve|re)|the|k\w"],
}
BEHAVIORS = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]
KINDS = [(0x20, 0x7E), (0x61, 0x7A), (0x41, 0x5A), (0x30, 0x39), (0x09, 0x0D), (0x20, 0x20), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x4FF), (0x5D0, 0x6FF),
         (0x900, 0x97F), (0x2000, 0x206F), (0x20A0, 0x22FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF01, 0xFF65), (0x1F300, 0x1F6FF), (0x1D400, 0x1D7FF), (0, 0x10FFFF)]
PIECES = ["I'M ", "it's", "'LL", "'ſ", " the", "don’t ", "\r\n", "  \n", "a/\n/", "12345", "٣٤٥", "ǅur", "Straße", "ÀÉ", "camelCase", "HTTPServer2", "aab", "abcd", "x\u0301", "\u200d", "K1", "---", " . "]


def text(chance):
    out = []
    for _ in range(chance.randrange(14)):
        if chance.random() < 0.4: out.append(chance.choice(PIECES)); continue
        low, high = chance.choice(KINDS)
        for _ in range(chance.randrange(1, 4)):
            scalar = chance.randint(low, high)
            if not 0xD800 <= scalar <= 0xDFFF: out.append(chr(scalar))
    return "".join(out)


def assigned(one):
    """Python, tokenizers and Swift know other versions of Unicode: scalars without a category are left out."""
    import unicodedata
    return all(unicodedata.category(c) != "Cn" for c in one)


chance = random.Random(3)
texts = []
while len(texts) < (int(sys.argv[1]) if len(sys.argv) > 1 else 300):
    one = text(chance)
    if assigned(one): texts.append(one)
cases = []
for number, (name, patterns) in enumerate(PATTERNS.items()):
    for behavior, inverted in [("isolated", False)] + [(BEHAVIORS[(number + 1) % 5], number % 2 == 0)]:
        steps = [pre_tokenizers.Split(Regex(p), behavior, inverted) for p in patterns]
        cutter = pre_tokenizers.Sequence(steps)
        cuts = [[len(piece.encode()) for piece, _ in cutter.pre_tokenize_str(one)] for one in texts]
        cases.append({"name": name, "patterns": patterns, "behavior": "".join(w.capitalize() for w in behavior.split("_")), "invert": inverted, "cuts": cuts})
(OUT / "word-patterns.json").write_text(json.dumps({"texts": texts, "cases": cases}, ensure_ascii=False, separators=(",", ":")) + "\n")
print(len(cases), "cases", len(texts), "texts")
