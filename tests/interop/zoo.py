# SPDX-License-Identifier: MIT
"""Programs of all the kinds that people export, small and the same each time: what they are, inputs of several sizes, and the axis of each weight.

An axis is derived by hand from the operator that the weight feeds: the axes that it sums over. None: the weight must stay as it is;
ANY: either is right, but the values must be those of the axis that `plan` states.
"""
import os
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

ANY = 'any'
ZOO = {}


class Program:
    def __init__(self, name, build, axes, inputs, dynamic, kwargs, **options):
        self.name, self.build, self.axes, self.inputs, self.dynamic, self.kwargs, self.options = name, build, axes, inputs, dynamic, kwargs, options

    def examples(self):
        """(args, kwargs) of several sizes, none of them the one it was exported with."""
        for i, sizes in enumerate(self.inputs[1:]):
            yield self.example(sizes, 100 + i)

    def example(self, sizes, seed):
        g = torch.Generator().manual_seed(seed)
        made = self.kwargs(g, *sizes)
        return made if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict) else (made, {})

    def export(self, path):
        torch.manual_seed(len(self.name) * 1000 + sum(map(ord, self.name)))
        module = self.build()
        module.train(self.options.get('train', False))
        args, kwargs = self.example(self.inputs[0], 7)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            ep = torch.export.export(module, args, kwargs, dynamic_shapes=self.dynamic, preserve_module_call_signature=self.options.get('preserve', ()))
            if self.options.get('decompose'):
                ep = ep.run_decompositions()
            if self.options.get('edit'):
                self.options['edit'](ep)
            torch.export.save(ep, path)
        return path


def program(axes, inputs, dynamic, example, **options):
    """The decorated class or function builds the module."""
    def add(build):
        name = build.__name__.lower()
        ZOO[name] = Program(name, build, axes, inputs, dynamic, example, **options)
        return build
    return add


def rand(g, *shape, dtype=torch.float32):
    return torch.randn(shape, generator=g).to(dtype)


def ints(g, top, *shape):
    return torch.randint(top, shape, generator=g)


def weight(*shape, dtype=torch.float32):
    """Rows of several sizes, so that the scales differ."""
    w = torch.randn(shape) * torch.exp2(torch.randint(-3, 3, shape[:1] + (1,) * (len(shape) - 1)).float()) / shape[-1] ** 0.5
    return nn.Parameter(w.to(dtype))


def D(name, top=512, low=1):
    return Dim(name, min=low, max=top)


ONE = [(3,), (1,), (2,), (17,)]
TWO = [(2, 7), (1, 3), (3, 5), (2, 19)]


# ---- plain networks ----------------------------------------------------------------------------------------------------

@program({'0.weight': [1, 1], '2.weight': [1, 1], '4.weight': [1, 1]}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 64),))
def MLP():
    return nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64, bias=False), nn.Tanh(), nn.Linear(64, 10))


@program({'q.weight': [1, 1], 'kv.weight': [1, 1], 'o.weight': [1, 1], 'up.weight': [1, 1], 'down.weight': [1, 1], 'pos': None}, TWO,
         ({0: D('batch', 64), 1: D('seq', 48, 2)},), lambda g, b, s: (rand(g, b, s, 64),))
class Transformer(nn.Module):
    """One block, causal, with a learned table of positions that is added, not multiplied."""

    def __init__(self):
        super().__init__()
        self.q, self.kv, self.o = nn.Linear(64, 64), nn.Linear(64, 128), nn.Linear(64, 64, bias=False)
        self.up, self.down = nn.Linear(64, 128), nn.Linear(128, 64)
        self.a, self.b = nn.LayerNorm(64), nn.LayerNorm(64)
        self.pos = weight(48, 64)

    def forward(self, x):
        x = x + self.pos[:x.shape[1]]
        h = self.a(x)
        q = self.q(h).unflatten(-1, (4, 16)).transpose(1, 2)
        k, v = self.kv(h).unflatten(-1, (4, 32)).transpose(1, 2).chunk(2, -1)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.b(x))))


@program({'e.self_attn.in_proj_weight': [1, 1], 'e.self_attn.out_proj.weight': [1, 1], 'e.linear1.weight': [1, 1], 'e.linear2.weight': [1, 1],
          'd.self_attn.in_proj_weight': [1, 1], 'd.self_attn.out_proj.weight': [1, 1], 'd.multihead_attn.in_proj_weight': [1, 1],
          'd.multihead_attn.out_proj.weight': [1, 1], 'd.linear1.weight': [1, 1], 'd.linear2.weight': [1, 1]}, TWO,
         ({0: D('batch', 64), 1: D('seq', 64, 2)}, {0: D('batch', 64), 1: D('seq', 64, 2)}), lambda g, b, s: (rand(g, b, s, 32), rand(g, b, s, 32)))
class Attention(nn.Module):
    """PyTorch's own layers: the three projections are one weight, cut into chunks in the decoder."""

    def __init__(self):
        super().__init__()
        self.e = nn.TransformerEncoderLayer(32, 4, 64, dropout=0, batch_first=True)
        self.d = nn.TransformerDecoderLayer(32, 2, 64, dropout=0, batch_first=True)

    def forward(self, x, y):
        return self.d(x, self.e(y))


@program({'0.weight': [1, 3], '3.weight': [1, 3], '6.weight': [1, 3], '10.weight': [1, 1]}, [(2, 12), (1, 9), (3, 16), (2, 21)],
         ({0: D('batch', 64), 2: D('side', 64, 8), 3: D('side', 64, 8)},), lambda g, b, s: (rand(g, b, 3, s, s),))
def Conv():
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, bias=False), nn.BatchNorm2d(16), nn.SiLU(),
                         nn.Conv2d(16, 32, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 8))


@program({'c1.weight': [1, 2], 'd1.weight': [1, 2], 'g2.weight': [1, 3], 'd2.weight': [1, 3], 'c3.weight': [1, 4], 'g3.weight': [1, 4],
          't1.weight': ANY, 't2.weight': ANY, 't3.weight': ANY}, ONE, ({0: D('batch', 64)},), lambda g, b: (rand(g, b, 8, 12),))
class Grouped(nn.Module):
    """Grouped, depthwise and transposed convolutions of one, two and three dimensions."""

    def __init__(self):
        super().__init__()
        self.c1, self.d1 = nn.Conv1d(8, 16, 5, padding=2), nn.Conv1d(16, 16, 9, padding='same', groups=16)
        self.g2, self.d2 = nn.Conv2d(16, 16, 3, padding=1, groups=4), nn.Conv2d(16, 32, 3, padding=1, groups=16, padding_mode='circular')
        self.c3, self.g3 = nn.Conv3d(8, 8, (1, 3, 3), padding=(0, 1, 1)), nn.Conv3d(8, 8, 3, padding=1, groups=2, dilation=1)
        self.t1, self.t2, self.t3 = nn.ConvTranspose1d(32, 16, 2, stride=2), nn.ConvTranspose2d(8, 8, 3, groups=2), nn.ConvTranspose3d(8, 4, (2, 2, 2))

    def forward(self, x):
        x = self.d1(self.c1(x))
        x = self.d2(self.g2(x.unflatten(2, (3, 4))))
        y = self.g3(self.c3(x.unflatten(1, (8, 4))))
        return self.t1(x.flatten(2)), self.t2(y.flatten(2, 3)), self.t3(y)


@program({'bag.weight': [1, 1], 'mean.weight': [1, 1], 'top.weight': [1, 1], 'word.weight': [1, 1]}, [(4, 10), (1, 3), (7, 30), (2, 2)],
         ({0: D('words', 256)}, {0: D('bags', 64)}), lambda g, b, n: (ints(g, 100, n), torch.arange(b) * n // b))
class EmbeddingBag(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.mean = nn.EmbeddingBag(100, 64, mode='sum', include_last_offset=False), nn.EmbeddingBag(100, 40, mode='mean')
        self.word, self.top = nn.Embedding(100, 64, padding_idx=0), nn.Linear(104, 5)

    def forward(self, words, offsets):
        return self.top(torch.cat([self.bag(words, offsets), self.mean(words, offsets)], -1)) + self.word(words).mean()


@program({'e.weight': [1, 1], 'h.weight': [1, 1], 'mid.weight': [1, 1]}, TWO, ({0: D('batch', 64), 1: D('seq', 64, 2)},), lambda g, b, s: (ints(g, 96, b, s),))
class Tied(nn.Module):
    """The head is the embedding, under two names."""

    def __init__(self):
        super().__init__()
        self.e, self.mid, self.h = nn.Embedding(96, 64), nn.Linear(64, 64), nn.Linear(64, 96, bias=False)
        self.h.weight = self.e.weight

    def forward(self, tokens):
        return self.h(torch.tanh(self.mid(self.e(tokens))))


LSTM_AXES = {f'l.weight_{k}_l{i}{r}': [1, 1] for k in ('ih', 'hh') for i in (0, 1) for r in ('', '_reverse')}


@program({**LSTM_AXES, 'cell.weight_ih': [1, 1], 'cell.weight_hh': [1, 1]}, [(2, 6), (1, 6), (3, 6), (5, 6)], ({0: D('batch', 64)},), lambda g, b, s: (rand(g, b, s, 32),))
class LSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.cell = nn.LSTM(32, 40, num_layers=2, bidirectional=True, batch_first=True), nn.LSTMCell(80, 32)

    def forward(self, x):
        y, (h, c) = self.l(x)
        return y, h, self.cell(y[:, -1])[0]


@program({'g.weight_ih_l0': [1, 1], 'g.weight_hh_l0': [1, 1], 'r.weight_ih_l0': [1, 1], 'r.weight_hh_l0': [1, 1], 'out.weight': [1, 1]}, [(2, 6), (1, 6), (3, 6)],
         ({1: D('batch', 64)},), lambda g, b, s: (rand(g, s, b, 32),))
class GRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.g, self.r, self.out = nn.GRU(32, 64), nn.RNN(64, 32, nonlinearity='relu'), nn.Linear(32, 8)

    def forward(self, x):
        return self.out(self.r(self.g(x)[0])[0])


# ---- how weights are used ----------------------------------------------------------------------------------------------

@program({'both': [1, 1], 'rows': [1, 1], 'clash': ANY, 'part': ANY}, ONE, ({0: D('batch')}, {0: D('batch')}), lambda g, b: (rand(g, b, 64), ints(g, 64, b)))
class Twice(nn.Module):
    """Weights of several operators: of one mind about the axis, of two minds, and one use that no axis is known for."""

    def __init__(self):
        super().__init__()
        self.both, self.rows, self.clash, self.part = weight(64, 64), weight(64, 64), weight(64, 64), weight(64, 64)

    def forward(self, x, i):
        y = F.linear(F.linear(x, self.both).relu(), self.both) + x @ self.both.t()
        z = F.linear(F.embedding(i, self.rows), self.rows)
        return y, z, F.linear(x, self.clash) + x @ self.clash, F.linear(x, self.part) + self.part.sum(0)


@program({'mm': [0, 0], 'mm_t': [1, 1], 'matmul': [0, 0], 'stride': [0, 0], 'stride_t': [1, 1], 'left': [1, 1], 'addmm': [0, 0], 'conv.weight': [1, 3], 'last.weight': [1, 3]}, ONE,
         ({0: D('batch')}, {0: D('batch')}), lambda g, b: (rand(g, b, 64), rand(g, b, 8, 6, 6)))
class Transposed(nn.Module):
    """x @ w, w.t(), weights whose strides are transposed, weights on the left, channels_last."""

    def __init__(self):
        super().__init__()
        self.mm, self.mm_t, self.matmul, self.addmm = weight(64, 48), weight(48, 64), weight(64, 48), weight(64, 48)
        self.stride, self.stride_t = nn.Parameter(weight(48, 64).data.t()), nn.Parameter(weight(64, 48).data.t())
        self.left, self.bias = weight(40, 64), nn.Parameter(torch.randn(48))
        self.conv = nn.Conv2d(8, 16, 3).to(memory_format=torch.channels_last)
        self.last = nn.Conv2d(16, 8, 3, padding=1, groups=2).to(memory_format=torch.channels_last)

    def forward(self, x, image):
        a = torch.mm(x, self.mm) + torch.mm(x, self.mm_t.t()) + x @ self.matmul + x.unsqueeze(0).matmul(self.stride).squeeze(0)
        b = F.linear(x, self.stride_t) + torch.addmm(self.bias, x, self.addmm)
        return a + b, self.left @ x.t(), self.last(self.conv(image))


@program({'reshaped': ANY, 'permuted': ANY, 'part': ANY, 'chunks': [1, 1], 'cast': ANY, 'expanded': ANY, 'scaled': ANY, 'norm.parametrizations.weight.original0': ANY, 'norm.parametrizations.weight.original1': ANY, 'unused': ANY, 'given': ANY},
         ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 64),))
class Views(nn.Module):
    """Between the weight and its operator: reshapes, permutations, slices, chunks, casts, arithmetic."""

    def __init__(self):
        super().__init__()
        self.reshaped, self.permuted, self.part, self.chunks = weight(8, 6, 64), weight(64, 3, 16), weight(96, 64), weight(96, 64)
        self.cast, self.expanded, self.scaled = weight(48, 64, dtype=torch.bfloat16), weight(1, 64, 48), weight(48, 64)
        self.norm = nn.utils.parametrizations.weight_norm(nn.Linear(64, 48))
        self.unused, self.given = weight(40, 64), weight(48, 48)

    def forward(self, x):
        y = F.linear(x, self.reshaped.reshape(48, 64)) + F.linear(x, self.permuted.permute(1, 2, 0).flatten(0, 1)) + F.linear(x, self.part[16:64])
        a, b = self.chunks.chunk(2)
        y = y + F.linear(x, a) + F.linear(x, b) + F.linear(x, self.cast.float()) + torch.bmm(x.unsqueeze(0).expand(3, -1, -1), self.expanded.expand(3, -1, -1)).sum(0)
        return y + F.linear(x, self.scaled * 2) + self.norm(x), self.given


@program({'a': [1, 1], 'b': [2, 2], 'c': [2, 2], 'd': [1, 1], 'ein': ANY, 'ein_e': ANY, 'badd': [1, 1]}, ONE, ({1: D('batch')},), lambda g, b: (rand(g, 3, b, 64),))
class Experts(nn.Module):
    """Weights of three dimensions: bmm both ways, matmul that broadcasts, einsum."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = weight(3, 64, 40), weight(3, 40, 64), weight(3, 40, 64), weight(3, 64, 40)
        self.ein, self.ein_e, self.badd = weight(64, 40), weight(3, 64, 40), weight(3, 64, 40)

    def forward(self, x):
        y = torch.bmm(x, self.a) + torch.bmm(x, self.b.transpose(1, 2)) + x @ self.c.mT + x @ self.d
        return y + torch.einsum('ebd,df->ebf', x, self.ein) + torch.einsum('ebd,edf->ebf', x, self.ein_e), torch.baddbmm(y, x, self.badd)


@program({'a': [1, 1], 'b': [1, 1], 'c': [1, 1]}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 32),))
class Slices(nn.Module):
    """Three weights and a bias that are slices of one storage."""

    def __init__(self):
        super().__init__()
        base = torch.randn(40 * 32 + 32 * 40 + 32 * 32 + 32)
        self.a = nn.Parameter(base[:1280].view(40, 32))
        self.b = nn.Parameter(base[1280:2560].view(32, 40))
        self.c = nn.Parameter(base[2560:3584].view(32, 32))
        self.bias = nn.Parameter(base[3584:])

    def forward(self, x):
        return F.linear(F.linear(F.linear(x, self.a), self.b), self.c, self.bias)


@program({**{f'l.{i}.weight': [1, 1] for i in range(7)}, 'col': [0, 0], 'conv.weight': [1, 3], 'nothing': None}, ONE, (tuple({0: D('batch')} for _ in range(8)),),
         lambda g, b: tuple(rand(g, b, k) for k in (33, 40, 63, 65, 100, 31, 5)) + (rand(g, b, 5, 6, 6),))
class Ragged(nn.Module):
    """Rows whose last block is not whole, and rows of less than one block."""

    def __init__(self):
        super().__init__()
        self.l = nn.ModuleList(nn.Linear(k, 12) for k in (33, 40, 63, 65, 100, 31, 5))
        self.col, self.conv = weight(100, 12), nn.Conv2d(5, 12, 3)
        self.nothing = nn.Parameter(torch.empty(0, 64))

    def forward(self, *xs):
        return sum(f(x) for f, x in zip(self.l, xs)) + xs[4] @ self.col, self.conv(xs[7]), F.linear(xs[0][:, :1].expand(-1, 64), self.nothing)


@program({'0.weight': [1, 1], '1.weight': [1, 1], '2.weight': [1, 1]}, ONE, ({0: D('batch')},), lambda g, b: (rand(g, b, 64),))
def Frozen():
    m = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64))
    m[0].weight.requires_grad_(False)
    m[2].requires_grad_(False)
    return m


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


def language_model(path):
    """The trained model of testdata is an export already."""
    with open('testdata/model.pt2', 'rb') as f, open(path, 'wb') as out:
        out.write(f.read())
    return path


LLAMA_AXES = {'model.embed_tokens.weight': [1, 1], 'lm_head.weight': [1, 1],
              **{f'model.layers.{i}.{w}.weight': [1, 1] for i in range(3) for w in ('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj',
                                                                                  'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj')}}
ZOO['llama'] = Program('llama', None, LLAMA_AXES, [(2, 8), (1, 5), (3, 40), (2, 256)], ({0: D('batch', 4096), 1: D('length', 4096, 2)},), lambda g, b, s: (ints(g, 512, b, s),))
ZOO['llama'].export = language_model


if __name__ == '__main__':
    import sys
    os.makedirs(sys.argv[1], exist_ok=True)
    for each in ZOO.values():
        if len(sys.argv) < 3 or each.name in sys.argv[2:]:
            print(each.export(os.path.join(sys.argv[1], each.name + '.pt2')))
