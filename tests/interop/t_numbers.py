# SPDX-License-Identifier: MIT
"""Options that change numbers, each against the oracle: scale rules, presets, non-finite values, rules, dtypes, threads."""
import json
import os

import numpy as np
import torch
from safetensors.torch import load_file

import oracle_archive
import oracle_numbers as on
import samples
import spine
from harness import mxq, test

EVERY_RULE = ('auto', 'floor', 'ceil', 'even', 'rceil', 'rceil-725', 'mse')


def quantize(folder, tensors, tag, *args, code=0):
    source = os.path.join(folder, 'in.safetensors')
    if not os.path.exists(source):
        samples.write(source, tensors)
    out = os.path.join(folder, tag + '.pt2')
    return out, mxq('quantize', source, '-o', out, *args, code=code)


@test('every scale rule gives the bits of the oracle for every format it goes with, and is refused with the others')
def matrix(c, folder):
    tensors = {n: t for n, t in samples.numbers().items()}
    rng = np.random.default_rng(11)
    near = (rng.standard_normal((2048, 32)) * np.exp2(rng.integers(-3, 3, (2048, 1)))).astype(np.float32)
    near[:, 0] = 1.9375 + rng.standard_normal(2048) / 16
    tensors['near_ties'] = torch.from_numpy(near.reshape(64, -1))
    for fmt, element in on.FORMATS.items():
        for rule in EVERY_RULE:
            out, done = quantize(folder, tensors, f'{fmt}-{rule}', '--format', fmt, '--scale-rule', rule, code=None)
            if rule not in on.RULES[element]:
                c.equal(done.returncode, 1, f'{fmt} {rule} must be refused; {done.stderr[:100]!r}')
                c(b'auto' in done.stderr and b'floor' in done.stderr and not os.path.exists(out), f'{fmt} {rule}: the refusal names the allowed rules: {done.stderr!r}')
                continue
            if c.equal(done.returncode, 0, f'{fmt} {rule}: {done.stderr[:300]!r}'):
                spine.check_archive(c, out, fmt, tensors, {n: spine.expect(fmt, t, rule) for n, t in tensors.items()}, {'rule': rule})
                c.equal(mxq('verify', out, code=None).returncode, 0, f'{fmt} {rule}: verify')


@test('the presets ocp and torchao are their rules, in every block, and --scale-rule overrides them')
def presets(c, folder):
    tensors = samples.numbers()
    for fmt, element in on.FORMATS.items():
        for preset, rule in (('ocp', None), ('torchao', None), ('torchao', 'rceil'), ('torchao', 'even'), ('torchao', 'ceil'), ('ocp', 'auto')):
            args = ('--format', fmt, '--compat', preset) + (('--scale-rule', rule) if rule else ())
            out, done = quantize(folder, tensors, f'{fmt}-{preset}-{rule}', *args, code=None)
            if element == 'int8' and preset == 'torchao':
                c.equal(done.returncode, 1, f'{fmt} {preset} {rule}: torchao has no int8; {done.stderr[:100]!r}')
                continue
            if c.equal(done.returncode, 0, f'{fmt} {preset} {rule}: {done.stderr[:200]!r}'):
                spine.check_archive(c, out, fmt, tensors, {n: spine.expect(fmt, t, rule or 'floor') for n, t in tensors.items()}, {'rule': rule or 'floor', 'compat': preset})


def nonfinite():
    out = {}
    for dtype in samples.QUANTIZABLE:
        x = samples.gauss(50, 16, 96, dtype=dtype, spread=1)
        x[0, 5], x[3, 40], x[3, 41], x[5, 95] = torch.inf, -torch.inf, torch.inf, torch.inf
        x[7, :32] = 0
        x[7, 3], x[7, 9] = torch.inf, -0.0
        x[8, 32:64] = -torch.inf
        out[f'inf.{samples.SHORT[dtype]}'] = x
        out[f'ragged.{samples.SHORT[dtype]}'] = torch.cat([x, x], 1)[:, :-7].contiguous()
    return out


@test('--nonfinite error names tensor and index, block gives byte 255 and zero codes, saturate gives the largest code')
def policies(c, folder):
    tensors = nonfinite()
    for fmt, element in on.FORMATS.items():
        for rule in on.RULES[element]:
            for policy in ('block', 'saturate'):
                out, done = quantize(folder, tensors, f'{fmt}-{rule}-{policy}', '--format', fmt, '--scale-rule', rule, '--nonfinite', policy, code=None)
                if c.equal(done.returncode, 0, f'{fmt} {rule} {policy}: {done.stderr[:200]!r}'):
                    expected = {n: spine.expect(fmt, t, rule, policy) for n, t in tensors.items()}
                    spine.check_archive(c, out, fmt, tensors, expected, {'rule': rule, 'nonfinite': policy})
    out, done = quantize(folder, tensors, 'error', '--format', 'mxfp4', code=2)
    c(any(n.encode() in done.stderr for n in tensors) and b'5' in done.stderr and not os.path.exists(out), f'message of error: {done.stderr!r}')
    for i, (what, policy) in enumerate([(torch.nan, 'saturate'), (torch.nan, 'error'), (-torch.inf, 'error')]):
        x = samples.gauss(51, 40, 100)
        x[31, 77] = what
        source = samples.write(os.path.join(folder, f'n{i}.safetensors'), {'a.fine': samples.gauss(1, 4, 32), 'b.bad': x})
        out = os.path.join(folder, f'n{i}.pt2')
        done = mxq('quantize', source, '-o', out, '--format', 'mxfp8', '--nonfinite', policy, code=2)
        c(b'b.bad' in done.stderr and b'3177' in done.stderr and not os.path.exists(out), f'{what} {policy}: {done.stderr!r}')
    x = samples.gauss(52, 4, 96)
    x[1, 40], x[2, 95] = torch.nan, -torch.nan
    for fmt in on.FORMATS:
        os.makedirs(os.path.join(folder, fmt))
        spine.run(c, os.path.join(folder, fmt), fmt, {'w': x, 'h': x.to(torch.bfloat16), 'kept': torch.tensor([torch.nan, torch.inf])}, nonfinite='block', args=('--nonfinite', 'block'))
    kept = samples.write(os.path.join(folder, 'kept.safetensors'), {'bias': torch.tensor([torch.nan, torch.inf]), 'w': samples.gauss(1, 4, 32)})
    mxq('quantize', kept, '-o', os.path.join(folder, 'kept.pt2'), '--format', 'mxfp4')


@test('--dtype computes in f32 and rounds once, and counts what became infinite')
def dtypes(c, folder):
    tensors = {n: t for n, t in samples.numbers().items()}
    tensors['kept.bias'], tensors['kept.int'] = samples.gauss(1, 5), torch.arange(5)
    for fmt in on.FORMATS:
        expected = {n: spine.expect(fmt, t, 'floor') for n, t in tensors.items()}
        out, _ = quantize(folder, tensors, fmt, '--format', fmt, '--scale-rule', 'floor')
        for name, dtype in (('f32', torch.float32), ('bf16', torch.bfloat16), ('f16', torch.float16), ('source', None)):
            back = os.path.join(folder, f'{fmt}.{name}.safetensors')
            mxq('dequantize', out, '-o', back, '--dtype', name)
            got = load_file(back)
            for n, e in expected.items():
                if e:
                    spine.same(c, f'{fmt} {name} {n}', got[n], spine.decoded(fmt, tensors[n], *e, dtype=dtype))
            c(samples.bits(got['kept.int']) == samples.bits(tensors['kept.int']), f'{fmt} {name}: integers changed')


@test('rules decide first match wins, searched, split at the last =, and one that matches nothing is refused')
def rules(c, folder):
    tensors = {'blocks.0.up.weight': samples.gauss(1, 8, 64), 'blocks.0.down.weight': samples.gauss(2, 8, 64), 'blocks.1.up.weight': samples.gauss(3, 8, 64),
               'head.weight': samples.gauss(4, 8, 64), 'a=b': samples.gauss(5, 4, 64), 'norm.weight': samples.gauss(6, 64)}
    def formats(path):
        archive = oracle_archive.Archive(path)
        return {n: t['format'] for n, t in archive.mx['tensors'].items()}
    out, _ = quantize(folder, tensors, 'r1', '--format', 'mxfp4', '--rule', 'head=none', '--rule', r'blocks\.0\.=mxfp8', '--rule', 'up=mxint8', '--rule', 'a=b=mxfp6-e3m2')
    c.equal(formats(out), {'blocks.0.up.weight': 'mxfp8-e4m3', 'blocks.0.down.weight': 'mxfp8-e4m3', 'blocks.1.up.weight': 'mxint8', 'a=b': 'mxfp6-e3m2'}, 'rules')
    out, _ = quantize(folder, tensors, 'r2', '--rule', '(?i)UP=mxfp6')
    c.equal(formats(out), {'blocks.0.up.weight': 'mxfp6-e2m3', 'blocks.1.up.weight': 'mxfp6-e2m3'}, 'rules without --format')
    out, _ = quantize(folder, tensors, 'r3', '--format', 'none', '--rule', '^norm=mxfp8-e5m2')
    c.equal(formats(out), {'norm.weight': 'mxfp8-e5m2'}, 'a rule quantizes a vector')
    e = spine.expect('mxfp8-e5m2', tensors['norm.weight'], force=True)
    c(oracle_archive.Archive(out).read('data/weights/' + oracle_archive.Archive(out).weights['norm.weight_codes']['path_name']) == e[0].tobytes(), 'codes of the vector')
    spine.same(c, 'vector in PyTorch', spine.load(out).module()()['norm.weight'], spine.decoded('mxfp8-e5m2', tensors['norm.weight'], *e))
    listed = os.path.join(folder, 'rules.json')
    with open(listed, 'w') as f:
        json.dump(['head=none', {'regex': '.', 'format': 'mxfp4'}], f)
    out, _ = quantize(folder, tensors, 'r4', '--rules', listed)
    c.equal(set(formats(out)), set(tensors) - {'head.weight'}, 'rules of a file')
    for args in (('--format', 'mxfp4', '--rule', 'nothing_like_it=none'), ('--rule', 'up=mxfp5'), ('--rule', '(=mxfp4'), ('--rule', 'up'), (), ('--format', 'mxfp3'),
                 ('--format', 'mxfp4', '--scale-rule', 'best'), ('--format', 'mxfp4', '--compat', 'nobody'), ('--format', 'mxfp4', '--nonfinite', 'maybe'),
                 ('--format', 'mxfp4', '--frobnicate'), ('--format', 'mxfp4', '--align', '3'), ('--format', 'mxfp4', '--graph', 'some')):
        out, done = quantize(folder, tensors, 'bad', *args, code=None)
        c(done.returncode == 1 and done.stderr and not os.path.exists(out), f'{args}: exit {done.returncode} {done.stderr[:120]!r}')


@test('the same bytes come out whatever the threads and the name of the output')
def reproducible(c, folder):
    tensors = {**samples.shapes(), **{f'w{i}': samples.gauss(i, 300, 257) for i in range(8)}}
    for args in (('--format', 'mxfp4'), ('--format', 'mxfp6', '--scale-rule', 'mse'), ('--format', 'none'), ('--format', 'mxint8', '--align', '4096', '--root', 'räum', '--graph', 'none')):
        seen = []
        for j, name in ((1, 'a'), (2, 'another name'), (7, 'ö')):
            out, _ = quantize(folder, tensors, name + args[1], '-j', str(j), *args)
            seen.append(open(out, 'rb').read())
        c(seen[0] == seen[1] == seen[2], f'{args}: archives differ')
        root, align = ('räum', 4096) if '--root' in args else ('model', 64)
        oracle_archive.Archive(out, align=align, root=root, ours=True)
        back = [mxq('dequantize', out, '-o', os.path.join(folder, f'b{args[1]}{j}'), '-j', str(j)) and open(os.path.join(folder, f'b{args[1]}{j}'), 'rb').read() for j in (1, 2)]
        c(back[0] == back[1], f'{args}: dequantize differs')
        result = spine.load(out).module()()
        c(not isinstance(result, dict) or set(result) == set(tensors), f'{args}: PyTorch')


@test('--ragged keep leaves tensors whose rows are no multiple of 32')
def ragged(c, folder):
    tensors = samples.shapes()
    out, _ = quantize(folder, tensors, 'keep', '--format', 'mxfp8', '--ragged', 'keep')
    archive = oracle_archive.Archive(out)
    c.equal(set(archive.mx['tensors']), {n for n, t in tensors.items() if spine.expect('mxfp8-e4m3', t, ragged='keep')}, 'quantized')


@test('F4 and F6 tensors are kept byte for byte and get their dtype back')
def narrow(c, folder):
    parts = {'four': ('F4', [4, 64], bytes(range(128))), 'six': ('F6_E2M3', [2, 32], bytes(range(100, 148))), 'three': ('F6_E3M2', [4, 4], bytes(range(12))), 'w': ('F32', [2, 32], samples.gauss(1, 2, 32).numpy().tobytes()),
             'nothing': ('F4', [0, 2], b'')}
    header, data = {'__metadata__': {'a': 'b'}}, b''
    for name, (dtype, shape, raw) in parts.items():
        header[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    source, out, back = (os.path.join(folder, n) for n in ('s.safetensors', 'o.pt2', 'b.safetensors'))
    with open(source, 'wb') as f:
        f.write(len(text).to_bytes(8, 'little') + text + data)
    for fmt in ('mxfp4', 'none'):
        mxq('quantize', source, '-o', out, '-f', '--format', fmt)
        archive = oracle_archive.Archive(out)
        c.equal(set(archive.mx['tensors']), {'w'} - {fmt == 'none' and 'w'}, 'manifest')
        c.equal({n: (k['dtype'].lower(), k['shape']) for n, k in archive.mx.get('kept', {}).items()}, {n: (p[0].lower(), p[1]) for n, p in parts.items() if p[0] != 'F32'}, 'mx.kept')
        result = spine.load(out).module()()
        for n, (dtype, shape, raw) in parts.items():
            if dtype != 'F32':
                c(result[n].dtype == torch.uint8 and samples.bits(result[n]) == raw, f'{n}: {result[n].dtype} {tuple(result[n].shape)} in PyTorch')
        mxq('verify', out)
        mxq('dequantize', out, '-o', back, '-f')
        with open(back, 'rb') as f:
            seen = json.loads(f.read(int.from_bytes(f.read(8), 'little')))
            body = f.read()
        for n, (dtype, shape, raw) in parts.items():
            if n == 'w' and fmt != 'none':
                continue
            a, b = seen[n]['data_offsets']
            c.equal((seen[n]['dtype'], seen[n]['shape'], body[a:b]), (dtype, shape, raw), f'{fmt}: {n} on the way back')


@test('what is MX already is never encoded again')
def twice(c, folder):
    tensors = samples.shapes()
    for fmt in ('mxfp4', 'mxint8'):
        out, _ = quantize(folder, tensors, fmt, '--format', fmt)
        again = os.path.join(folder, fmt + '.again.pt2')
        done = mxq('quantize', out, '-o', again, '--format', fmt)
        c(b'already' in done.stderr or b'MX' in done.stderr, f'reported as such: {done.stderr!r}')
        a, b = oracle_archive.Archive(out), oracle_archive.Archive(again)
        c(a.mx['tensors'].keys() == b.mx['tensors'].keys(), 'tensors')
        for n, t in a.mx['tensors'].items():
            for role in ('codes', 'scales'):
                one, two = (x.payload(y['tensors'][n][role])[2] for x, y in ((a, a.mx), (b, b.mx)))
                c(a.raw[one.offset:one.offset + one.size] == b.raw[two.offset:two.offset + two.size], f'{n} {role}')
        c(mxq('quantize', out, '-o', again, '-f', '--rule', 'linear.weight=mxfp8', code=None).returncode == 1, 'a rule of another format for an MX tensor')
        spine.same(c, 'again in PyTorch', spine.load(again).module()()['experts'], spine.load(out).module()()['experts'])
        copy = os.path.join(folder, fmt + '.copy.pt2')
        mxq('quantize', out, '-o', copy, '--format', 'none')
        c(open(copy, 'rb').read() == open(out, 'rb').read(), 'a copy of our own archive is the same file')
