# SPDX-License-Identifier: MIT
"""Hostile and odd files with verdicts, through the command: read, refuse, or either; never a crash, never a silent wrong value."""
import csv
import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from safetensors.torch import load_file

import samples
import spine
from harness import SHARED, mxq, mxq_json, test


def table(kind, name='labels.tsv'):
    with open(os.path.join(SHARED, 'corpora', kind, name), newline='') as f:
        return {r['file']: r for r in csv.DictReader(f, delimiter='\t', quoting=csv.QUOTE_NONE)}


def files(kind):
    where = os.path.join(SHARED, 'corpora', kind)
    return [os.path.join(where, n) for n in sorted(os.listdir(where)) if not n.endswith('.tsv')]


def sweep(c, folder, kind, expect, commands):
    """Runs each command on each file; `expect` gives read, refuse or either for a file's name."""
    counts = {'read': 0, 'refuse': 0, 'either': 0}

    def one(path):
        out = os.path.join(folder, os.path.basename(path) + '.any')
        return path, [(a, mxq(*a, path, *(('-o', out) if a[0] == 'dequantize' else ()), code=None)) for a in commands]
    with ThreadPoolExecutor(3) as pool:
        for path, results in pool.map(one, files(kind)):
            name = os.path.basename(path)
            want = expect(name)
            counts[want] += 1
            for args, done in results:
                what = f'{" ".join(args)} {kind}/{name}'
                allowed = (0, 2, 4) if args[0] == 'verify' else (0, 1, 2) if args[0] == 'dequantize' else (0, 2)  # 1: no dtype of safetensors
                c(done.returncode in allowed and (done.returncode == 0 or done.stderr), f'{what}: exit {done.returncode} {done.stderr[-200:]!r}')
                if want == 'read' and args[0] != 'dequantize':  # not every dtype can go to safetensors; compared below
                    c(done.returncode == 0, f'{what} must be read: {done.stderr[:300]!r}')
                elif want == 'refuse' and args != ('inspect',):  # which reads no data; verify does
                    c(done.returncode != 0, f'{what} must be refused')
    c.note(f'{kind}: ' + ', '.join(f'{n} {k}' for k, n in counts.items()))


def here(c):
    if SHARED:
        return True
    c(True, '')
    c.note('the corpora are not here (MXQ_SHARED is not set): not run')
    return False


@test('zip files: what every tool reads is read, what every tool refuses is refused')
def zips(c, folder):
    if not here(c):
        return
    labels = table('zip')
    sweep(c, folder, 'zip', lambda n: labels[n]['expect'], [('inspect', '--as', 'zip')])


@test('JSON texts: y_ is read, n_ is refused, fuzzed ones as RFC 8259 has it')
def texts(c, folder):
    if not here(c):
        return
    sweep(c, folder, 'json', lambda n: {'y': 'read', 'n': 'refuse', 'i': 'either'}[n[0]], [('inspect', '--as', 'json')])
    labels = table('json-fuzz')

    def fuzz(name):
        row = labels[name]
        if row['verdict'] == 'invalid':
            return 'refuse'
        return 'read' if set(row['notes'].split(',')) <= {'-', 'scalar-document', 'minus-zero'} and int(row['depth']) <= 64 else 'either'
    sweep(c, folder, 'json-fuzz', fuzz, [('inspect', '--as', 'json')])


@test('safetensors, npy and pt2 files with one defect each are refused, good ones are read with the values of their own clients')
def defects(c, folder):
    if not here(c):
        return
    for kind in ('safetensors', 'npy', 'pt2'):
        labels = table(kind)

        sweep(c, folder, kind, lambda n: labels[n]['ours'], [('verify',), ('inspect',), ('dequantize',)])
        compared = 0
        for path in files(kind):
            name = os.path.basename(path)
            if not name.startswith('good_'):
                continue
            out = os.path.join(folder, name + '.out.safetensors')
            done = mxq('dequantize', path, '-o', out, code=None)
            want = client(kind, path)
            if want is None:
                continue
            if done.returncode:
                storable = all(t.dtype in samples.SHORT or 'float8' in str(t.dtype) for t in want.values())
                c(not storable, f'{name}: dequantize: {done.stderr[:200]!r}')
                continue
            got = load_file(out)
            for n in set(got) & set(want):
                spine.same(c, f'{name} {n}', got[n], want[n])
                compared += 1
            lost = set(want) - set(got)
            c(not lost or kind == 'pt2' and lost <= hidden(path), f'{name}: {lost} not in what dequantize wrote, {set(got)}')
        c.note(f'{kind}: {compared} tensors of good files compared')


def hidden(path):
    """What a manifest takes together (codes and scales), and constants."""
    ep = spine.load(path)
    custom = ep.graph_module.meta.get('custom', {})
    mx = custom.get('mx', {}) if isinstance(custom, dict) else {}
    return {t[r] for t in mx.get('tensors', mx).values() if isinstance(t, dict) for r in ('codes', 'scales') if r in t} | set(ep.constants)


def client(kind, path):
    """name -> tensor by the format's own client, or None where it does not open the file."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            if kind == 'safetensors':
                return load_file(path)
            if kind == 'pt2':
                ep = torch.export.load(path)
                return {**ep.state_dict, **ep.constants}
            value = np.load(path, allow_pickle=False)
            arrays = dict(value) if hasattr(value, 'files') else {os.path.basename(path)[:-4]: value}
            return {n: torch.from_numpy(np.ascontiguousarray(v.astype(v.dtype.newbyteorder('='))).reshape(v.shape)) for n, v in arrays.items()}
        except Exception:
            return None


@test('inspect --json lists the same tensors as the clients do')
def listed(c, folder):
    if not here(c):
        return
    for path in files('safetensors'):
        if os.path.basename(path).startswith('good_') and 'f4' not in path and client('safetensors', path) is not None:  # torch halves the last size of F4
            seen = {t['name']: t for t in mxq_json('inspect', path)['tensors']}
            c.equal({n: t['shape'] for n, t in seen.items()}, {n: list(t.shape) for n, t in client('safetensors', path).items()}, os.path.basename(path))
