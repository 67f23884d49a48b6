#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that decode MX weights in many ways, and some that almost do:  make_decoders.py   (PyTorch 2.13, torchao 0.18; ORIGIN.md)

Writes decoders/NAME.pt2 and decoders.tsv: file, tensor, format, layout, dtype, shape, axes, CRC-32 of what PyTorch decodes. '-': not MX.
"""
import io, warnings, zipfile, zlib
from pathlib import Path
import torch
import torch.nn.functional as F
from torch import nn
from torchao.prototype.mx_formats.mx_tensor import to_dtype, to_mx

warnings.simplefilter('ignore')
HERE = Path(__file__).parent
ELEMENT = {'mxfp4': torch.float4_e2m1fn_x2, 'mxfp6-e2m3': 'fp6_e2m3', 'mxfp6-e3m2': 'fp6_e3m2',
           'mxfp8-e4m3': torch.float8_e4m3fn, 'mxfp8-e5m2': torch.float8_e5m2}
E2M1 = [0., .5, 1., 1.5, 2., 3., 4., 6., -0., -.5, -1., -1.5, -2., -3., -4., -6.]
E2M3 = [s * (m / 8 if e == 0 else (1 + m / 8) * 2. ** (e - 1)) for s in (1, -1) for e in range(4) for m in range(8)]
rows = []


def quantize(fmt, shape, seed):
    w = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3
    w = F.pad(w, (0, -w.shape[-1] % 32)).contiguous()
    if fmt != 'mxint8':
        s, q = to_mx(w, ELEMENT[fmt], 32)
        return q, s
    blocks = w.reshape(*w.shape[:-1], -1, 32)
    s = (torch.frexp(blocks.abs().amax(-1))[1] + 126).to(torch.uint8).view(torch.float8_e8m0fnu)
    return (blocks / s.float().unsqueeze(-1) * 64).round().clamp(-127, 127).to(torch.int8).reshape(w.shape), s


def le24(q):
    c = q.reshape(-1, 4).int()
    w = c[:, 0] | c[:, 1] << 6 | c[:, 2] << 12 | c[:, 3] << 18
    return torch.stack([w & 255, w >> 8 & 255, w >> 16], 1).to(torch.uint8).reshape(*q.shape[:-1], -1)


class Layer(nn.Module):
    """Codes and scales, and a function that decodes them."""

    def __init__(self, q, s, decode, use, names=('weight_q', 'weight_s'), **constants):
        super().__init__()
        self.decode, self.use, self.names = decode, use, names
        for name, t in zip(names, (q, s)):
            self.register_buffer(name, t)
        for name, t in constants.items():
            self.register_buffer(name, t, persistent=False)

    def weight(self):
        return self.decode(self, *(getattr(self, n) for n in self.names))

    def forward(self, x):
        return self.use(x, self.weight())


class Net(nn.Module):
    def __init__(self, fc):
        super().__init__()
        self.fc = fc

    def forward(self, x):
        return self.fc(x)


def save(name, layer, x, tensor='fc.weight', fmt='-', layout='-', axes='-', weight=None, core=False):
    ep = torch.export.export(Net(layer), (x,))
    w = layer.weight() if weight is None else weight
    ep = ep.run_decompositions() if core else ep
    for node in ep.graph.nodes:
        for key in ('stack_trace', 'nn_module_stack', 'source_fn_stack', 'torch_fn', 'from_node'):
            node.meta.pop(key, None)
    whole = io.BytesIO()
    torch.export.save(ep, whole)
    with zipfile.ZipFile(whole) as z, zipfile.ZipFile(HERE / 'decoders' / f'{name}.pt2', 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as small:
        for i in z.infolist():
            small.writestr(zipfile.ZipInfo(i.filename), z.read(i), zipfile.ZIP_DEFLATED)
    digest = f'{zlib.crc32(w.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()):08x}'
    short = {torch.float32: 'f32', torch.bfloat16: 'bf16', torch.float16: 'f16'}[w.dtype]
    rows.append('\t'.join([f'{name}.pt2', tensor, fmt, layout, short, 'x'.join(map(str, w.shape)), axes, digest] if fmt != '-' else
                          [f'{name}.pt2', *'-------']))


def nibbles(q):
    return torch.stack([q & 15, q >> 4], -1).flatten(-2)


def tail(q, s, shape=None):
    """[..., K] times one scale for 32"""
    return (q.reshape(*s.shape, 32) * s.to(torch.float32).unsqueeze(-1)).reshape(shape or q.shape)


def table(m, q):
    return torch.index_select(m.lut, 0, q.reshape(-1).int()).reshape(q.shape)


def main():
    x, N, K = torch.ones(2, 64), 4, 64
    lut, lut6 = torch.tensor(E2M1), torch.tensor(E2M3)

    def ao(fmt, dtype, core):
        q, s = quantize(fmt, (N, K), 1)
        layer = Layer(q, s, lambda m, q, s: to_dtype(q, s, ELEMENT[fmt], 32, dtype), F.linear, ('qdata', 'scale'))
        name = f"torchao_{fmt.replace('-', '_')}_{str(dtype)[6:]}{'_core' if core else ''}"
        save(name, layer, x.to(dtype), 'fc', fmt, 'unpacked' if 'fp6' in fmt else 'even-low' if fmt == 'mxfp4' else 'bytes', '1-1', core=core)

    for fmt in ELEMENT:
        ao(fmt, torch.float32, False)
        ao(fmt, torch.bfloat16, True)
    ao('mxfp6-e2m3', torch.bfloat16, False)

    q4, s4 = quantize('mxfp4', (N, K), 2)
    q8, s8 = quantize('mxfp8-e4m3', (N, K), 3)
    q6, s6 = quantize('mxfp6-e2m3', (N, K), 4)
    qi, si = quantize('mxint8', (N, K), 5)

    def mx(name, fmt, layout, q, s, decode, use=F.linear, tensor='fc.weight', axes='1-1', names=('weight_q', 'weight_s'), input=x, weight=None,
           core=False, **constants):
        save(name, Layer(q, s, decode, use, names, **constants), input, tensor, fmt, layout, axes, weight, core)

    plain = lambda m, q, s: tail(table(m, nibbles(q)), s)
    pairs = torch.tensor([E2M1[c >> h & 15] for c in range(256) for h in (0, 4)]).reshape(256, 2)
    place, shift = torch.tensor([1, 256, 65536], dtype=torch.int32), torch.tensor([0, 6, 12, 18], dtype=torch.int32)
    mx('fp4_table', 'mxfp4', 'even-low', q4, s4, plain, lut=lut)
    mx('fp4_table_core', 'mxfp4', 'even-low', q4, s4, plain, lut=lut, core=True)
    mx('fp4_pairs', 'mxfp4', 'even-low', q4, s4, lambda m, q, s: tail(F.embedding(q.int(), m.lut), s, (N, K)), lut=pairs)
    mx('fp4_index', 'mxfp4', 'even-low', q4, s4, lambda m, q, s: tail(m.lut[nibbles(q).long()], s), lut=lut)
    mx('fp4_shift_table', 'mxfp4', 'even-low', q4, s4,
       lambda m, q, s: tail(m.lut[((q.unsqueeze(-1).int() >> m.shift) & 15).reshape(N, K)], s), lut=lut, shift=torch.tensor([0, 4]))
    mx('fp4_cat', 'mxfp4', 'even-low', q4, s4,
       lambda m, q, s: tail(m.lut[torch.cat([(q & 15).unsqueeze(-1), (q >> 4).unsqueeze(-1)], -1).view(N, K).int()], s), lut=lut)
    mx('fp4_unpacked', 'mxfp4', 'unpacked', nibbles(q4), s4, lambda m, q, s: tail(table(m, q), s), lut=lut)
    mx('fp6_word', 'mxfp6-e2m3', 'le24', le24(q6), s6, lambda m, q, s: tail(table(m, (
        (q.reshape(-1, 3) * m.place).sum(1, keepdim=True, dtype=torch.int32) >> m.shift) & 63).reshape(N, K), s), lut=lut6, place=place, shift=shift)

    def six(m, q, s):
        a, b, c = (q.reshape(-1, 3)[:, i] for i in range(3))
        return tail(table(m, torch.stack([a & 63, a >> 6 | (b & 15) << 2, b >> 4 | (c & 3) << 4, c >> 2], -1).reshape(N, K)), s)

    mx('fp6_bytes', 'mxfp6-e2m3', 'le24', le24(q6), s6, six, lut=lut6)
    mx('int8', 'mxint8', 'bytes', qi, si, lambda m, q, s: tail(q.float() * 2. ** -6, s))
    mx('int8_div', 'mxint8', 'bytes', qi, si, lambda m, q, s: tail(q.float() / 64, s))
    mx('int8_bytes', 'mxint8', 'bytes', qi.view(torch.uint8), si, lambda m, q, s: tail(q.view(torch.int8) / 64, s))
    spread = lambda m, q, s: q.float() * s.float().repeat_interleave(32, -1)
    mx('fp8_spread', 'mxfp8-e4m3', 'bytes', q8, s8, spread)
    mx('fp8_expand', 'mxfp8-e4m3', 'bytes', q8, s8, lambda m, q, s: q.float() * s.float().unsqueeze(-1).expand(-1, -1, 32).reshape(N, K))
    mx('fp8_swapped', 'mxfp8-e4m3', 'bytes', q8, s8, lambda m, q, s: (s.float().unsqueeze(-1) * q.float().view(N, -1, 32)).view(N, K))
    old = s8.view(torch.uint8)
    mx('fp8_exp2', 'mxfp8-e4m3', 'bytes', q8, old, lambda m, q, s: tail(q.float(), torch.exp2(s.float() - 127)))
    mx('fp8_shifted', 'mxfp8-e4m3', 'bytes', q8, old + (old == 0).to(torch.uint8),
       lambda m, q, s: tail(q.float(), torch.where(s == 0, 2. ** -127, (s.int() << 23).view(torch.float32))))
    shifted = lambda m, q, s: tail(q.float(), (s.int() << 23).view(torch.float32))
    mx('fp8_shifted_only', 'mxfp8-e4m3', 'bytes', q8, old, shifted)
    mx('fp8_clamped', 'mxfp8-e4m3', 'bytes', q8, old, lambda m, q, s: tail(q.float(), torch.exp2(s.float().clamp(max=254) - 127)))
    mx('fp8_repeat', 'mxfp8-e4m3', 'bytes', q8, s8, lambda m, q, s: q.float() * s.float().unsqueeze(-1).repeat(1, 1, 32).reshape(N, K))
    mx('fp4_gather', 'mxfp4', 'even-low', q4, s4, lambda m, q, s: tail(torch.gather(m.lut, 0, nibbles(q).reshape(-1).long()).reshape(N, K), s), lut=lut)
    mx('fp4_rest', 'mxfp4', 'even-low', q4, s4, lambda m, q, s: tail(m.lut[torch.stack([q % 16, q // 16], -1).flatten(-2).long()], s), lut=lut)

    def chain(m, q, s):
        c = nibbles(q)
        v = torch.zeros(c.shape)
        for i in range(1, 8):
            v = torch.where(c & 7 == i, torch.tensor(E2M1[i]), v)
        return tail(torch.where(c > 7, -v, v), s)

    mx('fp4_chain', 'mxfp4', 'even-low', q4, s4, chain)
    mx('int8_scales', 'mxint8', 'bytes', qi, si, lambda m, q, s: tail(q.float(), s.float() / 64))
    mx('int8_exp2', 'mxint8', 'bytes', qi, si.view(torch.uint8), lambda m, q, s: tail(q.float(), torch.exp2(s.float() - 133)))
    mx('fp8_ldexp', 'mxfp8-e4m3', 'bytes', q8, old, lambda m, q, s: torch.ldexp(q.float().view(N, -1, 32), (s.int() - 127).unsqueeze(-1)).view(N, K))
    mx('fp8_in_place', 'mxfp8-e4m3', 'bytes', q8, s8, lambda m, q, s: q.float().view(N, -1, 32).clone().mul_(s.float().unsqueeze(-1)).view(N, K))
    mx('fp8_f16_last', 'mxfp8-e4m3', 'bytes', q8, s8, lambda m, q, s: tail(q.float(), s).half(), input=x.half())
    mx('fp8_bf16_last', 'mxfp8-e4m3', 'bytes', q8, s8, lambda m, q, s: tail(q.float(), s).bfloat16(), input=x.bfloat16())
    mx('fp8_flat', 'mxfp8-e4m3', 'bytes', q8.flatten(), s8.flatten(), lambda m, q, s: tail(q.float(), s, (N, K)))
    q, s = quantize('mxfp8-e4m3', (N, 40), 6)
    mx('ragged', 'mxfp8-e4m3', 'bytes', q, s, lambda m, q, s: tail(q.float(), s)[:, :40], input=torch.ones(2, 40))
    q, s = quantize('mxfp8-e4m3', (N, 54), 7)
    mx('ragged_convolution', 'mxfp8-e4m3', 'bytes', q, s, lambda m, q, s: tail(q.float(), s)[:, :54].reshape(N, 6, 3, 3), F.conv2d,
       input=torch.ones(1, 6, 8, 8), axes='1-3')
    q, s = quantize('mxfp4', (N, 288), 8)
    mx('convolution', 'mxfp4', 'even-low', q, s, lambda m, q, s: tail(table(m, nibbles(q)), s).reshape(N, 32, 3, 3), F.conv2d,
       input=torch.ones(1, 32, 8, 8), axes='1-3', lut=lut)
    q, s = quantize('mxfp4', (3, N, K), 9)
    mx('experts', 'mxfp4', 'even-low', q, s, lambda m, q, s: tail(table(m, nibbles(q)), s), lambda x, w: torch.bmm(x, w.transpose(1, 2)),
       input=torch.ones(3, 2, K), axes='2-2', lut=lut)
    q, s = quantize('mxfp8-e5m2', (5, K), 10)
    mx('transposed', 'mxfp8-e5m2', 'bytes', q, s, lambda m, q, s: tail(q.float(), s).t(), lambda x, w: F.embedding(x, w), axes='0-0',
       input=torch.ones(2, dtype=torch.int64))
    twice = lambda x, w: F.linear(F.linear(x, w), w.t())
    mx('used_twice', 'mxfp8-e4m3', 'bytes', q8, s8, spread, twice)
    mx('parametrized', 'mxfp8-e4m3', 'bytes', q8, s8, spread, names=('original0', 'original1'), tensor='fc')
    mx('named_alike', 'mxfp8-e4m3', 'bytes', q8, s8, spread, names=('a', 'b'), tensor='fc')

    def miss(name, q, s, decode, use=F.linear, input=x, **constants):
        save('not_' + name, Layer(q, s, decode, use, **constants), input)

    wrong = lut.clone()
    wrong[11] = -1.25
    miss('the_table', q4, s4, plain, lut=wrong)
    miss('the_zero', q4, s4, plain, lut=lut.abs() * (1 - 2. * (torch.arange(16) > 8)))
    miss('high_first', q4, s4, lambda m, q, s: tail(table(m, torch.stack([q >> 4, q & 15], -1).flatten(-2)), s), lut=lut)
    miss('block_of_16', q8, torch.cat([s8.view(torch.uint8)] * 2, -1).view(torch.float8_e8m0fnu),
         lambda m, q, s: (q.float().reshape(N, -1, 16) * s.float().unsqueeze(-1)).reshape(N, K))
    miss('block_across', q8, s8, lambda m, q, s: (q.float().reshape(N, 32, -1) * s.float().unsqueeze(1)).reshape(N, K))
    miss('127', q8, old, lambda m, q, s: tail(q.float(), torch.exp2(s.float() - 126)))
    zero = old.clone()
    zero[2, 1] = 0
    nan = old.clone()
    nan[3, 0] = 255
    exp2 = lambda m, q, s: tail(q.float(), torch.exp2(s.float() - 127))
    miss('without_zero', q8, zero, shifted)
    miss('nan', q8, nan, exp2)
    mx('fp8_exp2_zero', 'mxfp8-e4m3', 'bytes', q8, zero, exp2)
    miss('alone', q8, s8, lambda m, q, s: tail(q.float() + 1, s))
    miss('unsigned', qi.view(torch.uint8), si, lambda m, q, s: tail(q.float() / 64, s))
    miss('64ths', qi, si, lambda m, q, s: tail(q.float() / 127, s))
    miss('in_f16', q8, s8, lambda m, q, s: (q.half().reshape(N, -1, 32) * s.float().half().unsqueeze(-1)).reshape(N, K), input=x.half())
    factors = torch.ones(64)
    factors[40] = 2
    miss('everywhere', q8, s8, lambda m, q, s: tail(q.float() * m.factors, s), factors=factors)
    miss('every_row', q8, s8, lambda m, q, s: tail(q.float() * m.factors, s), factors=torch.tensor([[1.], [1.], [2.], [1.]]))

    def write_codes(m, q, s):
        q.view(torch.uint8).bitwise_xor_(128)
        return spread(m, q, s)

    def write_scales(m, q, s):
        w = spread(m, q, s)
        s.view(torch.uint8)[0].add_(1)
        return w

    def write_between(m, q, s):
        w = q.float()
        v = w.view(-1)
        v[0] = 5
        return w * s.float().repeat_interleave(32, -1)

    miss('constant_codes', q8.clone(), s8, write_codes)
    miss('constant_scales', q8, s8.clone(), write_scales)
    miss('untouched', q8, s8, write_between)
    save('not_by_itself', Layer(q8, s8, lambda m, q, s: q.float(), lambda x, w: F.linear(x, w * x[0, 0])), x)
    (HERE / 'decoders.tsv').write_text('\n'.join(rows) + '\n')


if __name__ == '__main__':
    (HERE / 'decoders').mkdir(exist_ok=True)
    main()
