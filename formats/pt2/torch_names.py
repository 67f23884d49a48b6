# SPDX-License-Identifier: MIT
"""Writes torch_names.h: the names that no component of a parameter's path may have in PyTorch.

    python formats/pt2/torch_names.py > formats/pt2/torch_names.h
    python formats/pt2/torch_names.py --check      exit 1 and the differences when the installed PyTorch has other names

ep.module() sets each part of a path as an attribute of a torch.nn.Module, the first part of a torch.fx.GraphModule.
"""
import keyword
import pathlib
import re
import sys

import torch


def lists():
    module = set(dir(torch.nn.Module()))
    graph = set(dir(torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())))
    return {'mxq_python_keywords': sorted(keyword.kwlist),
            'mxq_torch_module': sorted(module),
            'mxq_torch_graph_module': sorted(graph - module)}


def header():
    out = ['/* SPDX-License-Identifier: MIT */',
           '/* Written by torch_names.py with PyTorch %s; sorted by bytes. */' % torch.__version__.split('+')[0],
           '#ifndef MXQ_PT2_TORCH_NAMES_H', '#define MXQ_PT2_TORCH_NAMES_H', '']
    for name, words in lists().items():
        out.append('static const char *const %s[] = {' % name)
        line = ' '
        for word in words:
            if len(line) + len(word) + 4 > 118:
                out.append(line)
                line = ' '
            line += ' "%s",' % word
        out += [line, '};']
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
