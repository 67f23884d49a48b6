# SPDX-License-Identifier: MIT
"""Plain networks."""
import torch
import torch.nn.functional as F
from torch import nn

from zoo_entry import D, ONE, TWO, ints, program, rand, weight, ANY


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
