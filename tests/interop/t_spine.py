# SPDX-License-Identifier: MIT
"""The spine: weights in, an archive that PyTorch opens out, the right bits everywhere."""
import os
import re
import subprocess
import sys
import warnings

import torch

import oracle_archive
import oracle_numbers as on
import samples
import spine
from harness import mxq, mxq_json, test

META = {'format': 'pt', 'note': 'näïve "quoted" \\ back\nline', 'empty': '', '': 'no key'}


def each_format(sentence, tensors, **options):
    for fmt in on.FORMATS:
        def body(c, folder, fmt=fmt):
            spine.run(c, folder, fmt, tensors(), **options)
        test(f'{fmt}: {sentence}')(body)


each_format('every finite corner of f32, bf16 and f16 reads the same in PyTorch, in dequantize and in the oracle', samples.numbers)
each_format('ragged, 3-D, convolution, short, empty, 0-d and integer tensors all come back', samples.shapes, metadata=META)


@test('names that PyTorch can and cannot hold come back under their true keys')
def names(c, folder):
    spine.run(c, folder, 'mxfp8-e4m3', samples.awkward_names(), metadata={'ключ': '値', 'a': '\x01\x7f'})
    spine.run(c, folder, 'mxfp4', samples.awkward_names(), resave=False, graph='none', args=('--graph', 'none'))
    for kind, fmt in (('quantized', 'mxint8'), ('kept', 'mxfp8-e5m2')):
        spine.run(c, folder, fmt, {**samples.awkward_names(kind), 'zzz.w': samples.gauss(2, 1, 32)})


@test('each awkward name works as the only kept tensor before a quantized one')
def alone(c, folder):
    for i, name in enumerate(samples.awkward_names()):
        where = os.path.join(folder, str(i))
        os.mkdir(where)
        try:
            spine.run(c, where, 'mxfp6-e3m2', {name: samples.gauss(1, 3), 'zzz.w': samples.gauss(2, 1, 32)}, resave=False)
        except Exception as error:
            c(False, f'{name!r}: {type(error).__name__}: {error}')


@test('every attribute of a module and every keyword of Python can be a component of a name')
def words(c, folder):
    module, graph = samples.torch_words()
    tensors = {}
    for i, word in enumerate(module + graph):
        make = (lambda j: samples.gauss(j, 1, 32)) if i % 8 == 0 else (lambda j: samples.gauss(j, 2))
        if i % 2:
            tensors[word] = make(2 * i)
        else:
            tensors[f'{word}.w'] = make(2 * i)
        tensors[f'x{i % 5}.{word}.w' if i % 3 else f'x{i % 5}.{word}'] = make(2 * i + 1)
    c.note(f'{len(module)} words of modules and Python, {len(graph)} of GraphModule only')
    spine.run(c, folder, 'mxfp8-e5m2', tensors, resave=False)


@test('a kept tensor and a quantized one may have any of 70 dimensions or be refused clearly')
def dimensions(c, folder):
    for n in (8, 25, 63, 64, 65, 70):
        shape = (1,) * (n - 2) + (2, 64)
        t = samples.gauss(n, 2, 64).reshape(shape)
        source = os.path.join(folder, f'{n}.safetensors')
        samples.write(source, {'w': t, 'v': torch.arange(2).reshape((1,) * (n - 1) + (2,))}) 
        out, back = os.path.join(folder, f'{n}.pt2'), os.path.join(folder, f'{n}.back.safetensors')
        done = mxq('quantize', source, '-o', out, '--format', 'mxfp4', code=None)
        c(done.returncode in (0, 1, 2), f'{n} dimensions: exit {done.returncode} {done.stderr[:200]}')
        if n <= 64:
            c.equal(done.returncode, 0, f'{n} dimensions, which PyTorch holds: exit; {done.stderr[:200]!r}')
        if done.returncode:
            c(not os.path.exists(out) and b'dimension' in done.stderr, f'{n} dimensions: message {done.stderr[:200]}')
            c.note(f'{n} dimensions: {done.stderr.decode().strip()[:150]}')
            continue
        mxq('verify', out)
        mxq('dequantize', out, '-o', back)
        codes, scales, axes = spine.expect('mxfp4', t)
        want = spine.decoded('mxfp4', t, codes, scales, axes)
        got = spine.load_file(back)['w']
        spine.same(c, f'{n} dimensions', got, want)
        if n <= 25:  # PyTorch's own iterators end at 25 broadcast dimensions plus blocks
            spine.same(c, f'{n} dimensions in PyTorch', spine.load(out).module()()['w'], want)


@test('an archive of more than 512 quantized tensors holds its codes and returns nothing; --graph each overrides')
def many(c, folder):
    tensors = {f'layer{i // 40}.block.{i}.weight': samples.gauss(i, 1, 32 + i % 3) for i in range(600)}
    out = spine.run(c, folder, 'mxfp4', tensors, resave=True)
    summary = mxq('quantize', os.path.join(folder, 'mxfp4-600.safetensors'), '-o', out + '2', '--format', 'mxfp4')
    c(b'graph' in summary.stderr.lower() or b'program' in summary.stderr.lower(), f'the summary does not say that the program returns nothing: {summary.stderr!r}')
    few = dict(list(tensors.items())[:512])
    spine.run(c, folder, 'mxfp8-e4m3', few, resave=False, torch_side=False)
    c(len(oracle_archive.Archive(os.path.join(folder, 'mxfp8-e4m3-512.pt2')).model['graph_module']['graph']['nodes']) > 512, '512 tensors are not decoded each')


@test('an empty file of tensors makes an archive that PyTorch opens')
def nothing(c, folder):
    for tensors in ({}, {'only.bias': torch.ones(3)}, {'n': torch.zeros(0, 4)}):
        source, out, back = (os.path.join(folder, f'{len(tensors)}{"".join(tensors)}' + x) for x in ('.safetensors', '.pt2', '.back.safetensors'))
        samples.write(source, tensors)
        done = mxq('quantize', source, '-o', out, '--format', 'mxfp4', code=None)
        if not c.equal(done.returncode, 0, f'{len(tensors)} tensors: {done.stderr[:200]!r}'):
            continue
        mxq('verify', out)
        result = spine.load(out).module()()
        if tensors:
            c.equal(set(result), set(tensors), 'keys')
        mxq('dequantize', out, '-o', back)
        spine.check_back(c, back, tensors, tensors)


@test('the dictionary that the archive returns loads into a module of those names')
def state_dict(c, folder):
    model = torch.nn.Sequential(torch.nn.Linear(40, 16), torch.nn.Conv2d(8, 4, 3), torch.nn.Embedding(10, 64), torch.nn.LayerNorm(64)).to(torch.bfloat16)
    path = spine.run(c, folder, 'mxfp6-e3m2', {n: t.detach() for n, t in model.state_dict().items()})
    before = {n: t.clone() for n, t in model.state_dict().items()}
    missing = model.load_state_dict(spine.load(path).module()(), strict=True)
    c(not missing.missing_keys and not missing.unexpected_keys, str(missing))
    c(any(not torch.equal(before[n], t) for n, t in model.state_dict().items()), 'nothing was loaded')


@test('an archive goes through unflatten and run_decompositions with the same values')
def transformed(c, folder):
    tensors = {'a.w': samples.gauss(1, 4, 40), 'a.b': samples.gauss(2, 4), 'c.w': samples.gauss(3, 3, 2, 64, dtype=torch.bfloat16), 'type.w': samples.gauss(4, 3, 32)}
    for fmt in on.FORMATS:
        out = spine.run(c, folder, fmt, tensors)
        want = spine.load(out).module()()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            flat, lower = torch.export.unflatten(spine.load(out))(), spine.load(out).run_decompositions().module()()
        for other, how in ((flat, 'unflatten'), (lower, 'run_decompositions')):
            if c.equal(set(other), set(want), f'{fmt} {how}: keys'):
                for name in want:
                    spine.same(c, f'{fmt} {how} {name}', other[name], want[name])


@test('two rounds of quantizing what dequantize wrote change no value (auto, floor, even, rceil)')
def idempotent(c, folder):
    source = samples.write(os.path.join(folder, 's.safetensors'), {n: t for n, t in samples.numbers().items() if n.endswith(('f32', 'bf16'))})
    for fmt, element in on.FORMATS.items():
        for rule in ('auto', 'floor') + (() if element == 'int8' else ('even', 'rceil')):
            paths = [os.path.join(folder, f'{fmt}-{rule}-{i}') for i in range(4)]
            mxq('quantize', source, '-o', paths[0], '--format', fmt, '--scale-rule', rule)
            mxq('dequantize', paths[0], '-o', paths[1])
            mxq('quantize', paths[1], '-o', paths[2], '--format', fmt, '--scale-rule', rule, '--nonfinite', 'block')
            mxq('dequantize', paths[2], '-o', paths[3])
            first, second = spine.load_file(paths[1]), spine.load_file(paths[3])
            for name, t in first.items():
                a, b = (x.float().reshape(-1, 32) for x in (t, second[name]))
                keep = torch.isfinite(a).all(dim=1)
                c(torch.equal(a[keep], b[keep]), f'{fmt} {rule} {name}: values change in the second round')


@test('the trained model of testdata loses little in each format')
def trained(c, folder):
    outs = {}
    for fmt in on.FORMATS:
        outs[fmt] = os.path.join(folder, fmt + '.pt2')
        seen = mxq_json('quantize', 'testdata/model.safetensors', '-o', outs[fmt], '--format', fmt)
        c(isinstance(seen, dict), 'no summary object')
    model = spine.load_file('testdata/model.safetensors')
    for fmt in on.FORMATS:
        spine.run(c, folder, fmt, model, metadata=spine.safe_open('testdata/model.safetensors', 'pt').metadata(), resave=False)
    done = subprocess.run([sys.executable, 'testdata/make_model.py', '--eval', 'testdata/model.safetensors', outs['mxfp4'], outs['mxfp8-e4m3']], capture_output=True, text=True)
    c.equal(done.returncode, 0, 'make_model.py --eval: ' + done.stderr[-500:])
    for line in done.stdout.splitlines():
        c.note(re.sub(r'\S*/(mxf\S*)', r'\1', line))
