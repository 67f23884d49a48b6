#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Container bytes as other tools make them, from what stands in this folder: make_layouts.py WHEELS OUTDIR
WHEELS: a folder into which these wheels were unpacked, each in a folder of the name given: torchao-0.12 (torchao 0.12.0), torchao-0.18 (0.18.0),
fbgemm (fbgemm-gpu-cpu 1.9.0), mlx (mlx and mlx-cpu 0.32.4), quark (amd-quark 0.13), aiter (amd-aiter 0.1.7.post2.dev18). Needs torch 2.13.0, numpy.
Only the functions named are run: they are taken out of the packages' sources, since not all of these can be imported side by side."""
import ast, importlib, pathlib, sys
import numpy as np
import torch

here, wheels, out = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def functions(path, *names):
    tree = ast.parse((wheels / path).read_text())
    keep = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    for n in keep: n.decorator_list = []; n.returns = None
    space = {'torch': torch, 'Tensor': torch.Tensor}
    exec(compile(ast.Module([ast.parse('from __future__ import annotations').body[0]] + keep, []), path, 'exec'), space)
    return [space[n] for n in names]


def load(name): return np.fromfile(here / name, np.uint8)


def save(name, array):
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    np.ascontiguousarray(array).view(np.uint8).tofile(out / name)
    print(name, (out / name).stat().st_size)


def nibbles(q): return np.stack([q & 15, q >> 4], -1).reshape(160, 128)


def sixes(q):
    w = q.reshape(-1, 3).astype(np.uint32); w = w[:, 0] | w[:, 1] << 8 | w[:, 2] << 16
    return np.stack([w & 63, w >> 6 & 63, w >> 12 & 63, w >> 18], -1).astype(np.uint8).reshape(-1, 128)


x = np.fromfile(here / 'inputs/layout.f32', np.float32).reshape(160, 128)
raw = load('inputs/layout.f32')  # bytes of any kind, where only the order matters

pack4, pack6, _ = functions('torchao-0.12/torchao/prototype/mx_formats/kernels.py', 'pack_uint4', 'pack_uint6_pytorch', 'down_size')
save('torchao-0.12/layout.e2m1.160x128.pack_uint4.bin', pack4(torch.from_numpy(nibbles(load('torchao/layout.e2m1.rceil.160x128.qdata.bin')))).numpy())
save('torchao-0.12/layout.e2m3.160x128.pack_uint6.bin', pack6(torch.from_numpy(sixes(load('compressed-tensors/layout.e2m3.160x128.weight_packed.bin')))).numpy())
save('torchao-0.12/layout.e3m2.32x128.pack_uint6.bin', pack6(torch.from_numpy(sixes(load('quark/layout.e3m2.32x128.weight.bin')))).numpy())

blocked, _ = functions('torchao-0.18/torchao/prototype/mx_formats/utils.py', 'to_blocked', 'ceil_div')
blocked.__globals__['ceil_div'] = _
for rows, columns in ((300, 21), (128, 64), (1, 90)):
    s = torch.from_numpy(raw[:rows * columns].reshape(rows, columns).copy())
    save(f'torchao-0.18/layout.scale.{rows}x{columns}.to_blocked.bin', blocked(s, use_triton_kernel=False).numpy())

shuffles = (('aiter', *functions('aiter/aiter/utility/fp4_utils.py', 'e8m0_shuffle')),
            ('quark', *functions('quark/quark/torch/quantization/nn/modules/flydsl_a8w4_inference_linear.py', '_shuffle_e8m0_scale')))
for who, shuffle in shuffles:
    for rows, columns in ((256, 16), (96, 88)):  # the rows that the tool adds to come to 256 are left out
        s = torch.from_numpy(raw[:rows * columns].reshape(rows, columns).copy())
        save(f'{who}/layout.scale.{rows}x{columns}.shuffled.bin', shuffle(s).numpy().reshape(-1)[:rows * columns])

sys.path.insert(0, str(wheels / 'mlx'))
import mlx.core as mx
for mode, name in (('mxfp4', 'e2m1'), ('mxfp8', 'e4m3')):
    w, s = mx.quantize(mx.array(x), group_size=32, mode=mode)
    save(f'mlx/layout.{name}.160x128.weight.bin', np.array(w)); save(f'mlx/layout.{name}.160x128.scales.bin', np.array(s))

import types  # the package's own start wants its native library; the two files do not
for name in ('fbgemm_gpu', 'fbgemm_gpu.triton'):
    sys.modules[name] = types.ModuleType(name); sys.modules[name].__path__ = [str(wheels / 'fbgemm' / name.replace('.', '/'))]
ref = importlib.import_module('fbgemm_gpu.triton.quantize_ref'); common = importlib.import_module('fbgemm_gpu.triton.common')
q = ref.py_quantize_mx4(torch.from_numpy(x.reshape(-1).copy()), 32, rounding_mode=common.RoundingMode.even)
save('fbgemm/layout.ref-even.160x128.bin', q.numpy())
