# SPDX-License-Identifier: MIT
"""The rules: what can be broken in a line of C."""
import re

# Comparisons, shifts, signs, and intrinsics whose neighbours have the same types.
SWAPS = [
    (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "), (r" != ", " == "),
    (r" << ", " >> "), (r" >> ", " << "), (r"(?<=[\w)\]]) \+ ", " - "), (r"(?<=[\w)\]]) - ", " + "), (r"(?<=[\w)\]]) & ", " | "), (r"(?<=[\w)\]]) \| ", " & "),
    (r"(?<=[\w)\]]) && ", " || "), (r"(?<=[\w)\]]) \|\| ", " && "),
    (r"_unpacklo_", "_unpackhi_"), (r"_unpackhi_", "_unpacklo_"), (r"_min_ep", "_max_ep"), (r"_max_ep", "_min_ep"), (r"_slli_", "_srli_"), (r"_srli_", "_slli_"),
    (r"_srai_", "_srli_"), (r"_add_ep", "_sub_ep"), (r"_sub_ep", "_add_ep"), (r"_subs_epu", "_sub_epi"), (r"_cmplt_", "_cmple_"), (r"_cmple_", "_cmplt_"),
    (r"_cmpge_", "_cmpgt_"), (r"_cmpgt_epi32_mask", "_cmpge_epi32_mask"), (r"_packs_epi16", "_packus_epi16"), (r"_packus_epi16", "_packs_epi16"),
    (r"_fmadd_", "_fnmadd_"), (r"_fnmadd_", "_fmadd_"), (r"TO_NEG_INF", "TO_POS_INF"), (r"_and_si", "_andnot_si"), (r"_and_ps", "_andnot_ps"),
    (r"\bleast\(", "most("), (r"\bmost\(", "least("), (r"\bfirst\b", "second"), (r"\blo\(", "hi("), (r"\bhi\(", "lo("),
]
# Rules, roundings and zeros: tables of recipe.c and numerics.c.
NAMES = [("MXQ_SCALE_FLOOR\\b", "MXQ_SCALE_CEIL"), ("MXQ_SCALE_EVEN\\b", "MXQ_SCALE_FLOOR"), ("MXQ_SCALE_RCEIL\\b", "MXQ_SCALE_EVEN"), ("MXQ_ROUND_RNE\\b", "MXQ_ROUND_HALF_ZERO"),
         ("MXQ_ROUND_HALF_AWAY", "MXQ_ROUND_RNE"), ("MXQ_ROUND_HALF_ZERO", "MXQ_ROUND_HALF_AWAY"), ("MXQ_NEG_ZERO_KEEP", "MXQ_NEG_ZERO_EXACT"),
         ("MXQ_NEG_ZERO_EXACT", "MXQ_NEG_ZERO_SCALED"), ("MXQ_NEG_ZERO_DROP", "MXQ_NEG_ZERO_KEEP"), ("MXQ_NEG_ZERO_SCALED", "MXQ_NEG_ZERO_EXACT"), ("ALL\\b", "FLOATS"),
         ("FLOATS\\b", "ALL")]
NUMBER = re.compile(r"(?<![\w.])(0x[0-9a-fA-F]+|\d+)(u|ull|)(?![\w.])")


class Mutant:
    def __init__(self, file, line, before, after, explained):
        self.file, self.line, self.before, self.after, self.explained = file, line, before, after, explained

    def key(self):
        return f"{self.file}:{self.before.strip()}:{self.after.strip()}"

    def equivalent(self):
        return self.explained.get((self.file, self.before.strip(), self.after.strip()))

    def __str__(self):
        a, b = self.before, self.after
        start = next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), 0)
        end = 0
        while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
            end += 1
        left = max(0, start - 28)
        return f"{self.file}:{self.line + 1}: {a[left:start].strip(' ')} [{a[start:len(a) - end]} -> {b[start:len(b) - end]}] {a[len(a) - end:][:32].strip()}"


def code_only(text):
    """The text with comments, strings and directives blanked, all places kept."""
    def blank(m):
        return re.sub(r"[^\n]", "\0", m.group(0))
    text = re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)
    text = re.sub(r"^#\s*(?:include|if|ifdef|ifndef|elif|else|endif|undef|error|pragma)\b[^\n]*", blank, text, flags=re.M)
    text = re.sub(r"^#define \w+(\([^)]*\))?", blank, text, flags=re.M)
    # what is only fetched ahead, or the flags of an addition, makes no result
    text = re.sub(r"[^\n]*_mm_prefetch\([^\n]*|(?:\| )?_MM_FROUND_NO_EXC|[^\n]*\bfetch_ahead\([^\n]*", blank, text)
    # heads of loops and places in arrays: one more is memory that is not ours, not another result; attributes, static assertions
    text = re.sub(r"\bfor \([^;]*;[^;]*;[^)]*\)|__attribute__\(\([^;{]*?\)\)\)?|_Pragma\([^)]*\)|_Static_assert\([^;]*;|aligned\(\d+\)", blank, text)
    text = re.sub(r"(?<=\w)\[\d*\](?=[ ,;)\[])", blank, text)
    return re.sub(r"\bmem(cpy|set|move)\([^;]*;", blank, text)


def mutants(file, text, explained):
    """Every mutant of a file."""
    found, lines = [], text.split("\n")
    swaps = SWAPS + (NAMES if file.endswith(".c") else [])
    for i, (line, code) in enumerate(zip(lines, code_only(text).split("\n"))):
        def add(start, end, new):
            found.append(Mutant(file, i, line, line[:start] + new + line[end:], explained))
        for pattern, new in swaps:
            for m in re.finditer(pattern, code):
                add(m.start(), m.end(), new)
        numbers = list(NUMBER.finditer(code))
        for n, m in enumerate(numbers):
            value = int(m.group(1), 0)
            if m.group(1).startswith("0x"):
                bit = 1 << (sum(map(ord, line)) + n) % max(1, value.bit_length())
                add(m.start(1), m.end(1), "0x%0*x" % (len(m.group(1)) - 2, value ^ bit))
            else:
                add(m.start(1), m.end(1), str(value + 1 if n % 2 or value == 0 else value - 1))
        # two neighbours of a list change places: shuffles and tables
        for a, b in zip(numbers, numbers[1:]):
            if len(numbers) >= 8 and a.group(1) != b.group(1) and re.fullmatch(r",\s*", code[a.end():b.start()]):
                add(a.start(), b.end(), b.group(0) + code[a.end():b.start()] + a.group(0))
    return found
