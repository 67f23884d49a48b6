# SPDX-License-Identifier: MIT
"""Archives that PyTorch and others wrote: read as tensors, decoded, and copied without a change."""
import glob
import hashlib
import json
import os
import shutil
import warnings
import zipfile

import numpy as np
import torch
from safetensors.torch import load_file

import oracle_archive
import oracle_numbers as on
import samples
import spine
from harness import SHARED, mxq, mxq_json, test

NAMES = {'float32': 'f32', 'float64': 'f64', 'float16': 'f16', 'bfloat16': 'bf16', 'uint8': 'u8', 'int8': 'i8', 'int16': 'i16', 'int32': 'i32',
         'int64': 'i64', 'uint16': 'u16', 'uint32': 'u32', 'uint64': 'u64', 'bool': 'bool', 'complex32': 'c32', 'complex64': 'c64', 'complex128': 'c128',
         'float8_e4m3fn': 'f8_e4m3', 'float8_e5m2': 'f8_e5m2', 'float8_e4m3fnuz': 'f8_e4m3fnuz', 'float8_e5m2fnuz': 'f8_e5m2fnuz', 'float8_e8m0fnu': 'f8_e8m0'}
UNSTORABLE = ('complex32', 'complex128')
NO_PROGRAM = ('g.pt2',)


def programs():
    found = sorted(glob.glob(os.path.join(SHARED, 'pt2', '*.pt2'))) if SHARED else []
    return ['testdata/model.pt2'] + [p for p in found if os.path.basename(p) not in NO_PROGRAM]


def expected(path):
    name = path + '.expected.json'
    if os.path.exists(name):
        with open(name) as f:
            return json.load(f)
    ep = spine.load(path)
    tensors = {}
    for fqn, t in {**ep.state_dict, **ep.constants}.items():
        tensors[fqn] = {'dtype': str(t.dtype)[6:], 'shape': list(t.shape), 'sha256': hashlib.sha256(samples.bits(t)).hexdigest(), 'kind': 'parameter' if fqn in ep.state_dict else 'constant'}
    return {'tensors': tensors}


def owned(e, listed):
    """What a manifest, or a decoding pattern, takes together."""
    mx = e.get('mx') or {}
    return {t[r] for t in mx.get('tensors', mx).values() for r in ('codes', 'scales')} | {t[r] for t in listed.values() if t.get('recognised') for r in ('codes_name', 'scales_name')}


@test('inspect lists the tensors of every program archive with their dtypes and shapes')
def inspect(c, folder):
    for path in programs():
        name, e = os.path.basename(path), expected(path)
        seen = mxq_json('inspect', path)
        c.equal((seen.get('schema'), seen.get('container')), (1, 'pt2'), f'{name}: schema and container')
        listed = {t['name']: t for t in seen['tensors']}
        c.equal(len(listed), len(seen['tensors']), f'{name}: distinct names')
        mx = e.get('mx') or {}
        mx = mx.get('tensors', mx)
        for fqn, t in e['tensors'].items():
            if fqn in owned(e, listed):
                continue
            if fqn not in listed:
                c('weight' not in t['kind'] and t['kind'] not in ('parameter', 'buffer', 'unreferenced'), f'{name}: {fqn!r} ({t["kind"]}) is not listed')
                continue
            c.equal((listed[fqn].get('dtype'), listed[fqn]['shape']), (NAMES[t['dtype']], t['shape']), f'{name}: {fqn!r}')
        for fqn, t in mx.items():
            if c(fqn in listed, f'{name}: MX tensor {fqn!r} is not listed'):
                c.equal((listed[fqn].get('format'), listed[fqn]['shape']), (t['format'], t['shape']), f'{name}: {fqn!r}')
        extra = {n for n in set(listed) - set(e['tensors']) - set(mx) if listed[n].get('codes_name') not in e['tensors']}
        c(not extra, f'{name}: lists {extra}, which the archive does not hold')
        c.equal(mxq('verify', path, code=None).returncode, 0, f'{name}: verify')
    c.note(f'{len(programs())} program archives')


@test('dequantize of every program archive gives the values that torch.export.load gives')
def values(c, folder):
    compared = 0
    for path in programs():
        name, e = os.path.basename(path), expected(path)
        out = os.path.join(folder, name + '.safetensors')
        done = mxq('dequantize', path, '-o', out, code=None)
        if any(t['dtype'] in UNSTORABLE for t in e['tensors'].values()):
            c(done.returncode in (0, 1, 2) and (done.returncode == 0 or (b'complex' in done.stderr or b'c32' in done.stderr or b'c128' in done.stderr)), f'{name}: {done.returncode} {done.stderr[:200]}')
            c.note(f'{name}: exit {done.returncode}: {done.stderr.decode().strip()[:140]}')
            continue
        if not c.equal(done.returncode, 0, f'{name}: {done.stderr[:300]!r}'):
            continue
        got = load_file(out)
        recognised = {t['name']: t for t in mxq_json('inspect', path)['tensors'] if t.get('recognised')}
        for fqn, t in got.items():
            if fqn in recognised:
                c(fqn in e.get('dequantized', {}) or recognised[fqn]['shape'] == list(t.shape), f'{name}: {fqn!r} decoded')
            elif fqn in e['tensors']:
                c.equal((str(t.dtype)[6:], list(t.shape), hashlib.sha256(samples.bits(t)).hexdigest()),
                        (e['tensors'][fqn]['dtype'], e['tensors'][fqn]['shape'], e['tensors'][fqn]['sha256']), f'{name}: {fqn!r}')
            else:
                c(fqn in e.get('dequantized', {}), f'{name}: an unknown {fqn!r}')
            compared += 1
        for fqn, digest in e.get('dequantized', {}).items():
            if c(fqn in got, f'{name}: {fqn!r} is missing'):
                c.equal(hashlib.sha256(samples.bits(got[fqn].float())).hexdigest(), digest, f'{name}: decoded {fqn!r}')
    c.note(f'{compared} tensors compared')


def members(path):
    with zipfile.ZipFile(path) as z:
        return [(i.filename.split('/', 1)[1], hashlib.sha256(z.read(i)).hexdigest()) for i in z.infolist()]


def behaviour(ep, args):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return torch.utils._pytree.tree_leaves(ep.module()(*args[0], **args[1]))


@test('a copy of a program archive by --format none has the same members, order and data, and behaves the same')
def copies(c, folder):
    for path in programs():
        name = os.path.basename(path)
        out = os.path.join(folder, name)
        done = mxq('quantize', path, '-o', out, '--format', 'none', code=None)
        if not c.equal(done.returncode, 0, f'{name}: {done.stderr[:300]!r}'):
            continue
        before = [m for m in members(path) if m[0] not in ('extra/mxq_index.txt', 'extra/mxq_digests.json')]
        after = members(out)
        c.equal([m[0] for m in after[-2:]], ['extra/mxq_index.txt', 'extra/mxq_digests.json'], f'{name}: last members')
        c.equal(after[:-2], before, f'{name}: members')
        with zipfile.ZipFile(path) as z:
            root = z.infolist()[0].filename.split('/', 1)[0]
        try:
            oracle_archive.Archive(out, root=root, ours=False)
        except (oracle_archive.Bad, KeyError) as error:
            c(False, f'{name}: {error!r}')
        c.equal(mxq('verify', out, code=None).returncode, 0, f'{name}: verify')
        again = os.path.join(folder, 'again-' + name)
        mxq('quantize', out, '-o', again, '--format', 'none')
        c(open(again, 'rb').read() == open(out, 'rb').read(), f'{name}: a copy of the copy differs')
        was, now = spine.load(path), spine.load(out)
        c.equal(set(now.state_dict), set(was.state_dict), f'{name}: state dict')
        for fqn, t in was.state_dict.items():
            spine.same(c, f'{name} {fqn}', now.state_dict[fqn], t)
        if was.example_inputs is not None:
            for a, b in zip(behaviour(was, was.example_inputs), behaviour(now, now.example_inputs), strict=True):
                same = samples.bits(a) == samples.bits(b) if isinstance(a, torch.Tensor) else a == b
                c(same, f'{name}: other results')


@test('what holds no program, and .pt files, are refused by name of the reason')
def refused(c, folder):
    if not SHARED:
        c.note('MXQ_SHARED is not set: only a made one is tried')
    with zipfile.ZipFile(os.path.join(folder, 'zip.zip'), 'w') as z:
        z.writestr('hello/there', 'x')
    files = [os.path.join(folder, 'zip.zip')] + ([os.path.join(SHARED, 'pt2', n) for n in os.listdir(os.path.join(SHARED, 'pt2')) if n.endswith(('.pt', '.ptl')) or n in NO_PROGRAM] if SHARED else [])
    for path in files:
        for command in (('inspect', path), ('dequantize', path, '-o', os.path.join(folder, 'x.safetensors')), ('quantize', path, '--format', 'mxfp4', '-o', os.path.join(folder, 'x.pt2'))):
            done = mxq(*command, code=2)
            c(os.path.basename(path).encode() in done.stderr, f'{command[0]} {os.path.basename(path)}: {done.stderr!r}')
            c(not path.endswith('.pt') or b'PyTorch' in done.stderr or b'torch' in done.stderr or b'TorchScript' in done.stderr, f'{os.path.basename(path)}: {done.stderr!r}')


@test('a numpy file and an npz file go the same way')
def numpy(c, folder):
    a = {'w': samples.gauss(1, 6, 70).numpy(), 'h': samples.gauss(2, 5, 64).half().numpy(), 'i': np.arange(6).reshape(2, 3), 'd': np.linspace(0, 1, 64).reshape(2, 32), 'b': np.array([True, False]),
         'zero': np.float32(3).reshape(()), 'c64': np.array([1 + 2j], np.complex64), 'fortran': np.asfortranarray(samples.gauss(3, 9, 64).numpy()), 'big': samples.gauss(4, 3, 64).numpy().astype('>f4')}
    for fmt in on.FORMATS:
        for save, tag in ((np.savez, 'npz'), (np.savez_compressed, 'npzc')):
            tensors = {n: v for n, v in a.items() if n != 'big'}
            source, out, back = (os.path.join(folder, f'{tag}{fmt}' + x) for x in ('.npz', '.pt2', '.back'))
            save(source, **tensors)
            mxq('quantize', source, '-o', out, '--format', fmt)
            mxq('dequantize', out, '-o', back)
            got = load_file(back)
            c.equal(set(got), set(tensors), f'{fmt} {tag}: names')
            for n, v in tensors.items():
                t = torch.from_numpy(np.ascontiguousarray(v).reshape(v.shape))
                e = spine.expect(fmt, t)
                spine.same(c, f'{fmt} {tag} {n}', got[n], spine.decoded(fmt, t, *e) if e else t)
    for name in ('fortran', 'h', 'zero'):
        source, out, back = (os.path.join(folder, f'one {name}.x{x}') for x in ('.npy', '.pt2', '.back'))
        np.save(source, a[name])
        mxq('quantize', source, '-o', out, '--format', 'mxfp8')
        mxq('dequantize', out, '-o', back)
        c.equal(set(load_file(back)), {f'one {name}.x'}, 'an .npy holds one tensor, named after the stem')
    np.save(os.path.join(folder, 'big.npy'), a['big'])
    done = mxq('quantize', os.path.join(folder, 'big.npy'), '-o', os.path.join(folder, 'big.pt2'), '--format', 'mxfp8', code=None)
    if done.returncode == 0:
        mxq('dequantize', os.path.join(folder, 'big.pt2'), '-o', os.path.join(folder, 'big.back'))
        t = torch.from_numpy(a['big'].astype('<f4'))
        spine.same(c, 'big endian', load_file(os.path.join(folder, 'big.back'))['big'], spine.decoded('mxfp8-e4m3', t, *spine.expect('mxfp8-e4m3', t)))
    else:
        c(done.returncode == 2 and b'endian' in done.stderr, f'big endian: {done.returncode} {done.stderr!r}')
    np.save(os.path.join(folder, 'o.npy'), np.array([{}], object), allow_pickle=True)
    done = mxq('inspect', os.path.join(folder, 'o.npy'), code=2)
    c(b'object' in done.stderr or b'pickle' in done.stderr, f'object array: {done.stderr!r}')


@test('a sharded checkpoint is read through its index')
def sharded(c, folder):
    parts = [{'a.w': samples.gauss(1, 4, 64), 'a.b': samples.gauss(2, 4)}, {'c.w': samples.gauss(3, 4, 40, dtype=torch.bfloat16)}]
    names = {}
    for i, part in enumerate(parts):
        shard = f'model-{i + 1:05}-of-00002.safetensors'
        samples.write(os.path.join(folder, shard), part, {'format': 'pt'})
        names.update({n: shard for n in part})
    index = os.path.join(folder, 'model.safetensors.index.json')
    with open(index, 'w') as f:
        json.dump({'metadata': {'total_size': 100}, 'weight_map': names}, f)
    out, back = os.path.join(folder, 'o.pt2'), os.path.join(folder, 'o.safetensors')
    mxq('quantize', index, '-o', out, '--format', 'mxfp4')
    mxq('dequantize', out, '-o', back)
    got, tensors = load_file(back), {**parts[0], **parts[1]}
    c.equal(set(got), set(tensors), 'names')
    for n, t in tensors.items():
        e = spine.expect('mxfp4', t)
        spine.same(c, n, got[n], spine.decoded('mxfp4', t, *e) if e else t)
    shutil.move(os.path.join(folder, 'model-00002-of-00002.safetensors'), os.path.join(folder, 'gone'))
    done = mxq('inspect', index, code=2)
    c(b'model-00002-of-00002' in done.stderr, f'missing shard: {done.stderr!r}')
