# SPDX-License-Identifier: MIT
"""One input through everything: quantize, PyTorch, dequantize, PyTorch again, all compared bit for bit with the oracle."""
import importlib.util
import os
import warnings

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import oracle_archive as oa
import oracle_numbers as on
import samples
from harness import SHARED, Failure, mxq, mxq_json

CODES_DTYPE = {'mxfp4': torch.uint8, 'mxfp6-e2m3': torch.uint8, 'mxfp6-e3m2': torch.uint8, 'mxfp8-e4m3': torch.float8_e4m3fn,
               'mxfp8-e5m2': torch.float8_e5m2, 'mxint8': torch.int8}


def load(path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return torch.export.load(path)


def shared_decoder():
    path = os.path.join(SHARED, 'pt2', 'mx_dequantize.py')
    if not SHARED:
        return None
    spec = importlib.util.spec_from_file_location('mx_dequantize', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.mx_dequantize


def expect(fmt, t, rule='auto', nonfinite='error', ragged='pad', force=False):
    """None when the tensor is kept, else (codes, scales, axes) as the contract has them."""
    if t.dtype not in samples.QUANTIZABLE or t.dim() < (1 if force else 2) or t.numel() == 0:
        return None
    axes = on.default_axes(tuple(t.shape))
    _, k = on.rows_of(tuple(t.shape), axes)
    if on.mx_bytes(on.FORMATS[fmt], tuple(t.shape), axes) >= t.numel() * t.element_size() or (ragged == 'keep' and k % 32):
        return None
    codes, scales = on.encode(fmt, samples.as_f32(t), axes, rule, nonfinite, samples.SHORT[t.dtype])
    return codes, scales, axes


def decoded(fmt, t, codes, scales, axes, dtype=None):
    """Tensor of the source's dtype (or dtype), from oracle codes."""
    value = on.decode(fmt, codes, scales, tuple(t.shape), axes)
    dtype = dtype or t.dtype
    if dtype == torch.bfloat16:
        value = on.to_bf16_bits(value)
    elif dtype == torch.float16:
        value = on.to_f16_bits(value)
    return samples.from_bits(value, dtype)


def same(c, name, got, want):
    return c((got.dtype, tuple(got.shape)) == (want.dtype, tuple(want.shape)) and samples.bits(got) == samples.bits(want),
             f'{name!r}: {got.dtype} {tuple(got.shape)} against {want.dtype} {tuple(want.shape)}{_first(got, want)}')


def canonical(t):
    """One NaN for all: which bits PyTorch gives a NaN that it computes depends on the vector unit."""
    return torch.where(t.isnan(), torch.tensor(torch.nan, dtype=t.dtype), t) if t.dtype in samples.QUANTIZABLE else t


def same_values(c, name, got, want):
    return same(c, name, canonical(got), canonical(want))


def _first(got, want):
    if got.dtype != want.dtype or got.shape != want.shape:
        return ''
    size = got.element_size()
    a, b = (np.frombuffer(samples.bits(x), np.uint8).reshape(-1, size) for x in (got, want))
    at = np.flatnonzero((a != b).any(axis=1))
    return f', {len(at)} differ, first at {at[0]}: {a[at[0]][::-1].tobytes().hex()} against {b[at[0]][::-1].tobytes().hex()}' if len(at) else ''


def check_archive(c, path, fmt, tensors, expected, options):
    """The archive's bytes against contract and oracle. Returns the archive."""
    try:
        archive = oa.Archive(path)
    except oa.Bad as error:
        raise Failure(f'{fmt}: {error}')
    c.equal(set(archive.mx['tensors']), {n for n, e in expected.items() if e}, f'{fmt}: tensors of the manifest')
    c.equal(set(archive.index), set(tensors), f'{fmt}: names of the index')
    for name, e in expected.items():
        if not e or name not in archive.mx['tensors']:
            if name in archive.index:
                line = archive.index[name]
                c.equal((line['kind'], line['shape']), (samples.SHORT[tensors[name].dtype], list(tensors[name].shape)), f'{fmt}: index of {name!r}')
                off, size, _ = line['codes']
                c(archive.raw[off:off + size] == samples.bits(tensors[name]), f'{fmt}: index of {name!r} leads to other bytes')
            continue
        t, entry = tensors[name], archive.mx['tensors'][name]
        want = {'format': fmt, 'shape': list(t.shape), 'axes': list(e[2]), 'scale_rule': options.get('rule', 'auto'), 'compat': options.get('compat', '-'),
                'round': 'rne', 'nonfinite': options.get('nonfinite', 'error'), 'source_dtype': samples.SHORT[t.dtype]}
        c.equal({k: entry[k] for k in want}, want, f'{fmt}: manifest of {name!r}')
        for role, array in (('codes', e[0]), ('scales', e[1])):
            off, size, _ = archive.index[name][role]
            stored = np.frombuffer(archive.raw[off:off + size], np.uint8)
            bad = np.flatnonzero(stored != array.reshape(-1)) if stored.size == array.size else [-1]
            c(len(bad) == 0, f'{fmt} {name!r}: {role} differ from the oracle: {len(bad)} of {array.size}, first at {bad[0] if len(bad) else 0}: '
                             f'{stored[bad[0]] if len(bad) else 0} against {array.reshape(-1)[bad[0]] if len(bad) else 0}')
    return archive


def check_back(c, path, tensors, values, metadata=None):
    """A file that dequantize wrote, against the values it must hold."""
    got = load_file(path)
    c.equal(set(got), set(tensors), 'names in the dequantized file')
    for name in set(got) & set(values):
        same(c, name, got[name], values[name])
    with safe_open(path, 'pt') as f:
        c.equal(f.metadata() or {}, metadata or {}, 'metadata of the dequantized file')
    return got


def run(c, folder, fmt, tensors, metadata=None, graph=None, resave=True, args=(), torch_side=True, **options):
    """Everything that must hold for one input and one format. Returns the archive's path."""
    tag = f'{fmt}-{len(tensors)}'
    source = samples.write(os.path.join(folder, f'{tag}.safetensors'), tensors, metadata)
    out, back = os.path.join(folder, f'{tag}.pt2'), os.path.join(folder, f'{tag}.back.safetensors')
    oracle_options = {k: v for k, v in options.items() if k in ('rule', 'nonfinite', 'ragged')}
    expected = {n: expect(fmt, t, **oracle_options) for n, t in tensors.items()}
    mxq('quantize', source, '-o', out, '--format', fmt, *args)
    archive = check_archive(c, out, fmt, tensors, expected, options)
    c.equal(archive.mx['metadata'], metadata or {}, 'metadata in the manifest')
    values = {n: decoded(fmt, tensors[n], *e) if e else tensors[n] for n, e in expected.items()}
    mxq('verify', out)
    mxq('dequantize', out, '-o', back)
    check_back(c, back, tensors, values, metadata)
    quantized = {n: e for n, e in expected.items() if e}
    each = graph != 'none' and (graph == 'each' or len(quantized) <= 512)
    if not torch_side:
        return out
    ep = load(out)
    check_state(c, ep, fmt, archive, tensors, quantized)
    result = ep.module()()
    if each:
        if c(isinstance(result, dict), f'{fmt}: module()() returned {type(result)}'):
            c.equal(set(result), set(tensors), f'{fmt}: keys of module()()')
            for name in set(result) & set(values):
                same_values(c, f'module()() {name}', result[name], values[name])
    else:
        c(result is None or result in (0, (), [None], (None,)), f'{fmt}: --graph none returned {type(result)} {result!r:.80}')
    decoder = shared_decoder()
    if decoder:
        for name, value in decoder(ep).items():
            want = decoded(fmt, tensors[name], *expected[name], dtype=torch.float32)
            same_values(c, f'mx_dequantize {name}', value, want)
    if resave:
        check_resaved(c, folder, tag, ep, tensors, values)
    return out


def check_state(c, ep, fmt, archive, tensors, quantized):
    state = {**ep.state_dict, **ep.constants}
    for name, (codes, scales, _) in quantized.items():
        entry = archive.mx['tensors'][name]
        for role, array, dtype in (('codes', codes, CODES_DTYPE[fmt]), ('scales', scales, torch.float8_e8m0fnu)):
            if not c(entry[role] in ep.state_dict, f'{fmt}: state_dict lacks {entry[role]!r}'):
                continue
            got = ep.state_dict[entry[role]]
            c((got.dtype, tuple(got.shape)) == (dtype, array.shape) and samples.bits(got) == array.tobytes(), f'{fmt} {name!r}: {role} in the state dict: {got.dtype} {tuple(got.shape)}')
    for name in set(tensors) - set(quantized):
        if name in state:
            same(c, f'state_dict {name}', state[name], tensors[name])
    custom = ep.graph_module.meta['custom']
    c.equal((custom if isinstance(custom, dict) else {})['mx'], archive.mx, 'manifest through PyTorch')


def check_resaved(c, folder, tag, ep, tensors, values):
    again, back = os.path.join(folder, f'{tag}.again.pt2'), os.path.join(folder, f'{tag}.again.safetensors')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.export.save(ep, again)
    seen = mxq_json('inspect', again)
    c.equal({t['name'] for t in seen['tensors']} & set(values), set(values), 're-saved: names in inspect')
    mxq('verify', again)
    mxq('dequantize', again, '-o', back)
    got = load_file(back)
    for name in values:
        if c(name in got, f're-saved: {name!r} is gone'):
            same(c, f're-saved {name}', got[name], values[name])
