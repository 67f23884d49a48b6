#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table of the README: what each format costs the language model of testdata, measured in PyTorch on the programs themselves.

  MXQUANT=/path/to/mxquant python tests/interop/perplexity.py [FORMAT...]      from the root of the repository

Each row is a program that torch.export.load opens: the source, and what `mxquant quantize` makes of it.
"""
import importlib.util
import json
import math
import os
import sys
import tempfile
import time

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import oracle_numbers as on  # noqa: E402
import spine  # noqa: E402
from harness import mxq_json  # noqa: E402

SOURCE = 'testdata/model.pt2'


def recipe():
    spec = importlib.util.spec_from_file_location('make_model', 'testdata/make_model.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    torch.set_num_threads(2)
    m = recipe()
    with open('testdata/heldout.txt') as f:
        text = f.read().rstrip('\n')
    with open('testdata/tokenizer.json') as f:
        tokens = m.Tokenizer(json.load(f)).encode(text.split('\n\n'))
    print('| weights | bits per weight | bytes of the program | loss, nats per token | perplexity | more than the source | load in PyTorch |')
    print('|---|---:|---:|---:|---:|---:|---:|')
    base = None
    with tempfile.TemporaryDirectory(prefix='mxq-perplexity-') as folder:
        for fmt in ['source', *(sys.argv[1:] or on.FORMATS)]:
            path, bits = SOURCE, 32.0
            if fmt != 'source':
                path = os.path.join(folder, fmt + '.pt2')
                seen = mxq_json('quantize', SOURCE, '-o', path, '--format', fmt)
                bits = next(v for v in numbers(seen, 'bits_per_weight'))
            times = []
            for _ in range(3):
                start = time.perf_counter()
                module = spine.load(path).module()
                times.append(time.perf_counter() - start)
            seconds = min(times)
            loss = m.held_out_loss(module, tokens) / (len(tokens) - 1)
            base = base or loss
            print(f'| {"f32 (source)" if fmt == "source" else fmt} | {bits:.2f} | {os.path.getsize(path):,} | {loss:.4f} | {math.exp(loss):.3f} | '
                  f'{"" if fmt == "source" else f"{100 * (math.exp(loss - base) - 1):+.2f} %"} | {seconds:.2f} s |', flush=True)


def numbers(value, key):
    if isinstance(value, dict):
        for k, v in value.items():
            if k == key and isinstance(v, (int, float)):
                yield v
            yield from numbers(v, key)
    elif isinstance(value, list):
        for v in value:
            yield from numbers(v, key)


if __name__ == '__main__':
    main()
