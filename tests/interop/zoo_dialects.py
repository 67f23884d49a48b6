# SPDX-License-Identifier: MIT
"""Types, control flow, modes, state, names, signatures, and what decompositions leave."""
import torch
import torch.nn.functional as F
from torch import nn

from zoo_entry import D, ONE, TWO, ints, program, rand, weight, ANY


# ---- types -------------------------------------------------------------------------------------------------------------

@program({'e.weight': [1, 1], 'a.weight': [1, 1], 'b.weight': [1, 1], 'c.weight': [1, 3], 'm': [0, 0]}, ONE, ({0: D('batch')},), lambda g, b: (ints(g, 60, b),))
class BF16(nn.Module):
    dtype = torch.bfloat16

    def __init__(self):
        super().__init__()
        self.e, self.a, self.b, self.n, self.c = nn.Embedding(60, 64), nn.Linear(64, 96), nn.Linear(96, 64), nn.LayerNorm(64), nn.Conv2d(4, 12, 3)
        self.m = weight(64, 40)
        self.to(self.dtype)

    def forward(self, i):
        x = self.n(self.b(F.silu(self.a(self.e(i)))))
        return x @ self.m, self.c(x.unflatten(1, (4, 4, 4)))


@program({'e.weight': [1, 1], 'a.weight': [1, 1], 'b.weight': [1, 1], 'c.weight': [1, 3], 'm': [0, 0]}, ONE, ({0: D('batch')},), lambda g, b: (ints(g, 60, b),))
class F16(BF16):
    dtype = torch.float16


@program({'h.weight': [1, 1], 'b.weight': [1, 1], 'd.weight': None, 'fp8': None, 'whole': None}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 64),))
class Mixed(nn.Module):
    """Weights of several dtypes, of which some are never quantized."""

    def __init__(self):
        super().__init__()
        self.h, self.b, self.d = nn.Linear(64, 64).half(), nn.Linear(64, 64).bfloat16(), nn.Linear(64, 64).double()
        self.register_buffer('fp8', torch.randn(48, 64).to(torch.float8_e4m3fn))
        self.register_buffer('whole', torch.randint(-8, 8, (48, 64)))

    def forward(self, x):
        x = self.d(self.b(self.h(x.half()).bfloat16()).double()).float()
        return F.linear(x, self.fp8.float()), F.linear(x, self.whole.float())


# ---- control flow, modes, state ----------------------------------------------------------------------------------------

@program({'a.weight': [1, 1], 'b.weight': [1, 1], 'c': [0, 0], 'both.weight': [1, 1], 'inner.weight': [1, 1]}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 32) + (b % 2 * 2 - 1),))
class Cond(nn.Module):
    """Weights in the branches of torch.cond, one of them also outside, one in a branch of a branch."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.both, self.inner, self.c = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32), weight(32, 32)

    def forward(self, x):
        def left(x):
            return self.a(x) + self.both(x)

        def right(x):
            return torch.cond(x.sum() > -100, lambda x: self.inner(x).sin(), lambda x: x @ self.c, (x,)) - self.b(x)
        return self.both(torch.cond(x.sum() > 0, left, right, (x,)))


@program({'a.weight': [1, 1], 'w': [0, 0], 'b.weight': [1, 1], 'both.weight': [1, 1]}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 64),))
class NoGrad(nn.Module):
    """A region without gradients is a graph of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.both, self.w = nn.Linear(64, 64), nn.Linear(64, 16), nn.Linear(64, 64), weight(64, 64)

    def forward(self, x):
        x = self.both(x)
        with torch.no_grad():
            y = self.both(self.a(x) @ self.w)
        return self.b(x + y)


@program({'a.weight': [1, 1], 'b.weight': [1, 1]}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 64),))
class Autocast(nn.Module):
    """A region of lower precision casts the weights in it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 16)

    def forward(self, x):
        with torch.autocast('cpu', dtype=torch.bfloat16):
            y = self.a(x)
        return self.b(y.float())


@program({'cache': None, 'sum': None, 'fc.weight': [1, 1], 'conv.weight': [1, 3], 'table': ANY, 'hidden': ANY}, ONE, ({0: D('batch', 64, 2)},), lambda g, b: (rand(g, b + 1, 64),), train=True)
class Mutated(nn.Module):
    """Buffers that the program writes to, one of which also feeds a linear; batch norm that learns; buffers that are constant weights."""

    def __init__(self):
        super().__init__()
        self.fc, self.conv, self.bn, self.norm = nn.Linear(64, 64), nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm1d(64)
        self.register_buffer('cache', torch.randn(64, 64))
        self.register_buffer('sum', torch.zeros(4, 64))
        self.register_buffer('table', torch.randn(48, 64))
        self.register_buffer('hidden', torch.randn(48, 64), persistent=False)

    def forward(self, x):
        x = self.norm(self.fc(x))
        self.cache.add_(0.125)
        self.sum[1] = x[0]
        return F.linear(x, self.cache) + self.sum.mean(), self.bn(self.conv(x.unflatten(1, (4, 4, 4)))), F.linear(x, self.table) + F.linear(x, self.hidden)


# ---- names, signatures, other dialects ---------------------------------------------------------------------------------

@program({'weight': [1, 1], 'p_weight': [1, 1], 'weight_codes': [1, 1], 'x.weight': [1, 1], 'reshape': [1, 1], '0': [0, 0], 'größe.重み': [1, 1], 'N' * 150: [1, 1], 'a_b': [1, 1], 'a.b': [1, 1]}, ONE,
         {'x': {0: D('batch')}, 'weight_scales': {0: D('batch')}, 'p_weight_codes': {0: D('batch')}}, lambda g, b: ((rand(g, b, 64), rand(g, b, 64), rand(g, b, 64)), {}))
class Names(nn.Module):
    """Names that an edit of the program would like to use are taken: parameters, buffers, constants, inputs and nodes."""

    def __init__(self):
        super().__init__()
        self.weight, self.p_weight, self.weight_codes = weight(64, 64), weight(64, 64), weight(64, 64)
        self.register_buffer('weight_scales', torch.ones(64))
        self.register_buffer('weight_codes_1', torch.ones(64), persistent=False)
        self.register_buffer('b_weight_codes', torch.ones(64))
        self.register_buffer('mx_lut', torch.ones(64), persistent=False)
        self.x = nn.Linear(64, 64)
        self.mul = torch.full((64,), 0.5)
        self._parameters['reshape'] = weight(64, 64)
        self._parameters['0'] = weight(64, 64)
        self._parameters['N' * 150] = weight(64, 64)
        self._parameters['a_b'] = weight(64, 64)
        sub, deep = nn.Module(), nn.Module()
        sub._parameters['b'] = weight(64, 64)
        deep._parameters['重み'] = weight(64, 64)
        self.add_module('a', sub)
        self.add_module('größe', deep)

    def forward(self, x, weight_scales, p_weight_codes):
        y = F.linear(x, self.weight) * self.weight_scales + F.linear(weight_scales, self.p_weight) * self.weight_codes_1 * self.b_weight_codes
        y = F.linear(y, self.weight_codes) * self.mx_lut * self.mul + self.x(p_weight_codes)
        p = self._parameters
        y = F.linear(y, p['reshape']) @ p['0']
        return F.linear(F.linear(F.linear(F.linear(y, p['N' * 150]), p['a_b']), self.a.b), getattr(self, 'größe')._parameters['重み'])


@program({'a.fc.weight': [1, 1], 'b.fc.weight': [1, 1]}, TWO, {'x': {0: D('batch', 64)}, 'more': {'list': [{0: D('batch', 64)}, None], 'n': None}, 'scale': None},
         lambda g, b, s: ((rand(g, b, 64),), {'more': {'list': [rand(g, b, 64), rand(g, 64)], 'n': None}, 'scale': 2.5}), preserve=('a', 'b'))
class Nested(nn.Module):
    """Keyword arguments, dictionaries, constants as inputs and outputs; sub-modules that keep their signature."""

    def __init__(self):
        super().__init__()

        class Inner(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(64, 64)

            def forward(self, x, *, shift):
                return {'y': self.fc(x) + shift, 'x': x}
        self.a, self.b = Inner(), Inner()

    def forward(self, x, *, more, scale):
        y = self.a(x, shift=more['list'][1])
        z = self.b(y['y'] * scale, shift=more['list'][0])
        return {'first': (y['y'], [z['y'], None]), 'size': x.shape[0], 'x': z['x'], 'three': 3}


@program({'conv.weight': [1, 3], 'fc.weight': [1, 1], 'e.weight': [1, 1], 'w': [0, 0], 'x3.weight': [1, 1], 'bank': [1, 1]}, ONE, ({0: D('batch', 64)}, {0: D('batch', 64)}),
         lambda g, b: (rand(g, b, 4, 6, 6), ints(g, 50, b)), decompose=True)
class Core(nn.Module):
    """After run_decompositions: convolution, permute, addmm, mm, views and expands around bmm."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.e, self.x3, self.w, self.bank = nn.Conv2d(4, 8, 3), nn.Linear(128, 64), nn.Embedding(50, 64), nn.Linear(64, 64, bias=False), weight(64, 64), weight(1, 64, 48)

    def forward(self, x, i):
        y = self.fc(self.conv(x).relu().flatten(1)) + self.e(i)
        z = self.x3(y.unsqueeze(1).expand(-1, 3, -1)) + y.unsqueeze(1) @ self.w
        return y @ self.w, z, torch.bmm(z.flatten(0, 1).unsqueeze(0), self.bank)
