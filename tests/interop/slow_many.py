# SPDX-License-Identifier: MIT
"""Programs of 20,000 and of 100,000 weights: opened and listed, converted; against torch.export.load."""
import json
import os
import sys

import torch
from safetensors.torch import load_file

import figures
import program_files
import programs
import spine
from harness import mxq, test


@test('the program of 2,000 weights that the test writes is one that PyTorch opens and runs, as is what becomes of it')
def genuine(c, folder):
    path, out, st = (os.path.join(folder, x) for x in ('s.pt2', 'o.pt2', 'o.safetensors'))
    figures.many(path, 2000)
    mxq('quantize', path, '-o', out, '--format', 'mxfp4')
    mxq('dequantize', out, '-o', st)
    x = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    manifest = program_files.Zip(out).manifest['tensors']
    values = {f: t for f, t in load_file(st).items() if f in manifest}
    c.equal(len(values), 200, 'weights that an operator uses')
    spine.same(c, 'output', spine.load(out).module()(x), programs.reference(path, values).module()(x))


def sizes(count, seconds, memory):
    @test(f'{count:,} tensors are opened and listed in {seconds} s and {memory} MB')
    def body(c, folder):
        path, out = os.path.join(folder, 'many.pt2'), os.path.join(folder, 'out.pt2')
        figures.many(path, count)
        run = figures.best(5, 'inspect', path, '--json')
        seen = json.loads(run.out)
        c.equal(len(seen['tensors']), count, 'tensors listed')
        c.note(f'{count:,} tensors, file {os.path.getsize(path) / 2**20:.0f} MiB: inspect --json {run.seconds:.3f} s ({run.cpu:.3f} s of processor), peak {run.peak_anon:.0f} MiB anonymous, {run.peak:.0f} MiB with the pages of the file')
        c(min(run.seconds, run.cpu) <= seconds and run.peak_anon <= memory / 1.048576, f'{run.seconds:.3f} s, {run.peak_anon:.0f} MiB anonymous')
        done = figures.Run('quantize', path, '-o', out, '--format', 'mxfp4', '-q')
        c.note(f'quantize to mxfp4 {done.seconds:.2f} s, peak {done.peak_anon:.0f} MiB anonymous, file {os.path.getsize(out) / 2**20:.0f} MiB')
        done = figures.Run('verify', out)
        c.note(f'verify {done.seconds:.2f} s')
        if count <= 20000:
            done = figures.Run(command=[sys.executable, '-c', figures.LOAD, path])
            c.note(f'torch.export.load {float(done.out):.1f} s, peak {done.peak:.0f} MiB')


sizes(20000, 0.2, 150)
sizes(100000, 0.5, 150)
