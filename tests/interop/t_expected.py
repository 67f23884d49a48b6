# SPDX-License-Identifier: MIT
"""Sample archives with expected values: dtype, shape, strides, offset, kind and values of every tensor, MX weights decoded."""
import glob
import hashlib
import json
import os

from safetensors.torch import load_file

import make_samples
import programs
import samples
import spine
from harness import SHARED, mxq, mxq_json, test
from t_foreign import NAMES, UNSTORABLE

KINDS = {'parameter': 'parameter', 'buffer': 'buffer', 'non-persistent buffer': 'nonpersistent', 'constant_tensor': 'constant', 'unreferenced': 'unreferenced'}


def matches(c, folder, path):
    name = os.path.basename(path)
    with open(path + '.expected.json') as f:
        e = json.load(f)
    with open(path, 'rb') as f:
        raw = f.read()
    mx = e.get('mx') or {}
    mx = {**mx.get('tensors', mx), **e.get('pattern', {})}
    owned = {t[r] for t in mx.values() for r in ('codes', 'scales')}
    listed = {t['name']: t for t in mxq_json('inspect', path)['tensors']}
    # What a pattern takes together is listed as one tensor, which says where its parts stand.
    parts = {t[role + '_name']: t.get(role) for t in listed.values() if t.get('format') for role in ('codes', 'scales')}
    back, values = os.path.join(folder, name + '.safetensors'), {}
    done = mxq('dequantize', path, '-o', back, code=None)
    if any(t['dtype'] in UNSTORABLE for t in e['tensors'].values()):
        c(done.returncode in (0, 1, 2), f'{name}: exit {done.returncode}')
    else:
        c.equal(done.returncode, 0, f'{name}: dequantize: {done.stderr[:200]!r}')
    if done.returncode == 0:
        values = load_file(back)
    compared = 0
    for fqn, t in e['tensors'].items():
        if parts.get(fqn):
            at, size = parts[fqn]['offset'], parts[fqn]['size']
            c(hashlib.sha256(raw[at:at + size]).hexdigest() == t['sha256'], f'{name} {fqn!r}: bytes of codes or scales')
        if fqn in owned or fqn in parts:
            continue
        seen = listed.get(fqn)
        if not c(seen is not None, f'{name}: {fqn!r} is not listed'):
            continue
        offset = seen.get('storage_offset', seen.get('offset'))
        got = (seen.get('dtype'), seen['shape'], seen.get('strides'), offset, seen['kind'])
        c.equal(got, (NAMES[t['dtype']], t['shape'], t['strides'], t['offset'], KINDS[t['kind']]), f'{name} {fqn!r}: dtype, shape, strides, offset, kind')
        sums = []
        if fqn in values:
            sums.append(hashlib.sha256(samples.bits(values[fqn])).hexdigest())
        if seen.get('data') and seen.get('contiguous'):
            at, size = seen['data']['offset'], seen['data']['size']
            sums.append(hashlib.sha256(raw[at:at + size]).hexdigest())
        elif 0 in t['shape']:
            sums.append(hashlib.sha256(b'').hexdigest())
        c(sums or not values, f'{name} {fqn!r}: nowhere to read its values')
        c(all(s == t['sha256'] for s in sums), f'{name} {fqn!r}: values')
        compared += bool(sums)
    for fqn, t in mx.items():
        digest = e['dequantized'][fqn]
        if fqn not in listed or listed[fqn].get('format') is None:
            others = [n for n, x in listed.items() if x.get('format') == t['format'] and x['shape'] == t['shape']]
            if not c('pattern' in e and len(others) >= 1, f'{name}: {fqn!r} ({t["format"]} {t["shape"]}) is not reported as MX: {[(n, x.get("format") or x.get("dtype"), x["shape"]) for n, x in listed.items()][:6]}'):
                continue
            names = others
        else:
            c.equal((listed[fqn]['format'], listed[fqn]['shape']), (t['format'], t['shape']), f'{name} {fqn!r}: format and shape')
            names = [fqn]
        c(any(n in values and hashlib.sha256(samples.bits(values[n].float())).hexdigest() == digest for n in names), f'{name} {fqn!r}: decoded values ({names})')
        compared += 1
    extra = {n for n in set(listed) - set(e['tensors']) - set(mx) if listed[n].get('codes_name') not in e['tensors']}
    c(not extra, f'{name}: lists {extra}')
    c.equal(mxq('verify', path, code=None).returncode, 0, f'{name}: verify')
    return compared


@test('every sample archive has the tensors, strides, kinds and values that are expected of it')
def shared(c, folder):
    if not SHARED:
        c(True, '')
        c.note('the outside samples are not here (MXQ_SHARED is not set): not run')
        return
    paths = sorted(p.removesuffix('.expected.json') for p in glob.glob(os.path.join(SHARED, 'pt2', '*.pt2.expected.json')) if not os.path.basename(p).startswith('g.pt2'))
    total = sum(matches(c, folder, p) for p in paths)
    c.note(f'{len(paths)} archives, {total} tensors')
    c(len(paths) >= 36 and total >= 400, f'{len(paths)} archives and {total} tensors are fewer than there were')


def second(seed):
    @test(f'a second set of samples, made here with seed {seed}, is read as PyTorch reads it, MX weights by manifest and by pattern')
    def body(c, folder):
        made = os.path.join(folder, 'made')
        os.mkdir(made)
        paths = make_samples.make(made, seed)
        c.note(f'{len(paths)} archives, {sum(matches(c, folder, p) for p in paths)} tensors')


second(20)
second(77)


@test('MX weights that others wrote go into our own form without being encoded again, and run the same')
def adopted(c, folder):
    made = os.path.join(folder, 'made')
    os.mkdir(made)
    for path in make_samples.make(made, 5):
        with open(path + '.expected.json') as f:
            e = json.load(f)
        if 'dequantized' not in e:
            continue
        name, out, back = os.path.basename(path), path + '.out.pt2', path + '.out.safetensors'
        done = mxq('quantize', path, '-o', out, '--format', 'mxint8', code=None)
        if not c.equal(done.returncode, 0, f'{name}: {done.stderr!r}'):
            continue
        mxq('verify', out)
        mxq('dequantize', out, '-o', back)
        values = load_file(back)
        sums = {hashlib.sha256(samples.bits(t.float())).hexdigest() for t in values.values()}
        c(set(e['dequantized'].values()) <= sums, f'{name}: values after conversion')
        was, now = spine.load(path), spine.load(out)
        programs.compare(c, name, lambda: now.module(), lambda: was.module(), lambda: [was.example_inputs])
