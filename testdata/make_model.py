#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the small language model of testdata, export it, and measure weights on it.

  make_model.py [--out DIR]      print the text, train the tokenizer and the model, write
                                 tokenizer.json heldout.txt model.safetensors model.pt2
  make_model.py --export         write model.pt2 again from model.safetensors
  make_model.py --eval FILE...   held-out loss of each FILE: weights in safetensors, an archive that
                                 returns a state dict, or an archive that holds the whole program

Needs torch and safetensors; training also needs the Debian packages bible-kjv and bible-kjv-text.
ORIGIN.md says where the text comes from and which figures this script reached.
"""
import argparse
import collections
import hashlib
import json
import math
import pathlib
import re
import subprocess
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
SEED = 1611
THREADS = 2
VOCAB, DIM, LAYERS, HEADS, KV_HEADS = 512, 96, 3, 4, 2
HEAD_DIM = DIM // HEADS
HIDDEN = 260  # on purpose no multiple of 32: down_proj's rows end in a ragged block
LENGTH, BATCH, STEPS, WARMUP, RATE, DECAY = 256, 8, 4000, 100, 8e-3, 0.1
HELD_OUT_EVERY = 80  # chapters

# ---- text ---------------------------------------------------------------------------------------


def chapters():
    """The King James text as a list of chapters: one verse a line, without the references."""
    try:
        out = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], stdin=subprocess.DEVNULL,
                             capture_output=True, check=True).stdout.decode("ascii")
    except FileNotFoundError:
        sys.exit("make_model.py: no command `bible`: apt-get install bible-kjv bible-kjv-text")
    found = {}
    for line in out.splitlines():
        place, verse = line.split(" ", 1)
        found.setdefault(place.split(":")[0], []).append(verse)
    if len(found) != 1189:
        sys.exit(f"make_model.py: `bible` printed {len(found)} chapters, not 1189")
    return ["\n".join(verses) for verses in found.values()]


def split_text(every):
    held = every[HELD_OUT_EVERY // 2::HELD_OUT_EVERY]
    names = set(held)
    return [c for c in every if c not in names], held


# ---- tokenizer: byte-pair merges inside words, in the JSON form of the `tokenizers` package -------

WORDS = r"\n| ?[A-Za-z]+| ?[^A-Za-z \n]+| +"
START, UNKNOWN = "<s>", "<unk>"


def train_tokenizer(text, size):
    counts = collections.Counter(re.findall(WORDS, text))
    words = [(list(w), n) for w, n in sorted(counts.items())]
    tokens = [START, UNKNOWN] + sorted(set(text))
    merges = []
    while len(tokens) < size:
        pairs = collections.Counter()
        for parts, n in words:
            for pair in zip(parts, parts[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(list(best))
        tokens.append("".join(best))
        for parts, _ in words:
            merge(parts, best)
    special = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False, "special": True} for i, t in enumerate((START, UNKNOWN))]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False},
        "post_processor": None, "decoder": {"type": "Fuse"},
        "model": {"type": "BPE", "dropout": None, "unk_token": UNKNOWN, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges},
    }


def merge(parts, pair):
    i = 0
    while i < len(parts) - 1:
        if parts[i] == pair[0] and parts[i + 1] == pair[1]:
            parts[i:i + 2] = [pair[0] + pair[1]]
        i += 1


class Tokenizer:
    def __init__(self, spec):
        self.ids = spec["model"]["vocab"]
        self.rank = {tuple(m): i for i, m in enumerate(spec["model"]["merges"])}
        self.words = re.compile(spec["pre_tokenizer"]["pattern"]["Regex"])
        self.cache = {}

    def word(self, word):
        if word not in self.cache:
            parts = list(word)
            while len(parts) > 1:
                best = min(zip(parts, parts[1:]), key=lambda p: self.rank.get(p, math.inf))
                if best not in self.rank:
                    break
                merge(parts, best)
            self.cache[word] = [self.ids.get(p, self.ids[UNKNOWN]) for p in parts]
        return self.cache[word]

    def encode(self, text):
        """A chapter each, opened by the start token."""
        out = []
        for chapter in text:
            out.append(self.ids[START])
            for word in self.words.findall(chapter):
                out.extend(self.word(word))
        return torch.tensor(out)


# ---- model: names and layout as in Llama checkpoints ----------------------------------------------


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * self.weight


def linear(rows, cols):
    layer = nn.Linear(cols, rows, bias=False)
    nn.init.normal_(layer.weight, std=cols ** -0.5)
    return layer


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = linear(HEADS * HEAD_DIM, DIM)
        self.k_proj = linear(KV_HEADS * HEAD_DIM, DIM)
        self.v_proj = linear(KV_HEADS * HEAD_DIM, DIM)
        self.o_proj = linear(DIM, HEADS * HEAD_DIM)

    def forward(self, x, cos, sin):
        q, k, v = (p(x).unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)
                   for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, dim=1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = linear(HIDDEN, DIM)
        self.up_proj = linear(HIDDEN, DIM)
        self.down_proj = linear(DIM, HIDDEN)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = Attention(), MLP()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(), RMSNorm()

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, DIM)
        nn.init.normal_(self.embed_tokens.weight, std=0.5)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RMSNorm()
        self.register_buffer("inv_freq", 1e4 ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM), persistent=False)

    def forward(self, tokens):
        angles = torch.arange(tokens.shape[1]).unsqueeze(1) * self.inv_freq
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos(), angles.sin()
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Decoder()
        self.lm_head = linear(VOCAB, DIM)

    def forward(self, tokens):
        return self.lm_head(self.model(tokens))


# ---- training -------------------------------------------------------------------------------------


def train(model, data, steps):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": gains, "weight_decay": 0.0}],
                            lr=RATE, betas=(0.9, 0.98), eps=1e-9)
    # Each epoch cuts the text at another offset and visits its windows in another order.
    gen = torch.Generator().manual_seed(SEED)
    queue, recent, begun = [], collections.deque(maxlen=100), time.monotonic()
    model.train()
    for step in range(steps):
        if len(queue) < BATCH:
            first = int(torch.randint(LENGTH, (1,), generator=gen))
            starts = torch.arange(first, len(data) - LENGTH, LENGTH)
            queue = starts[torch.randperm(len(starts), generator=gen)].tolist()
        rows = torch.stack([data[s:s + LENGTH + 1] for s in (queue.pop() for _ in range(BATCH))])
        part = (step + 1) / WARMUP if step < WARMUP else 1 - (step - WARMUP) / (steps - WARMUP)
        for group in opt.param_groups:
            group["lr"] = RATE * part
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        recent.append(loss.item())
        if (step + 1) % 50 == 0:
            mean = sum(recent) / len(recent)
            print(f"step {step + 1:5}  loss {mean:.4f}  {time.monotonic() - begun:5.0f} s", flush=True)
    model.eval()
    return sum(recent) / len(recent)


@torch.no_grad()
def held_out_loss(logits, data):
    """Sum of the loss in nats over all tokens but the first, in windows of the training length."""
    whole = (len(data) - 1) // LENGTH * LENGTH
    total = 0.0
    for a, b, rows in ((0, whole, whole // LENGTH), (whole, len(data) - 1, 1)):
        if a < b:
            x, y = data[a:b].view(rows, -1), data[a + 1:b + 1]
            total += F.cross_entropy(logits(x).flatten(0, 1), y, reduction="sum").item()
    return total


def unigram_loss(train_data, data, size):
    """The same sum for a model that knows the frequencies of the training text and nothing else."""
    freq = torch.bincount(train_data, minlength=size).double() + 1
    return -(freq / freq.sum()).log()[data[1:]].sum().item()


# ---- files ----------------------------------------------------------------------------------------


def export(model, path):
    """Save as a PyTorch program of any batch and length: int64 tokens in, f32 logits out."""
    dims = {"tokens": {0: torch.export.Dim("batch", max=4096), 1: torch.export.Dim("length", min=2, max=4096)}}
    sample = torch.arange(16).view(2, 8)
    program = torch.export.export(model, (sample,), dynamic_shapes=dims)
    # Where the nodes were traced differs from machine to machine and says nothing to a user.
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for key in ("stack_trace", "source_fn_stack", "from_node"):
                    node.meta.pop(key, None)
    with open(path, "wb") as file:  # a path would give the folder inside the archive its name
        torch.export.save(program, file)
    with torch.no_grad():
        for shape in ((2, 8), (1, LENGTH), (5, 33)):
            x = torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(SEED))
            if not torch.equal(torch.export.load(path).module()(x), model(x)):
                sys.exit(f"make_model.py: {path} does not compute what the model computes, tokens {shape}")


def load_logits(path):
    if path.suffix == ".safetensors":
        state = load_file(path)
    else:
        program = torch.export.load(path)
        module = program.module()
        if program.graph_signature.user_inputs:
            return module
        state = module()
        if not isinstance(state, dict):
            sys.exit(f"make_model.py: {path}: the archive's program returns no state dict (written with --graph none?)")
    model = Llama().eval()
    model.load_state_dict(state)
    return model


def evaluate(paths):
    text = (HERE / "heldout.txt").read_text().rstrip("\n")
    tokenizer = Tokenizer(json.loads((HERE / "tokenizer.json").read_text()))
    data = tokenizer.encode(text.split("\n\n"))
    for path in paths:
        total = held_out_loss(load_logits(path), data)
        print(f"{path.name}: held-out loss {total / (len(data) - 1):.4f} nats/token, {total / len(text):.4f} nats/char")


def make(out, steps):
    every = chapters()
    training, held = split_text(every)
    # A blank line parts the chapters: evaluate() finds them again.
    (out / "heldout.txt").write_text("\n\n".join(held) + "\n")
    spec = train_tokenizer("\n".join(training), VOCAB)
    (out / "tokenizer.json").write_text(json.dumps(spec, indent=0, ensure_ascii=True) + "\n")
    tokenizer = Tokenizer(spec)
    data, held_data = tokenizer.encode(training), tokenizer.encode(held)
    digest = hashlib.sha256("\n\n".join(every).encode()).hexdigest()
    print(f"text: sha256 {digest}; {len(training)} chapters, {len(data)} tokens to train on; "
          f"{len(held)} chapters, {len(held_data)} tokens held out")
    torch.manual_seed(SEED)
    model = Llama()
    print(f"parameters: {sum(p.numel() for p in model.parameters())}")
    last = train(model, data, steps)
    count, chars = len(held_data) - 1, len("\n\n".join(held))
    for name, total in (("held-out", held_out_loss(model, held_data)), ("unigram", unigram_loss(data, held_data, VOCAB)),
                        ("uniform", count * math.log(VOCAB))):
        print(f"{name} loss: {total / count:.4f} nats/token, {total / chars:.4f} nats/char")
    print(f"training loss, mean of the last 100 steps: {last:.4f} nats/token")
    save_file(model.state_dict(), out / "model.safetensors", metadata={"format": "pt"})
    export(model, out / "model.pt2")


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--out", type=pathlib.Path, default=HERE, help="folder for the files (default: beside this script)")
    cli.add_argument("--steps", type=int, default=STEPS, help=f"steps of training (default {STEPS})")
    cli.add_argument("--export", action="store_true", help="write model.pt2 from model.safetensors, train nothing")
    cli.add_argument("--eval", type=pathlib.Path, nargs="+", metavar="FILE", help="print the held-out loss of FILE")
    args = cli.parse_args()
    if args.steps < 1:
        cli.error("--steps must be at least 1")
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    if args.eval:
        evaluate(args.eval)
    elif args.export:
        export(load_logits(args.out / "model.safetensors"), args.out / "model.pt2")
    else:
        make(args.out, args.steps)


if __name__ == "__main__":
    main()
