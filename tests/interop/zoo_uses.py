# SPDX-License-Identifier: MIT
"""How weights are used: by several operators, through views, in slices of one storage, in rows that are no whole blocks."""
import torch
import torch.nn.functional as F
from torch import nn

from zoo_entry import D, ONE, ints, program, rand, weight, ANY


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
