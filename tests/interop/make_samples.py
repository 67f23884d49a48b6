# SPDX-License-Identifier: MIT
"""A second set of sample archives with what a reader should find in each, other seeds and shapes each time:  make_samples.py DIR [SEED]

Archives without MX, archives whose modules decode MX weights in the ways people write it (torchao's among them), with a manifest and without.
"""
import hashlib
import json
import os
import sys
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import oracle_numbers as on
import samples

DTYPES = ('uint8', 'int8', 'int16', 'int32', 'int64', 'float16', 'float32', 'float64', 'complex32', 'complex64', 'complex128', 'bool', 'bfloat16', 'uint16',
          'float8_e4m3fn', 'float8_e5m2', 'float8_e4m3fnuz', 'float8_e5m2fnuz', 'float8_e8m0fnu', 'uint32', 'uint64')
STORED = {'mxfp8-e4m3': torch.float8_e4m3fn, 'mxfp8-e5m2': torch.float8_e5m2, 'mxint8': torch.int8}
EBITS = {'mxfp4': (2, 1), 'mxfp6-e2m3': (2, 3), 'mxfp6-e3m2': (3, 2)}


def digest(t):
    return hashlib.sha256(samples.bits(t)).hexdigest()


def describe(t, kind):
    return {'kind': kind, 'dtype': str(t.dtype)[6:], 'shape': list(t.shape), 'strides': list(t.stride()), 'offset': t.storage_offset(), 'sha256': digest(t)}


def save(path, module, *args, kwargs=None, dynamic=None, extra=None, mx=None, manifest=True):
    """mx: name -> (format, codes, scales, float32 values). Returns the path; the expectations stand beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ep = torch.export.export(module.eval(), args, kwargs, dynamic_shapes=dynamic)
        if mx and manifest:
            ep.graph_module.meta['custom'] = {'mx': {f: {'format': fmt, 'block': 32, 'shape': list(v.shape), 'codes': q, 'scales': s} for f, (fmt, q, s, v) in mx.items()}}
        torch.export.save(ep, path, extra_files=extra)
        ep = torch.export.load(path)
    kinds = {s.target: 'non-persistent buffer' if s.persistent is False else s.kind.name.lower() for s in ep.graph_signature.input_specs if s.target is not None}
    expected = {'tensors': {f: describe(t, kinds.get(f, 'unreferenced')) for f, t in {**ep.state_dict, **ep.constants}.items()}}
    if mx:
        expected['mx' if manifest else 'pattern'] = {f: {'format': fmt, 'shape': list(v.shape), 'codes': q, 'scales': s} for f, (fmt, q, s, v) in mx.items()}
        expected['dequantized'] = {f: digest(v) for f, (_, _, _, v) in mx.items()}
    with open(path + '.expected.json', 'w') as f:
        json.dump(expected, f)
    return path


class Holder(nn.Module):
    def __init__(self, tensors):
        super().__init__()
        for k, t in tensors.items():
            self.register_parameter(k, t) if isinstance(t, nn.Parameter) else self.register_buffer(k, t)

    def forward(self, x):
        return x - 1


class All(nn.Module):
    """Parameters, buffers of both kinds, a constant, tied and sliced storages."""

    def __init__(self, g, n, k):
        super().__init__()
        base = torch.randn(3 * n * k, generator=g)
        self.a, self.b = nn.Parameter(base[:n * k].view(n, k)), nn.Parameter(base[n * k:2 * n * k].view(k, n), requires_grad=False)
        self.register_buffer('tail', base[2 * n * k + 1:2 * n * k + 1 + n])
        self.register_buffer('hidden', torch.randn(k, generator=g), persistent=False)
        self.tied = nn.Linear(k, n, bias=False)
        self.tied.weight = self.a
        self.c = torch.randn(n, generator=g)

    def forward(self, x):
        return F.linear(self.tied(x + self.hidden), self.b).sum(-1, keepdim=True) + self.tail + self.c


# ---- decoding as people write it --------------------------------------------------------------------------------------

def exponent(s):
    """torchao's scale: two to the power of the byte less 127, NaN where it is 255."""
    s = s.view(torch.uint8)
    two = torch.full_like(s, 2.0, dtype=torch.float32)
    return torch.where(s != 255, torch.pow(two, s.to(torch.int16) - 127), float('nan'))


def bits_to_f32(x, ebits, mbits):
    """torchao's cast of unpacked 4- and 6-bit floats: by bits, with subnormals one by one."""
    sign = x & 1 << (ebits + mbits)
    mag, bias = x ^ sign, (1 << ebits - 1) - 1
    small = torch.logical_and(mag > 0, (mag >> mbits) == 0)
    e = ((mag >> mbits) - bias + 127).to(torch.int32) << 23
    result = e | (mag & (1 << mbits) - 1).to(torch.int32) << (23 - mbits)
    result[mag == 0] = 0
    if mbits == 1:
        result[small] = (1 - bias + 127 - 1) << 23
    else:
        for i in range(mbits):
            for m in range(1 << i, 1 << i + 1):
                left = mbits - i
                result[mag == m] = (1 - bias + 127 - left << 23) + ((m - (1 << i) << left + 23 - mbits))
    return (result | sign.to(torch.int32) << (31 - ebits - mbits)).view(torch.float32)


class Decoder(nn.Module):
    """y = x · w^T with w decoded in forward; `style` says how."""

    def __init__(self, fmt, w, style, names=('weight_q', 'weight_s'), dtype=torch.float32):
        super().__init__()
        element = on.FORMATS[fmt]
        codes, scales = on.encode(fmt, w.numpy(), rule='floor')
        self.fmt, self.style, self.shape, self.names, self.dtype = fmt, style, tuple(w.shape), names, dtype
        self.value = torch.from_numpy(on.decode(fmt, codes, scales, self.shape, (w.dim() - 1,) * 2))
        if on.CODE_BITS[element] < 8 and style == 'ao' and fmt != 'mxfp4' or style == 'unpacked':
            codes = on.unpack(element, codes)
        q = torch.from_numpy(np.ascontiguousarray(codes))
        self.register_buffer(names[0], q.view(STORED[fmt]) if fmt in STORED else q)
        self.register_buffer(names[1], torch.from_numpy(scales).view(torch.float8_e8m0fnu))
        if style != 'ao' and fmt in EBITS:
            self.register_buffer('lut', torch.from_numpy(on.element_values(element).astype(np.float32)), persistent=False)

    def weight(self):
        q, s = getattr(self, self.names[0]), getattr(self, self.names[1])
        if self.fmt == 'mxfp4' and self.style != 'unpacked':
            q = torch.stack([q & 15, q >> 4], -1).reshape(*q.shape[:-1], -1)
        elif self.fmt in EBITS and self.style == 'words':
            b = q.reshape(-1, 3).to(torch.int32)
            word = b[:, 0] | b[:, 1] << 8 | b[:, 2] << 16
            q = torch.stack([word & 63, word >> 6 & 63, word >> 12 & 63, word >> 18], -1).reshape(*self.shape[:-1], -1)
        if self.fmt in EBITS:
            q = bits_to_f32(q, *EBITS[self.fmt]) if self.style == 'ao' else self.lut[q.int()]
        elif self.fmt == 'mxint8':
            q = q.to(torch.float32) / 64
        if self.style == 'ao':
            w = (q.to(self.dtype).reshape(-1, 32) * exponent(s).reshape(-1, 1).to(self.dtype)).reshape(*s.shape[:-1], -1)
        else:
            w = (q.to(torch.float32).unflatten(-1, (-1, 32)) * s.to(torch.float32).unsqueeze(-1)).flatten(-2)
        return w[..., :self.shape[-1]] if w.shape[-1] != self.shape[-1] else w

    def forward(self, x):
        w = self.weight()
        return F.linear(x.to(w.dtype), w) if w.dim() == 2 else torch.bmm(x.to(w.dtype), w.transpose(1, 2))


class Net(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for k, m in parts.items():
            self.add_module(k, m)
        self.bias = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return sum(m(x).sum(-1, keepdim=True) for n, m in self.named_children()) + self.bias


def make(out, seed):
    """Returns the paths."""
    g = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    size = lambda low, top: int(rng.integers(low, top))
    paths, one = [], torch.ones(2)

    def add(name, *args, **kwargs):
        paths.append(save(os.path.join(out, f'{name}.pt2'), *args, **kwargs))

    def odd(*shape):
        return torch.randn(*shape, generator=g) * 2.0 ** size(-20, 20)
    n, k = size(2, 9), size(3, 40)
    add('all', All(g, n, k), odd(2, k), dynamic=({0: torch.export.Dim('batch', min=1, max=99)},))
    values = {}
    for i, name in enumerate(DTYPES):
        d, count = getattr(torch, name), size(1, 9)
        raw = torch.randint(256, (count * size(1, 4), d.itemsize), generator=g, dtype=torch.uint8)
        values['x_' + name] = (raw & 1).bool().reshape(-1) if name == 'bool' else raw.reshape(-1).view(d)
    add('dtypes', Holder(values), one)
    a, b, c = size(2, 6), size(2, 6), size(2, 6)
    cube, flat = odd(a, b, c), torch.arange(a * b * 4, dtype=torch.int32)
    add('strides', Holder({'t': cube[0].t(), 'p': cube.permute(1, 2, 0), 'step': flat[size(0, 3)::3], 'wide': odd(1, c).expand(a, c), 'column': flat.view(a, b, 4)[..., 1],
                           'last': odd(1, 3, a + 1, b + 1).contiguous(memory_format=torch.channels_last), 'param': nn.Parameter(odd(a, b).t()), 'corner': cube[1:, 1:, 1:]}), one)
    add('empty', Holder({'e0': torch.empty(0, a), 'e1': torch.empty(b, 0, 3, dtype=torch.bfloat16), 'e2': torch.empty(0, dtype=torch.bool), 's': torch.tensor(float(n)), 's8': torch.tensor(True)}), one)
    add('many', Holder({f'v{i:04}': torch.full((i % 7,), i, dtype=torch.int32) for i in range(size(400, 700))}), one)
    deep = Holder({'ключ': odd(1), 'with space': odd(2), 'L' * size(100, 180): odd(3), '1': odd(4), 'Q': odd(1), 'q': odd(1)})
    for i in range(size(5, 11)):
        outer = Holder({})
        outer.add_module(f'm{i}', deep)
        deep = outer
    add('names', deep, one, extra={'a/b.txt': 'χ' * size(1, 40), 'none': ''})

    for fmt in on.FORMATS:
        styles = ['plain', 'ao'] + (['unpacked'] if fmt == 'mxfp4' else ['unpacked', 'words'] if fmt in EBITS else [])
        for style in styles:
            if style == 'plain' and fmt in EBITS and fmt != 'mxfp4' or style == 'ao' and fmt == 'mxint8':
                continue
            for manifest in (True, False):
                n, k = size(2, 12), 32 * size(1, 5)
                fc = Decoder(fmt, odd(n, k), style)
                add(f'{fmt}_{style}{"" if manifest else "_bare"}', Net(fc=fc), odd(3, k), dynamic=({0: torch.export.Dim('batch', min=1, max=99)},),
                    mx={'fc.weight': (fmt, 'fc.weight_q', 'fc.weight_s', fc.value)}, manifest=manifest)
    e, n, k = size(2, 5), size(2, 9), 32 * size(1, 4)
    experts = Decoder('mxfp4', odd(e, n, k), 'plain')
    add('experts', Net(ex=experts), odd(e, 2, k), mx={'ex.weight': ('mxfp4', 'ex.weight_q', 'ex.weight_s', experts.value)})
    k = 32 * size(1, 3) + size(1, 15) * 2
    ragged = Decoder('mxfp8-e4m3', odd(n, k), 'plain')
    add('ragged', Net(r=ragged), odd(2, k), mx={'r.weight': ('mxfp8-e4m3', 'r.weight_q', 'r.weight_s', ragged.value)})
    two = {x: Decoder(f, odd(n, 64), s, (x + '_data', x + '_exps')) for x, f, s in (('up', 'mxfp4', 'ao'), ('down', 'mxfp8-e5m2', 'plain'))}
    add('two_bare', Net(**two), odd(2, 64), mx={f'{x}.weight': (m.fmt, f'{x}.{x}_data', f'{x}.{x}_exps', m.value) for x, m in two.items()}, manifest=False)
    return paths


if __name__ == '__main__':
    os.makedirs(sys.argv[1], exist_ok=True)
    for path in make(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1):
        print(path)
