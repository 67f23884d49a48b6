# SPDX-License-Identifier: MIT
"""The sentence encoder as a program, in every format: what it costs to convert, to load, and in quality."""
import os
import statistics
import sys

import torch
from safetensors.torch import load_file

import encoder
import figures
import oracle_numbers as on
import program_files
import program_text
import programs
import spine
from harness import mxq, test


@test('the sentence encoder runs in every format as the source does with our weights, and comes back')
def sentences(c, folder):
    weights = encoder.weights(folder)
    if not weights:
        c(True, '')
        c.note('the package cannot be fetched here: not run')
        return
    path = encoder.export(weights, os.path.join(folder, 'encoder.pt2'))
    inputs = [encoder.example(b, s, 10 * b + s) for b, s in ((1, 5), (4, 33), (3, 128))]

    def load_time(p):
        return statistics.median(float(figures.Run(command=[sys.executable, '-c', figures.LOAD, p]).out) for _ in range(3))
    c.note(f'source: {os.path.getsize(path):,} bytes, torch.export.load {load_time(path):.2f} s')
    run = figures.best(5, 'inspect', path, '--json')
    c.note(f'inspect --json {run.seconds:.3f} s, peak {run.peak_anon:.1f} MiB anonymous')
    a = program_files.Zip(path)
    with torch.no_grad():
        base = [spine.load(path).module()(*x) for x in inputs]
    for fmt in on.FORMATS:
        out, st, back = (os.path.join(folder, fmt + x) for x in ('.pt2', '.safetensors', '.back.pt2'))
        run = figures.best(3, 'quantize', path, '-o', out, '--format', fmt, '-q', '-f')
        mxq('verify', out)
        mxq('dequantize', out, '-o', st)
        mxq('dequantize', out, '-o', back)
        manifest = program_files.Zip(out).manifest['tensors']
        values = {f: t for f, t in load_file(st).items() if f in manifest}
        c.equal(len(values), 39, f'{fmt}: quantized weights')
        programs.compare(c, f'encoder {fmt}', lambda: spine.load(out).module(), lambda: programs.reference(path, values).module(), lambda: [(x, {}) for x in inputs])
        program_text.check_back(c, f'encoder {fmt}', a, back, values)
        with torch.no_grad():
            module = spine.load(out).module()
            cosine = min(torch.nn.functional.cosine_similarity(module(*x), y).min().item() for x, y in zip(inputs, base))
        c.note(f'{fmt}: quantize {run.seconds:.2f} s, peak {run.peak_anon:.1f} MiB anonymous, {os.path.getsize(out):,} bytes ({os.path.getsize(path) / os.path.getsize(out):.2f} times smaller), '
               f'torch.export.load {load_time(out):.2f} s, least cosine of an embedding {cosine:.4f}')
        for p in (st, back):
            os.remove(p)
