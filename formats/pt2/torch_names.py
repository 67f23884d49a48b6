# SPDX-License-Identifier: MIT
"""Writes torch_names.h: the names that no component of a parameter's path may have in PyTorch.

    python formats/pt2/torch_names.py > formats/pt2/torch_names.h
    python formats/pt2/torch_names.py --check      exit 1 and the differences when the installed PyTorch has other names

ep.module() sets each part of a path as an attribute of a torch.nn.Module, the first part of a torch.fx.GraphModule that has some more attributes of its own. Its
code then reads them under their normalised names (Python brings identifiers into NFKC), so characters that do not stay as they are cannot be held either.
"""
import keyword
import pathlib
import re
import sys
import unicodedata

import torch


class Empty(torch.nn.Module):
    def forward(self, x):
        return x + 1


def lists():
    module = set(dir(torch.nn.Module()))
    graph = set(dir(torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())))
    graph |= set(dir(torch.export.export(Empty(), (torch.ones(1),)).module()))
    return {'mxq_python_keywords': sorted(keyword.kwlist),
            'mxq_torch_module': sorted(module),
            'mxq_torch_graph_module': sorted(graph - module)}


def unstable():
    """Ranges of characters, possible in identifiers, that NFKC changes or may join with what is before them; characters without a meaning may lie between."""
    joining = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    for c in range(0x110000):
        parts = unicodedata.decomposition(chr(c)).split()
        if len(parts) == 2 and not parts[0].startswith('<'):
            joining.add(int(parts[1], 16))
    ranges, fresh = [], True
    for c in range(0x80, 0x110000):
        s = chr(c)
        if 0xD800 <= c <= 0xDFFF or unicodedata.category(s) == 'Cn' or not ('a' + s).isidentifier():
            continue
        if unicodedata.normalize('NFKC', s) == s and unicodedata.combining(s) == 0 and c not in joining:
            fresh = True
        elif fresh:
            ranges.append([c, c])
            fresh = False
        else:
            ranges[-1][1] = c
    return ranges


def wrapped(words):
    line = ' '
    for word in words:
        if len(line) + len(word) + 2 > 118:
            yield line
            line = ' '
        line += ' %s,' % word
    yield line


def header():
    out = ['/* SPDX-License-Identifier: MIT */',
           '/* Written by torch_names.py with PyTorch %s; sorted by bytes. */' % torch.__version__.split('+')[0],
           '#ifndef MXQ_PT2_TORCH_NAMES_H', '#define MXQ_PT2_TORCH_NAMES_H', '',
           '#include <stdint.h>', '']
    for name, words in lists().items():
        out += ['static const char *const %s[] = {' % name, *wrapped('"%s"' % w for w in words), '};']
    out += ['/* Unicode %s */' % unicodedata.unidata_version, 'static const uint32_t mxq_unstable_characters[][2] = {',
            *wrapped('{0x%X, 0x%X}' % tuple(r) for r in unstable()), '};']
    return '\n'.join(out + ['', '#endif', ''])


def check():
    text = (pathlib.Path(__file__).parent / 'torch_names.h').read_text()
    bad = 0
    for name, words in lists().items():
        body = re.search(r'%s\[\] = \{(.*?)\};' % name, text, re.S).group(1)
        have = re.findall(r'"([^"]*)"', body)
        for word in sorted(set(words) - set(have)):
            print('%s: PyTorch %s has "%s", the list does not' % (name, torch.__version__, word))
            bad = 1
    return bad


if __name__ == '__main__':
    if '--check' in sys.argv:
        sys.exit(check())
    sys.stdout.write(header())
