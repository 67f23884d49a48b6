# SPDX-License-Identifier: MIT
"""MX numbers in numpy, written from the standard and the project's contract, never from its C code.

Everything runs on exact float64 (products of a float32 with a power of two, differences on element grids) or on integers.
"""
import numpy as np

BLOCK = 32
# ebits, mbits, bias, emax, largest value; int8 is a fixed-point number of six fraction bits.
ELEMENTS = {
    'e2m1': (2, 1, 1, 2, 6.0), 'e2m3': (2, 3, 1, 2, 7.5), 'e3m2': (3, 2, 3, 4, 28.0),
    'e4m3': (4, 3, 7, 8, 448.0), 'e5m2': (5, 2, 15, 15, 57344.0), 'int8': (0, 6, 0, 0, 127 / 64),
}
FORMATS = {'mxfp4': 'e2m1', 'mxfp6-e2m3': 'e2m3', 'mxfp6-e3m2': 'e3m2', 'mxfp8-e4m3': 'e4m3', 'mxfp8-e5m2': 'e5m2', 'mxint8': 'int8'}
CODE_BITS = {'e2m1': 4, 'e2m3': 6, 'e3m2': 6, 'e4m3': 8, 'e5m2': 8, 'int8': 8}
LAYOUT = {4: 'even-low', 6: 'le24', 8: 'bytes'}
AUTO = {'e2m1': 'rceil-725', 'e2m3': 'even', 'e3m2': 'rceil', 'e4m3': 'rceil', 'e5m2': 'rceil', 'int8': 'floor'}
RULES = {e: ['auto', 'floor', 'ceil', 'mse'] + ([] if e == 'int8' else ['even', 'rceil']) + (['rceil-725'] if e == 'e2m1' else [])
         for e in ELEMENTS}
LARGEST_FINITE = {'f32': 0x7F7FFFFF, 'bf16': 0x7F7F0000, 'f16': 0x477FE000}  # as float32 bits
NAN32 = np.uint32(0x7FC00000)


def amax_bits(blocks):
    """uint32 bits of the largest magnitude of each row of float32."""
    return (blocks.view(np.uint32) & np.uint32(0x7FFFFFFF)).max(axis=1).astype(np.int64)


def scale_byte(element, rule, u):
    """The rule's byte for amax bits u (finite), before the clamp of auto; 255 marks an overflow."""
    _, m, _, emax, top = ELEMENTS[element]
    e, frac = u >> 23, u & 0x7FFFFF
    if rule == 'floor':
        b = e - emax
    elif rule == 'ceil':
        b = e + (frac != 0) - emax
    elif rule == 'even':
        rounded = (u + (1 << (22 - m))) >> 23
        b = np.where(rounded >= 255, 255, rounded - emax)
    elif rule == 'rceil':
        mtop = int(np.float32(top).view(np.uint32)) & 0x7FFFFF
        b = e - emax + (frac > mtop)
        # Where amax / top is an fp32 subnormal the rule is defined through the rounded product.
        product = (u.astype(np.uint32).view(np.float32) * np.float32(1 / np.float32(top))).view(np.uint32).astype(np.int64)
        b = np.where(product < 0x800000, (product > 0x400000).astype(np.int64), b)
    elif rule == 'rceil-725':
        b = e + (frac > 0x680000) - emax
    else:
        raise KeyError(rule)
    return np.where(b == 255, 255, np.clip(b, 0, 254)) if rule == 'even' else np.clip(b, 0, 254)


def to_codes(element, values):
    """Nearest-even codes of float64 values, saturating, sign of zero kept (int8 has one zero)."""
    ebits, m, bias, _, top = ELEMENTS[element]
    if element == 'int8':
        return np.clip(np.rint(values * 64), -127, 127).astype(np.int8).view(np.uint8)
    mag = np.abs(values)
    emin = 1 - bias
    exponent = np.maximum(np.frexp(np.where(mag == 0, 1.0, mag))[1] - 1, emin)
    grid = np.minimum(np.ldexp(np.rint(np.ldexp(mag, m - exponent)), exponent - m), top)
    units = np.ldexp(grid, m - emin)                     # whole number: the subnormal step is the unit
    exponent = np.maximum(np.frexp(np.where(grid == 0, 1.0, grid))[1] - 1, emin)
    normal = (exponent - emin + 1 << m) + (np.ldexp(grid, m - exponent) - (1 << m)).astype(np.int64)
    code = np.where(grid < 2.0 ** emin, units.astype(np.int64), normal)
    return (code | np.signbit(values).astype(np.int64) << (ebits + m)).astype(np.uint8)


def element_values(element):
    """float64 value of every code."""
    ebits, m, bias, _, _ = ELEMENTS[element]
    if element == 'int8':
        return np.arange(256).astype(np.uint8).view(np.int8) / 64.0
    code = np.arange(1 << (1 + ebits + m))
    e, frac = code >> m & (1 << ebits) - 1, code & (1 << m) - 1
    value = np.where(e == 0, np.ldexp(frac.astype(float), 1 - bias - m), np.ldexp(1.0 + frac / (1 << m), e - bias))
    if element == 'e5m2':
        value = np.where(e == 31, np.where(frac == 0, np.inf, np.nan), value)
    if element == 'e4m3':
        value = np.where((e == 15) & (frac == 7), np.nan, value)
    return np.where(code >> (ebits + m) == 1, -value, value)


def _scaled(blocks, b):
    return np.ldexp(blocks.astype(np.float64), (127 - b)[:, None])


def _mse_byte(element, blocks, u):
    floor = scale_byte(element, 'floor', u)
    best, best_error = None, None
    for step in (0, 1):
        b = np.clip(floor + step, 0, 254)
        v = _scaled(blocks, b)
        d = (v - element_values(element)[to_codes(element, v)]).astype(np.float32).astype(np.float64)
        s = d * d
        for half in (16, 8, 4, 2, 1):
            s = s[:, :half] + s[:, half:2 * half]
        error = s[:, 0] * np.where(b > floor, 4.0, 1.0)
        if best is None:
            best, best_error = b, error
        else:
            best = np.where(error < best_error, b, best)
    return best


def encode_blocks(element, blocks, rule='auto', nonfinite='block', source='f32'):
    """blocks: float32 [n, 32]. Returns (bytes uint8 [n], codes uint8 [n, 32], one a byte)."""
    blocks = np.ascontiguousarray(blocks, np.float32)
    finite = np.isfinite(blocks)
    whole = finite.all(axis=1)
    clean = np.where(finite, blocks, np.float32(0))
    u = amax_bits(clean)
    if nonfinite == 'saturate':
        u = np.where(~whole & (u == 0), LARGEST_FINITE[source], u)
    if rule == 'mse':
        b = _mse_byte(element, clean, u)
    elif rule == 'auto':
        b = np.minimum(scale_byte(element, AUTO[element], u), 254 - ELEMENTS[element][3])
    else:
        b = scale_byte(element, rule, u)
    v = _scaled(clean, np.minimum(b, 254))
    if nonfinite == 'saturate':
        v = np.where(finite, v, np.where(blocks > 0, 1e9, -1e9))
        dead = b == 255
    else:
        dead = (b == 255) | ~whole
        b = np.where(whole, b, 255)
    codes = to_codes(element, v)
    codes[dead] = 0
    return b.astype(np.uint8), codes


def decode_blocks(element, scales, codes):
    """float32 [n, 32]; NaN is 0x7fc00000 throughout."""
    with np.errstate(over='ignore', invalid='ignore'):
        value = np.ldexp(element_values(element)[codes], (scales.astype(np.int64) - 127)[:, None]).astype(np.float32)
    bits = value.view(np.uint32)
    bits[(scales == 255)[:, None] | np.isnan(value)] = NAN32
    return value


def to_bf16_bits(value):
    u = np.ascontiguousarray(value, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (u + 0x7FFF + (u >> 16 & 1)) >> 16
    return np.where(np.isnan(value), 0x7FC0, rounded).astype(np.uint16)


def to_f16_bits(value):
    with np.errstate(over='ignore'):
        half = np.ascontiguousarray(value, np.float32).astype(np.float16).view(np.uint16)
    return np.where(np.isnan(value), 0x7E00, half).astype(np.uint16)


def bf16_to_f32(bits):
    return (np.asarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32)


def pack(element, codes):
    """codes uint8 [..., K'] -> packed bytes [..., K' * bits / 8]."""
    bits = CODE_BITS[element]
    if bits == 8:
        return codes
    if bits == 4:
        return codes[..., 0::2] | codes[..., 1::2] << 4
    quad = codes.reshape(*codes.shape[:-1], -1, 4).astype(np.uint32)
    word = quad[..., 0] | quad[..., 1] << 6 | quad[..., 2] << 12 | quad[..., 3] << 18
    return np.stack([word & 255, word >> 8 & 255, word >> 16], -1).astype(np.uint8).reshape(*codes.shape[:-1], -1)


def unpack(element, packed):
    bits = CODE_BITS[element]
    packed = np.asarray(packed).view(np.uint8)
    if bits == 8:
        return packed
    if bits == 4:
        return np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:-1], -1)
    trio = packed.reshape(*packed.shape[:-1], -1, 3).astype(np.uint32)
    word = trio[..., 0] | trio[..., 1] << 8 | trio[..., 2] << 16
    return np.stack([word >> s & 63 for s in (0, 6, 12, 18)], -1).astype(np.uint8).reshape(*packed.shape[:-1], -1)


def default_axes(shape):
    n = len(shape)
    return (n - 1, n - 1) if shape[-1] >= BLOCK or n <= 2 else (1, n - 1)


def mx_bytes(element, shape, axes):
    """Bytes of codes and scales together."""
    rows, k = rows_of(shape, axes)
    blocks = -(-k // BLOCK)
    return rows * blocks * (BLOCK * CODE_BITS[element] // 8 + 1)


def rows_of(shape, axes):
    k = int(np.prod(shape[axes[0]:axes[1] + 1], dtype=object)) if len(shape) else 1
    rows = int(np.prod(list(shape[:axes[0]]) + list(shape[axes[1] + 1:]), dtype=object) or 0)
    return rows, k


def to_rows(value, axes):
    """Blocked axes last and flattened: [other..., K]."""
    first, last = axes
    run = list(range(first, last + 1))
    rest = [a for a in range(value.ndim) if a not in run]
    return value.transpose(rest + run).reshape([value.shape[a] for a in rest] + [-1])


def from_rows(rows, shape, axes):
    first, last = axes
    run = list(range(first, last + 1))
    rest = [a for a in range(len(shape)) if a not in run]
    return np.ascontiguousarray(rows.reshape([shape[a] for a in rest + run]).transpose(np.argsort(rest + run)))


def encode(fmt, value, axes=None, rule='auto', nonfinite='block', source='f32'):
    """value: float32 array. Returns (packed codes, scales) in the shapes of the archive."""
    element = FORMATS[fmt]
    axes = axes or default_axes(value.shape)
    rows = to_rows(value, axes)
    k = rows.shape[-1]
    padded = np.zeros(rows.shape[:-1] + (-(-k // BLOCK) * BLOCK,), np.float32)
    padded[..., :k] = rows
    b, codes = encode_blocks(element, padded.reshape(-1, BLOCK), rule, nonfinite, source)
    return pack(element, codes.reshape(padded.shape)), b.reshape(padded.shape[:-1] + (padded.shape[-1] // BLOCK,))


def decode(fmt, packed, scales, shape, axes):
    element = FORMATS[fmt]
    codes = unpack(element, np.ascontiguousarray(packed).reshape(-1))
    rows, k = rows_of(shape, axes)
    value = decode_blocks(element, scales.reshape(-1), codes.reshape(-1, BLOCK)).reshape(rows, -1)
    return from_rows(np.ascontiguousarray(value[:, :k]), list(shape), axes)
