#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Export the small programs of testdata/pt2/programs: each uses its weights in other ways. Needs torch 2.13.

  make_programs.py [--out DIR]

tests/unit/test_pt2_uses.c says what must be found in them. Values do not matter: all are zero, and the archives deflated.
"""
import argparse
import io
import json
import pathlib
import zipfile

import torch
import torch.nn.functional as F
from torch import nn
from torch._higher_order_ops.map import map as control_map
from torch.export import Dim, export

P = nn.Parameter


def weight(*shape):
    return P(torch.randn(*shape))


class Products(nn.Module):
    """One parameter for each kind of product; the size 32 is summed unless said otherwise."""
    def __init__(self):
        super().__init__()
        self.linear = weight(48, 32)
        self.right = weight(32, 48)            # x @ right
        self.left = weight(48, 32)             # left @ x.T
        self.turned = weight(48, 32)           # x @ turned.T
        self.stored_turned = P(torch.randn(48, 32).t())  # strides (1, 32)
        self.added = weight(3, 48)             # addmm's first argument
        self.addmm = weight(32, 48)
        self.experts = weight(2, 48, 32)       # bmm with the last two swapped
        self.batch = weight(2, 32, 48)         # bmm as it is
        self.vector = weight(32)
        self.inner = weight(48, 32)
        self.dots = weight(4, 8, 48)           # tensordot over the first two
        self.input = weight(5, 32)             # linear's input, and its weight comes from the user

    def forward(self, x, w):
        a = F.linear(x, self.linear) + x @ self.right + (self.left @ x.t()).t() + x @ self.turned.t() + x @ self.stored_turned.mT.mT
        b = torch.addmm(self.added, x, self.addmm)
        y = x.expand(2, 3, 32)
        c = torch.bmm(y, self.experts.transpose(-1, 1)) + torch.bmm(y, self.batch)
        d = torch.mv(x, self.vector), torch.inner(x, self.inner), torch.tensordot(x.view(3, 4, 8), self.dots, dims=([1, 2], [0, 1]))
        return a, b, c, *d, F.linear(self.input, w)


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv1d(4, 8, 3, padding="same")
        self.c2 = nn.Conv2d(4, 8, 3)
        self.c3 = nn.Conv3d(4, 8, 2)
        self.grouped = nn.Conv2d(8, 16, 3, groups=2)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.t1 = nn.ConvTranspose1d(4, 8, 3)
        self.t2 = nn.ConvTranspose2d(4, 8, 3)
        self.turned = weight(8, 3, 3, 4)       # stored as output, height, width, input
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x, l, v):
        y = self.norm(self.c2(x))
        z = F.conv2d(x, self.turned.permute(0, 3, 1, 2))
        return self.c1(l), self.grouped(y) , self.depthwise(y), self.c3(v), self.t1(l), self.t2(x), z


class Tables(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 32)
        self.bag = nn.EmbeddingBag(20, 32, mode="sum")
        self.picked = weight(20, 32)           # index_select
        self.indexed = weight(20, 4, 8)        # table[i]
        self.positions = weight(1, 20, 32)     # cut, and added
        self.gathered = weight(20, 32)

    def forward(self, i):
        e = self.words(i)
        g = torch.gather(self.gathered, 0, i.flatten().unsqueeze(1).expand(-1, 32))
        return e + self.positions[:, : i.shape[1]], self.bag(i), self.picked.index_select(0, i.flatten()), self.indexed[i], g


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(40, 32)
        self.head = nn.Linear(32, 40, bias=False)
        self.head.weight = self.e.weight
        self.twice = weight(32, 32)            # summed over either axis
        base = torch.randn(64, 32)
        self.whole = P(base)                   # two views of one storage that are not the same
        self.part = P(base[:32])

    def forward(self, i):
        x = self.e(i)
        return self.head(x), x @ self.twice + x @ self.twice.t(), F.linear(x, self.whole), F.linear(x, self.part)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 16, bidirectional=True, proj_size=4)
        self.gru = nn.GRU(8, 16)
        self.rnn = nn.RNN(8, 16)
        self.cell = nn.LSTMCell(8, 16)

    def forward(self, x):
        return self.lstm(x)[0], self.gru(x)[0], self.rnn(x)[0], self.cell(x[0])[0]


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(32, 32)
        self.b = weight(32, 48)
        self.c = weight(32, 32)
        self.deep = weight(32, 32)

    def forward(self, x):
        def deeper(x):
            return torch.cond(x.sum() > 1, lambda x: x @ self.deep.t(), lambda x: x.cos(), (x,))
        y = torch.cond(x.sum() > 0, lambda x: F.linear(self.a(x), self.b.t()), lambda x: deeper(x) @ self.b, (x,))
        return y, x @ self.c


class Quiet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = weight(48, 32)
        self.through = weight(32, 48)          # turned inside, summed outside
        self.rows = weight(3, 32, 16)          # map: one matrix each time
        self.whole = weight(16, 32)            # the same one each time

    def forward(self, x):
        with torch.no_grad():
            y = F.linear(x, self.inside)
            t = self.through.t()
        z = control_map(lambda w, x, v: x @ w @ v, self.rows, x, self.whole)
        return y, F.linear(x, t), z


class Sums(nn.Module):
    """einsum and attention."""
    def __init__(self):
        super().__init__()
        self.heads = weight(4, 8, 32)          # out heads, size; summed over the last
        self.out = weight(4, 8, 32)            # summed over the first two
        self.apart = weight(4, 32, 8)          # first and last: no neighbours
        self.q = weight(1, 4, 6, 8)
        self.v = weight(1, 4, 5, 8)
        self.bilinear = nn.Bilinear(32, 8, 5)

    def forward(self, x):
        h = torch.einsum("b t d, h k d -> b h t k", x, self.heads)
        o = torch.einsum("...htk,hkd->...td", h, self.out)
        a = torch.einsum("bhtk,hdk->btd", h, self.apart)
        k = h[:1, :, :5]
        s = F.scaled_dot_product_attention(self.q, k, self.v)
        return o, a, s, self.bilinear(x, h[:, 0])


@torch.library.custom_op("transformers::grouped_mm_fallback", mutates_args=(), schema="(Tensor input, Tensor weight, Tensor offs) -> Tensor")
def grouped(input, weight, offs):
    """What the transformers package has for experts: rows up to offs[i] are for weight[i]."""
    groups = torch.bucketize(torch.arange(input.shape[0]), offs, right=True)
    return torch.bmm(input.unsqueeze(1), weight[groups]).squeeze(1)


@grouped.register_fake
def _(input, weight, offs):
    return input.new_empty(input.shape[0], weight.shape[2])


class Chained(nn.Module):
    """Products of several, masks, experts of another package's operator."""
    def __init__(self):
        super().__init__()
        self.first = weight(48, 3)             # what comes first in a chain is summed with what follows it
        self.middle = weight(32, 16)
        self.last = weight(16, 48)
        self.lower = weight(48, 32)            # tril
        self.masked = weight(48, 32)           # where(mask, 0, masked), which masked_fill is decomposed to
        self.experts = weight(2, 48, 32)       # turned: experts, input, output
        self.yes, self.no = weight(48, 32), weight(48, 32)  # one of them is taken
        self.bilinear = nn.Bilinear(32, 8, 5)
        self.register_buffer("written", torch.zeros(1, 32))
        self.register_buffer("mask", torch.zeros(48, 32, dtype=torch.bool))

    def forward(self, x, offs):
        a = torch.linalg.multi_dot([x, self.middle, self.last]), torch.linalg.multi_dot([self.first, x, self.middle])
        b = F.linear(x, self.lower.tril()) + F.linear(x, torch.where(self.mask, 0.0, self.masked))
        c = torch.ops.transformers.grouped_mm_fallback(x, self.experts.transpose(1, 2), offs)
        d = self.bilinear(x, x[:, :8])
        torch.broadcast_tensors(self.written, self.written)[0].add_(1)
        one = torch.cond(x.sum() > 0, lambda a, b: a * 2, lambda a, b: b.clone(), (self.yes, self.no))
        return *a, b, c, d, F.linear(x, self.written), F.linear(x, one)


class Changed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(32, 32))
        self.register_buffer("cache", torch.zeros(4, 32))
        self.register_buffer("copied", torch.ones(32, 32))
        shared = torch.randn(64, 32)
        self.register_buffer("written_half", shared[:32])
        self.register_buffer("other_half", shared[32:])
        self.norm = nn.BatchNorm1d(32)

    def forward(self, x):
        self.count.add_(1.0)
        self.cache[1:3].copy_(x[:2])           # through a view
        self.written_half.t().mul_(2)
        c = self.copied.clone()
        c.add_(1.0)                            # a copy is no change
        return self.norm(x) @ self.count, F.linear(x, self.other_half), F.linear(x, self.cache), F.linear(x, c)


@torch.library.custom_op("mxq_sample::update", mutates_args={"state"})
def update(state: torch.Tensor, x: torch.Tensor) -> None:
    state.add_(x.mean())


@update.register_fake
def _(state, x):
    return None


class Written(nn.Module):
    """Ways to write that no name with an underscore on the weight itself tells."""
    def __init__(self):
        super().__init__()
        for name in "state", "diagonal", "unfolded", "least":
            self.register_buffer(name, torch.zeros(32, 32))
        self.frozen = P(torch.zeros(32, 32), requires_grad=False)
        self.register_buffer("at", torch.zeros(32, 32, dtype=torch.int64))

    def forward(self, x):
        torch.ops.mxq_sample.update(self.state, x)       # an operator that is not PyTorch's
        torch.ops.mxq_sample.update(x.clone(), self.frozen)
        self.diagonal.diagonal().fill_(0)
        self.unfolded.unfold(0, 2, 2).add_(1)
        torch.sort(x, out=(self.least, self.at))
        return [F.linear(x, w) for w in (self.state, self.diagonal, self.unfolded, self.least, self.frozen)]


class Views(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = weight(96, 32)              # in three pieces along the first axis
        self.split = weight(32, 64)            # in two along the last, each turned
        self.one = weight(3, 16, 32)           # select
        self.flat = weight(4, 8, 16)           # the first two put together and summed
        self.unflat = weight(24, 32)           # the first taken apart, the last summed
        self.torn = weight(24, 32)             # the last taken apart, a part of it summed
        self.back = weight(2, 3, 4, 32)        # reshaped and taken apart again as it was
        self.short = P(torch.zeros(24, 32, dtype=torch.bfloat16))  # cast
        self.scaled = weight(24, 32)           # times a number, and a mask
        self.register_buffer("mask", torch.ones(24, 32))
        self.joined_a = weight(24, 32)
        self.joined_b = weight(8, 32)
        self.wide = weight(1, 32, 16)          # expanded for bmm
        self.moved = weight(32, 4, 6)          # movedim, flatten
        self.strided = weight(24, 32)
        self.slice = weight(40, 64)            # rows and columns cut off

    def forward(self, x):
        q, k, v = self.qkv.chunk(3)
        a = F.linear(x, q) + F.linear(x, k) + F.linear(x, v)
        s0, s1 = self.split.split(32, 1)
        b = x @ s0 + F.linear(x, s1.t())
        c = x[:, :16] @ self.one[1]
        d = x @ self.flat.flatten(0, 1)
        e = torch.einsum("bd,hkd->bhk", x, self.unflat.view(3, 8, 32))
        f = F.linear(x[:, :8], self.torn.view(24, 4, 8)[:, 1])
        g = F.linear(x, self.back.reshape(6, 4, 32).reshape(24, 32).view(2, 12, 32)[1])
        h = F.linear(x, self.short.float()) + F.linear(x, self.scaled * 0.5 * self.mask)
        i = F.linear(x, torch.cat([self.joined_a, self.joined_b]))
        j = torch.bmm(x.expand(2, 3, 32), self.wide.expand(2, 32, 16))
        k = F.linear(x, self.moved.movedim(0, -1).flatten(0, 1))
        l = F.linear(x, torch.as_strided(self.strided, (24, 32), (32, 1)))
        return a, b, c, d, e, f, g, h, i, j, k, l, F.linear(x, self.slice[8:, :32])


class Elementwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.added = weight(3, 32)
        self.gate = weight(3, 32)
        self.unused = weight(32, 32)
        self.returned = weight(4, 32)
        self.measured = weight(4, 32)          # only its size
        self.summed = weight(4, 32)

    def forward(self, x):
        return x + self.added, x * torch.sigmoid(self.gate), self.returned, x.new_zeros(self.measured.shape[0]), self.summed.sum()


class Dynamic(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = weight(48, 32)
        self.e = weight(48, 32)

    def forward(self, x, flag, scale):
        b, t, d = x.shape
        y = F.linear(x * scale, self.w) if flag else x
        z = torch.matmul(x, self.e.t().expand(b, 32, 48))
        return y, z, torch.cat([x, x], 1)[:, 1:], 3, b


MX = {  # name: shape, axes; all MXFP8 E4M3
    "last": ((48, 64), (1, 1)), "first": ((64, 64), (0, 0)), "filters": ((8, 32, 1, 2), (1, 3)), "middle": ((2, 64, 16), (1, 1)),
    "ragged": ((48, 40), (1, 1)),
}


class Decoded(nn.Module):
    """MX weights with a manifest, decoded by the program."""
    def __init__(self):
        super().__init__()
        for name, (shape, (first, last)) in MX.items():
            outer = shape[:first] + shape[last + 1 :]
            blocks = (torch.Size(shape[first : last + 1]).numel() + 31) // 32
            self.register_buffer(f"{name}_codes", torch.zeros(*outer, 32 * blocks, dtype=torch.uint8).view(torch.float8_e4m3fn))
            self.register_buffer(f"{name}_scales", torch.full((*outer, blocks), 127, dtype=torch.uint8).view(torch.float8_e8m0fnu))

    def weight(self, name):
        shape, (first, last) = MX[name]
        codes, scales = getattr(self, f"{name}_codes").float(), getattr(self, f"{name}_scales").float()
        outer, run = shape[:first] + shape[last + 1 :], shape[first : last + 1]
        flat = (codes.reshape(*scales.shape, 32) * scales.unsqueeze(-1)).reshape(*outer, -1)
        w = flat[..., : torch.Size(run).numel()].reshape(*outer, *run)
        order = [*range(first), *range(len(outer), len(shape)), *range(first, len(outer))]
        return w.permute(order).contiguous()

    def forward(self, x, image):
        y = torch.bmm(x.expand(2, *x.shape), self.weight("middle"))
        return F.linear(x, self.weight("last")), x @ self.weight("first"), F.conv2d(image, self.weight("filters")), y, F.linear(x[:, :40], self.weight("ragged"))


def manifest():
    return json.dumps({"mx": {"version": 1, "tool": "make_programs.py", "tensors": {
        name: {"format": "mxfp8-e4m3", "codes": f"{name}_codes", "scales": f"{name}_scales", "shape": list(shape), "axes": list(axes), "block": 32,
               "layout": "bytes", "source_dtype": "f32"} for name, (shape, axes) in MX.items()}, "kept": {}, "metadata": {}}})


class Norm(nn.Module):
    """Written as batch norm trains."""
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(32)
        self.fc = nn.Linear(32, 8)

    def forward(self, x):
        return self.fc(self.norm(x))


def forget_sources(ep):
    """Where the source lies says nothing about the program."""
    for module in ep.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for key in ("stack_trace", "source_fn_stack", "from_node"):
                    node.meta.pop(key, None)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "programs")
    out = args.parse_args().out

    def save(name, module, inputs, train=False, functional=False, custom=None, **options):
        module = module()
        with torch.no_grad():
            for tensor in [*module.parameters(), *module.buffers()]:
                if tensor.element_size() > 1:
                    tensor.zero_()
        ep = export(module.train(train), inputs, **options)
        if functional:
            ep = ep.run_decompositions()
        forget_sources(ep)
        buffer = io.BytesIO()
        torch.export.save(ep, buffer)
        with zipfile.ZipFile(buffer) as made, zipfile.ZipFile(out / f"{name}.pt2", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as small:
            for member in made.infolist():
                info = zipfile.ZipInfo(member.filename, (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                data = made.read(member)
                if custom and member.filename.endswith("models/model.json"):
                    program = json.loads(data)
                    program["graph_module"]["metadata"]["custom"] = custom
                    data = json.dumps(program)
                small.writestr(info, data)

    x = torch.randn(3, 32)
    save("written", Written, (torch.randn(32, 32),))
    save("products", Products, (x, torch.randn(6, 32)))
    save("products_core", Products, (x, torch.randn(6, 32)), functional=True)
    images = (torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6), torch.randn(2, 4, 4, 4, 4))
    save("convolutions", Convolutions, images)
    save("convolutions_core", Convolutions, images, functional=True)
    save("tables", Tables, (torch.zeros(2, 5, dtype=torch.long),))
    save("tied", Tied, (torch.arange(5),))
    save("recurrent", Recurrent, (torch.randn(3, 2, 8),))
    save("branches", Branches, (torch.randn(5, 32),))
    save("quiet", Quiet, (torch.randn(5, 32),))
    save("sums", Sums, (torch.randn(2, 6, 32),))
    save("chained", Chained, (x, torch.tensor([1, 3])))
    save("chained_core", Chained, (x, torch.tensor([1, 3])), functional=True)
    save("changed", Changed, (torch.randn(4, 32),))
    save("changed_core", Changed, (torch.randn(4, 32),), functional=True)
    save("views", Views, (x,))
    save("elementwise", Elementwise, (x,))
    b, t = Dim("b", min=2, max=64), Dim("t", min=2, max=1024)
    save("dynamic", Dynamic, (torch.randn(2, 4, 32), True, 2.0), dynamic_shapes=({0: b, 1: 2 * t}, None, None))
    save("decoded", Decoded, (torch.randn(3, 64), torch.randn(1, 32, 4, 4)), custom=manifest())
    save("norm_train", Norm, (torch.randn(4, 32),), train=True)


if __name__ == "__main__":
    main()
