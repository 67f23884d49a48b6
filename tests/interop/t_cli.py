# SPDX-License-Identifier: MIT
"""What scripts rely on: JSON, exit codes, streams, files that appear whole or not at all."""
import json
import math
import os
import signal
import stat
import subprocess
import time

import torch

import oracle_numbers as on
import samples
import spine
from harness import MXQUANT, mxq, mxq_json, test


def basic(folder, name='in.safetensors', **more):
    tensors = {'w': samples.gauss(1, 16, 64), 'b': samples.gauss(2, 16), 'h': samples.gauss(3, 8, 40, dtype=torch.bfloat16), **more}
    return tensors, samples.write(os.path.join(folder, name), tensors, {'k': 'v'})


@test('inspect --json has the keys that scripts may rely on, for each kind of file')
def inspect(c, folder):
    tensors, source = basic(folder)
    for fmt, element in on.FORMATS.items():
        out = os.path.join(folder, fmt + '.pt2')
        mxq('quantize', source, '-o', out, '--format', fmt)
        seen = mxq_json('inspect', out)
        c.equal((seen['schema'], seen['container'], os.path.basename(seen['file'])), (1, 'pt2', fmt + '.pt2'), 'head')
        c.equal(seen['bytes'], os.path.getsize(out), 'bytes')
        listed = {t['name']: t for t in seen['tensors']}
        c.equal(set(listed), set(tensors), 'names')
        w = {k: listed['w'].get(k) for k in ('format', 'shape', 'layout', 'axes', 'block', 'scale_rule', 'round', 'source_dtype', 'bytes')}
        c.equal(w, {'format': fmt, 'shape': [16, 64], 'layout': on.LAYOUT[on.CODE_BITS[element]], 'axes': [1, 1], 'block': 32, 'scale_rule': 'auto', 'round': 'rne', 'source_dtype': 'f32',
                    'bytes': on.mx_bytes(element, (16, 64), (1, 1))}, 'w')
        c.equal((listed['b']['dtype'], listed['b']['shape'], listed['b']['bytes']), ('f32', [16], 64), 'b')
        one = mxq_json('inspect', out, '--tensor', 'h')
        c.equal([t['name'] for t in one['tensors']], ['h'], '--tensor')
        c(mxq('inspect', out, '--tensor', 'nobody', code=None).returncode in (1, 2), '--tensor of nobody')
        c(b'w' in mxq('inspect', out).stdout, 'text on stdout')
    seen = mxq_json('inspect', source)
    c.equal((seen['container'], {t['name']: t['dtype'] for t in seen['tensors']}), ('safetensors', {'w': 'f32', 'b': 'f32', 'h': 'bf16'}), 'safetensors')
    c.equal(mxq_json('verify', source).get('schema'), 1, 'verify of safetensors')


@test('compare finds equal, close and different files and says so in JSON, text and exit code')
def compare(c, folder):
    tensors, source = basic(folder)
    out, back = os.path.join(folder, 'a.pt2'), os.path.join(folder, 'a.safetensors')
    mxq('quantize', source, '-o', out, '--format', 'mxfp8')
    mxq('dequantize', out, '-o', back)
    seen = mxq_json('compare', out, back)
    c.equal((seen['schema'], seen['identical']), (1, True), 'archive against what dequantize wrote')
    c(all(t['identical'] and t['sqnr_db'] is None and t['max_abs'] == 0 for t in seen['tensors']), f'equal tensors: {seen["tensors"]}')
    seen = mxq_json('compare', source, out, code=5)
    listed = {t['name']: t for t in seen['tensors']}
    c.equal(set(listed), set(tensors), 'names')
    c(all({'name', 'identical', 'max_abs', 'sqnr_db', 'cosine', 'clipped', 'zeroed'} <= set(t) for t in seen['tensors']), 'keys')
    c.equal((seen['identical'], listed['b']['identical'], listed['w']['identical']), (False, True, False), 'identical')
    w, d = tensors['w'].double(), spine.load_file(back)['w'].double()
    sqnr = 10 * math.log10((w * w).sum() / ((w - d) ** 2).sum())
    c(abs(listed['w']['sqnr_db'] - sqnr) < 1e-6, f'sqnr {listed["w"]["sqnr_db"]} against {sqnr}')
    c(abs(listed['w']['max_abs'] - (w - d).abs().max().item()) <= 1e-12, 'max_abs')
    cosine = ((w * d).sum() / (w.norm() * d.norm())).item()
    c(abs(listed['w']['cosine'] - cosine) < 1e-9, f'cosine {listed["w"]["cosine"]} against {cosine}')
    mxq('compare', source, out, '--min-sqnr', '20')
    mxq('compare', source, out, '--min-sqnr', '60', code=5)
    for width in mxq('compare', source, out, code=5).stdout.decode().splitlines():
        c(len(width) <= 80, f'more than 80 columns: {width!r}')
    other = samples.write(os.path.join(folder, 'other.safetensors'), {'w': tensors['w'], 'new': tensors['b']})
    mxq_json('compare', source, other, code=5)
    mxq_json('compare', source, samples.write(os.path.join(folder, 'shape.safetensors'), {**tensors, 'w': tensors['w'].reshape(64, 16)}), code=5)
    nan = samples.write(os.path.join(folder, 'nan.safetensors'), {'w': tensors['w'] * torch.nan, 'b': tensors['b'] * torch.inf, 'h': tensors['h']})
    mxq_json('compare', source, nan, code=5)
    c.equal(mxq_json('compare', nan, nan)['identical'], True, 'NaN against itself')


@test('plan says what quantize then does, sizes included')
def plan(c, folder):
    tensors = samples.shapes()
    source, out = samples.write(os.path.join(folder, 's.safetensors'), tensors), os.path.join(folder, 'o.pt2')
    for args in (('--format', 'mxfp4'), ('--format', 'none', '--rule', 'conv=mxint8'), ('--format', 'mxfp6', '--graph', 'none')):
        seen = mxq_json('plan', source, *args)
        mxq('quantize', source, '-o', out, '-f', *args)
        archive = spine.oa.Archive(out)
        listed = {t['name']: t for t in seen['tensors']}
        c.equal(set(listed), set(tensors), 'names')
        for n, t in tensors.items():
            want = archive.mx['tensors'][n]['format'] if n in archive.mx['tensors'] else None
            c((want in listed[n].values()) if want else ('keep' in [str(v) for v in listed[n].values()]), f'{n}: {listed[n]}, became {want}')
            c.equal(listed[n]['shape'], list(t.shape), f'{n}: shape')
            c(samples.SHORT[t.dtype] in listed[n].values(), f'{n}: source dtype in {listed[n]}')
        c(os.path.getsize(out) in _numbers(seen), f'{args}: the size of the file, {os.path.getsize(out)}, is not in the totals: { {k: v for k, v in seen.items() if k != "tensors"} }')


def _numbers(value):
    if isinstance(value, dict):
        return [n for v in value.values() for n in _numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in _numbers(v)]
    return [value]


@test('every command speaks valid JSON, keeps data on stdout and words on stderr')
def streams(c, folder):
    tensors, source = basic(folder, d=samples.gauss(4, 4, 64).double(), f=samples.gauss(5, 4, 64).to(torch.float8_e4m3fn))
    out, back = os.path.join(folder, 'o.pt2'), os.path.join(folder, 'o.safetensors')
    done = mxq('quantize', source, '-o', out, '--format', 'mxfp4')
    c(done.stdout == b'' and b'SQNR' in done.stderr.upper() or b'sqnr' in done.stderr, f'summary: {done.stdout!r} {done.stderr!r}')
    c(b'f64' in done.stderr and b'f8_e4m3' in done.stderr.lower() or b'"d"' in done.stderr or b"'d'" in done.stderr, f'f64 and fp8 tensors are named in the report: {done.stderr.decode()}')
    done = mxq('quantize', source, '-o', out, '--format', 'mxfp4', '-f', '--json', '-q')
    seen = json.loads(done.stdout)
    elements = 16 * 64 + 8 * 40
    bpw = 8 * (on.mx_bytes('e2m1', (16, 64), (1, 1)) + on.mx_bytes('e2m1', (8, 40), (1, 1))) / elements
    c(any(isinstance(v, float) and abs(v - bpw) < 1e-3 for v in _numbers(seen)), f'bits per weight {bpw} in {seen}')
    c.equal(seen.get('schema'), 1, 'schema of the quantize summary')
    done = mxq('quantize', source, '-o', out, '--format', 'mxfp4', '-f', '-q')
    c.equal((done.stdout, done.stderr), (b'', b''), 'a quiet run')
    seen = mxq_json('dequantize', out, '-o', back)
    c.equal(seen.get('schema'), 1, 'schema of the dequantize summary')
    done = mxq('quantize', source, '-o', out, '--format', 'mxfp4', '-f', '--progress=json')
    lines = [json.loads(line) for line in done.stderr.decode().splitlines() if line.startswith('{')]
    c(lines and all({'done_bytes', 'total_bytes', 'tensor'} <= set(x) for x in lines), f'progress: {done.stderr[:300]!r}')
    c(lines and lines[-1]['done_bytes'] == lines[-1]['total_bytes'], f'progress ends at the end: {lines[-1:]}')
    seen = mxq_json('verify', out)
    c.equal(seen.get('schema'), 1, 'schema of verify')
    raw = bytearray(open(out, 'rb').read())
    raw[len(raw) // 2] ^= 1
    bad = os.path.join(folder, 'bad.pt2')
    open(bad, 'wb').write(raw)
    seen = mxq_json('verify', bad, code=4)
    c(any(isinstance(v, list) and v for v in seen.values()), f'findings of verify: {seen}')
    c(b'bad.pt2' in mxq('verify', bad, code=4).stderr, 'the damaged file is named')
    for args in (('--help',), ('--version',)) + tuple((x, '--help') for x in ('quantize', 'dequantize', 'inspect', 'verify', 'compare', 'plan', 'bench')):
        done = mxq(*args)
        c(done.stdout and not done.stderr, f'{args}: on stdout')
    for args in ((), ('frobnicate',), ('inspect',), ('quantize', source), ('verify', '--nothing'), ('compare', source)):
        done = mxq(*args, code=1)
        c(done.stderr and not done.stdout, f'{args}: usage on stderr')
    with open('/dev/full', 'w') as full:
        done = subprocess.run([MXQUANT, 'inspect', out, '--json'], stdout=full, stderr=subprocess.PIPE)
        c(done.returncode == 3 and done.stderr, f'stdout full: exit {done.returncode}')


@test('exit codes and files: existing outputs, missing inputs, in == out, unwritable places, interruption')
def files(c, folder):
    tensors, source = basic(folder)
    out = os.path.join(folder, 'o.pt2')
    q = ('quantize', source, '-o', out, '--format', 'mxfp4')
    mxq(*q)
    before = open(out, 'rb').read()
    done = mxq(*q, code=3)
    c(b'-f' in done.stderr and open(out, 'rb').read() == before, f'existing output: {done.stderr!r}')
    mxq(*q, '-f')
    mxq('quantize', os.path.join(folder, 'nobody'), '-o', out + 'x', '--format', 'mxfp4', code=2)
    mxq('quantize', folder, '-o', out + 'x', '--format', 'mxfp4', code=2)
    for name, data in (('empty', b''), ('text', b'hello world, this is no tensor file\n'), ('zeros', bytes(4096)), ('zip', b'PK\5\6' + bytes(18)), ('half', before[:len(before) // 2]),
                       ('lies', (1 << 40).to_bytes(8, 'little') + b'{}'), ('st', b'\x40' + bytes(7) + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}'.ljust(64) + bytes(9))):
        path = os.path.join(folder, name)
        open(path, 'wb').write(data)
        for command in (('inspect', path), ('quantize', path, '-o', out + 'x', '--format', 'mxfp4'), ('dequantize', path, '-o', out + 'x'), ('compare', path, source)):
            done = mxq(*command, code=2)
            c(name.encode() in done.stderr and not os.path.exists(out + 'x'), f'{command[0]} {name}: {done.stderr!r}')
    link, hard = os.path.join(folder, 'link'), os.path.join(folder, 'hard')
    os.symlink(source, link)
    os.link(source, hard)
    for same in (source, link, hard, os.path.join(folder, '.', 'in.safetensors')):
        keep = open(source, 'rb').read()
        mxq('quantize', source, '-o', same, '-f', '--format', 'mxfp4', code=1)
        c(open(source, 'rb').read() == keep, f'in == out through {same}')
    done = mxq('quantize', source, '-o', '-', '--format', 'mxfp4', code=1)
    c(done.stderr and not done.stdout, f'-o -: {done.stderr!r}')
    mxq('quantize', source, '-o', os.path.join(folder, 'no', 'where.pt2'), '--format', 'mxfp4', code=3)
    mxq('quantize', source, '-o', '/dev/full', '-f', '--format', 'mxfp4', code=3)
    c(stat.S_ISCHR(os.stat('/dev/full').st_mode), '/dev/full was replaced')
    mxq('quantize', source, '-o', '/proc/x.pt2', '--format', 'mxfp4', code=3)
    mxq('quantize', source, '-o', folder, '--format', 'mxfp4', code=3)
    named = os.path.join(folder, 'dash')
    os.mkdir(named)
    samples.write(os.path.join(named, '-in.safetensors'), tensors)
    mxq('quantize', '-o', '-out.pt2', '--format', 'mxfp4', '--', '-in.safetensors', cwd=named, code=None)
    c(sorted(os.listdir(folder)) == sorted(set(os.listdir(folder))) and not [n for n in os.listdir(folder) if 'tmp' in n], f'left over: {os.listdir(folder)}')
    big = samples.write(os.path.join(folder, 'big.safetensors'), {f'w{i}': torch.zeros(4096, 8192) for i in range(6)})
    def defaults():  # whoever runs the tests may ignore them
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(s, signal.SIG_DFL)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        listed = set(os.listdir(folder))
        p = subprocess.Popen([MXQUANT, 'quantize', big, '-o', os.path.join(folder, 'big.pt2'), '--format', 'mxfp6', '--scale-rule', 'mse', '-j', '1'], stderr=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=defaults)
        time.sleep(0.15)
        p.send_signal(s)
        _, err = p.communicate(timeout=60)
        c(p.returncode in (128 + s, -s), f'{s!r}: exit {p.returncode} {err[-200:]!r}')
        c(set(os.listdir(folder)) == listed, f'{s!r}: left over {set(os.listdir(folder)) - listed}')
