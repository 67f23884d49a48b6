# SPDX-License-Identifier: MIT
"""Inputs: tensors that real checkpoints hold and tensors that nobody wants to meet. Deterministic."""
import keyword

import numpy as np
import torch
from safetensors.torch import save_file

BF, HF, F32 = torch.bfloat16, torch.float16, torch.float32
SHORT = {torch.float32: 'f32', torch.bfloat16: 'bf16', torch.float16: 'f16', torch.float64: 'f64', torch.uint8: 'u8',
         torch.int8: 'i8', torch.int16: 'i16', torch.int32: 'i32', torch.int64: 'i64', torch.bool: 'bool',
         torch.uint16: 'u16', torch.uint32: 'u32', torch.uint64: 'u64', torch.float8_e4m3fn: 'f8_e4m3',
         torch.float8_e5m2: 'f8_e5m2', torch.float8_e8m0fnu: 'f8_e8m0', torch.complex64: 'c64'}
QUANTIZABLE = (F32, BF, HF)


def gauss(seed, *shape, dtype=F32, spread=3.0):
    """Gaussian with a scale of its own for each row, so that block scales differ."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g)
    if len(shape) > 1:
        x *= torch.exp2(torch.randn(shape[:1] + (1,) * (len(shape) - 1), generator=g) * spread)
    return x.to(dtype)


def raw_bits(seed, rows, k, dtype):
    """Every exponent there is: random bit patterns with the non-finite ones made finite."""
    rng = np.random.default_rng(seed)
    if dtype == F32:
        u = rng.integers(0, 1 << 32, (rows, k), dtype=np.uint64).astype(np.uint32)
        keep = (u & 0x7F800000) != 0x7F800000
        return torch.from_numpy(np.where(keep, u, u & 0xFF7FFFFF).astype(np.uint32).view(np.float32))
    top = 0x7F80 if dtype == BF else 0x7C00
    u = rng.integers(0, 1 << 16, (rows, k), dtype=np.uint32).astype(np.uint16)
    u = np.where((u & top) == top, u & (0xFFFF ^ (top & -top)), u).astype(np.uint16)
    return torch.from_numpy(u.view(np.int16)).view(dtype)


def anchored(seed, rows, dtype=F32):
    """Blocks whose amax lies on, next to or between the thresholds of every rule, at exponents over the whole range."""
    rng = np.random.default_rng(seed)
    mants = np.array([0, 1, 0x400000, 0x3FFFFF, 0x400001, 0x5FFFFF, 0x600000, 0x600001, 0x680000, 0x680001, 0x67FFFF, 0x6FFFFF, 0x700000,
                      0x700001, 0x740000, 0x77FFFF, 0x780000, 0x780001, 0x7BFFFF, 0x7C0000, 0x7FFFFF, 0x7FFFFE, 0x7E0000])
    exps = np.concatenate([np.arange(0, 40), np.arange(100, 150), np.arange(225, 255)])
    u = (rng.choice(exps, rows) << 23 | rng.choice(mants, rows)).astype(np.uint32)
    block = rng.standard_normal((rows, 32)) / 4 * np.exp2(-rng.integers(0, 12, (rows, 32)))
    block = np.clip(block, -1, 1).astype(np.float32) * u.view(np.float32)[:, None]
    block[np.arange(rows), rng.integers(0, 32, rows)] = u.view(np.float32) * rng.choice([-1, 1], rows)
    return torch.from_numpy(block.astype(np.float32)).to(dtype)


def grid(seed, rows, dtype=F32):
    """Values on and half-way between element grids of all formats: multiples of 1/128 under a block maximum."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-255, 256, (rows, 32)) * np.exp2(-rng.integers(0, 8, (rows, 32)))
    return torch.from_numpy((steps / 128 * np.exp2(rng.integers(-20, 20, (rows, 1)))).astype(np.float32)).to(dtype)


def numbers():
    """Every finite corner of the number line, in all three source types."""
    out = {}
    for d in (F32, BF, HF):
        n = SHORT[d]
        out[f'bits.{n}'] = raw_bits(1, 256, 32, d)
        out[f'bits_wide.{n}'] = raw_bits(2, 7, 32 * 9, d)
        out[f'gauss.{n}'] = gauss(3, 64, 96, dtype=d, spread=2)
        out[f'grid.{n}'] = grid(4, 512).to(d) if d != HF else grid(4, 512).clamp(-60000, 60000).to(d)
        info = torch.finfo(d)
        corner = torch.zeros(8, 32, dtype=d)
        for i, v in enumerate([info.max, info.smallest_normal, info.smallest_normal / 2, info.tiny * 1.5, -info.max, 1.0, 6.0, 448.0]):
            corner[i, i * 3 % 32] = v
        corner[0, 5], corner[1, 5], corner[5, 5] = -0.0, -0.0, info.smallest_normal
        out[f'corner.{n}'] = corner
        out[f'zero.{n}'] = torch.zeros(4, 64, dtype=d)
        out[f'minus_zero.{n}'] = -torch.zeros(4, 64, dtype=d)
    out['anchored.f32'] = anchored(5, 4096)
    out['anchored.bf16'] = anchored(6, 2048).clamp(-3e38, 3e38).to(BF)
    smallest = torch.zeros(3, 32)
    smallest[0, 0], smallest[1, 1], smallest[2, 2] = 1.4e-45, -2.8e-45, 1.1754942e-38
    out['subnormal.f32'] = smallest
    return out


def shapes():
    """What is quantized, what is kept, and how it is blocked."""
    return {
        'linear.weight': gauss(10, 24, 64), 'linear.bias': gauss(11, 24), 'norm.weight': gauss(12, 64, dtype=BF),
        'ragged.k33': gauss(13, 5, 33), 'ragged.k40': gauss(14, 4, 40, dtype=BF), 'ragged.k63': gauss(15, 3, 63, dtype=HF),
        'ragged.k65': gauss(16, 3, 65), 'ragged.k31': gauss(17, 9, 31), 'ragged.k17': gauss(18, 9, 17), 'ragged.k16': gauss(19, 2, 16, dtype=BF),
        'short.k1': gauss(20, 40, 1), 'short.k2': gauss(21, 40, 2), 'short.k5': gauss(22, 3, 5), 'short.k8': gauss(23, 100, 8, dtype=HF),
        'experts': gauss(24, 4, 6, 64), 'experts.ragged': gauss(25, 3, 2, 40, dtype=BF), 'one_row': gauss(26, 1, 4096), 'one': gauss(27, 1, 1),
        'conv1d': gauss(28, 16, 8, 3), 'conv2d': gauss(29, 8, 16, 3, 3), 'conv2d_bf16': gauss(30, 8, 4, 7, 7, dtype=BF),
        'conv2d_point': gauss(31, 8, 64, 1, 1), 'depthwise': gauss(32, 64, 1, 3, 3), 'conv3d': gauss(33, 4, 3, 2, 3, 3), 'conv_tiny': gauss(34, 9, 1, 1, 1),
        'rows5d': gauss(35, 2, 1, 3, 2, 64, dtype=HF), 'last32': gauss(36, 3, 4, 32), 'last31': gauss(37, 3, 4, 31),
        'zero_rows': torch.zeros(0, 64), 'zero_k': torch.zeros(8, 0), 'zero_1d': torch.zeros(0, dtype=BF), 'zero_3d': torch.zeros(2, 0, 3, dtype=HF),
        'scalar': torch.tensor(1.5), 'scalar.bf16': torch.tensor(-2.5, dtype=BF), 'scalar.i64': torch.tensor(1 << 60),
        'ints.i64': torch.arange(-3, 9).reshape(3, 4), 'ints.i32': torch.arange(64, dtype=torch.int32).reshape(2, 32),
        'ints.i16': torch.arange(8, dtype=torch.int16), 'ints.i8': torch.arange(-8, 8, dtype=torch.int8), 'ints.u8': torch.arange(64, dtype=torch.uint8).reshape(2, 32),
        'ints.u16': torch.arange(8, dtype=torch.int16).view(torch.uint16), 'ints.u32': torch.arange(8, dtype=torch.int32).view(torch.uint32),
        'ints.u64': torch.arange(8, dtype=torch.int64).view(torch.uint64), 'mask': torch.tensor([[True, False], [False, True]]),
        'double': gauss(38, 4, 64).double(), 'fp8.e4m3': gauss(39, 4, 32).to(torch.float8_e4m3fn), 'fp8.e5m2': gauss(40, 4, 32).to(torch.float8_e5m2),
        'e8m0': torch.arange(96, 160).to(torch.uint8).view(torch.float8_e8m0fnu), 'complex': torch.complex(gauss(41, 4), gauss(42, 4)),
    }


def awkward_names(kind='mixed'):
    """Names that PyTorch can hold only with care, and names that it cannot hold at all (contract 4); all of them quantized, all kept, or mixed."""
    names = ['a..b', '.lead', 'trail.', '..', '.', '', 'sp ace.w', ' ', 'sl/ash/w', '0.1.weight', '7', 'ünï.çödé', '重み.値', '😀', 'tab\there', 'new\nline', 'cr\r',
             'quo"te', "apo'strophe", 'back\\slash', 'per%cent', '%', '%41', 'a=b', 'a:b', 'hash#', '-dash', 'x' * 400, 'k.' * 60 + 'w', '\x01\x7f',
             'w', 'w_codes', 'w_scales', 'w_codes_1', 'W', 'pre', 'pre.fix', 'pre.fix.deep', 'type', 'x.half', 'to.w', 'eval', 'meta.w', 'graph.w', 'x.graph.w',
             'forward', 'layer.forward.w', 'training', 'x.training', 'state_dict.w', 'class', 'x.lambda.w', 'None', 'x.True', 't0', 't0_codes', 't1_scales', 't2', 't3_codes',
             'module', 'code', '_modules', '_parameters.w', 'buffers', 'weight', 'bias.weight', '__class__', '__dict__.w', 'self', 'x', 'output', 'lift_fresh', 'mul', 'lut',
             'a_codes.w', 'a', 'ret\rurn', 'self', 'self.w', 'e\u0301.w', '\ufb01', 'x.\u1e9b\u0323', '\u30ab\u3099', '\U0001d431', 'K', '\uff21.w', 'validate_inputs', 'range_constraints.w',
             '_in_spec', '_out_spec.w', '_guards_fn.w', 'x._guards_fn', 'line\u2028sep', '\x0c', '\u200b', '{x}', '%s', '$(x)', '<b>&amp;', 'x.0', '00', '-1', 'a' * 200 + '.é',
             'mx_lut', 'p_w', 'b_w', 'c_lut', 'a__b', 'a-b', 'A.B', 'a.B', '\u00e9', 'e\u0301', '__metadata', 'data', 'model']
    out = {}
    for i, name in enumerate(names):
        quantized = i % 4 < 3 if kind == 'mixed' else kind == 'quantized'
        out[name] = gauss(100 + i, 2, 64, dtype=(F32, BF, HF)[i % 3]) if quantized else gauss(100 + i, 3)
    return out


def torch_words():
    """Every component that an attribute or a keyword of Python could shadow, computed here and now."""
    module = set(dir(torch.nn.Module()))
    graph = set(dir(torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())))
    return sorted(module | set(keyword.kwlist)), sorted(graph - module)


def write(path, tensors, metadata=None):
    save_file({n: t.contiguous() for n, t in tensors.items()}, path, metadata)
    return path


def bits(t):
    """The bytes of a tensor in C order."""
    t = t.detach().contiguous()
    return t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b''


def as_f32(t):
    """float32 numpy array of a float tensor, exactly."""
    return t.float().numpy()


def from_bits(array, dtype):
    """Tensor of dtype from an f32 (float array) or 16-bit pattern array."""
    if dtype == F32:
        return torch.from_numpy(np.ascontiguousarray(array))
    return torch.from_numpy(np.ascontiguousarray(array).view(np.int16)).view(dtype)
