# SPDX-License-Identifier: MIT
"""The oracle itself against outsiders: ml_dtypes casts, torch casts, and what torchao computed."""
import csv
import os

import ml_dtypes
import numpy as np
import torch

import oracle_numbers as on
from harness import SHARED, Failure, test

CASTS = {'e2m1': ml_dtypes.float4_e2m1fn, 'e2m3': ml_dtypes.float6_e2m3fn, 'e3m2': ml_dtypes.float6_e3m2fn,
         'e4m3': ml_dtypes.float8_e4m3fn, 'e5m2': ml_dtypes.float8_e5m2}


@test('the oracle rounds to elements as ml_dtypes and torch do, and decodes every code as they do')
def casts(c, folder):
    rng = np.random.default_rng(7)
    for element, dtype in CASTS.items():
        values, top = on.element_values(element), on.ELEMENTS[element][4]
        codes = np.arange(len(values)).astype(np.uint8)
        c(np.array_equal(values, codes.view(dtype).astype(np.float64), equal_nan=True), f'{element}: values')
        finite = np.unique(values[np.isfinite(values)])
        ties = (finite[1:] + finite[:-1]) / 2
        x = np.concatenate([rng.standard_normal(100000) * np.exp2(rng.uniform(-30, 17, 100000)), ties, np.nextafter(ties, 1e9), np.nextafter(ties, -1e9), finite, -finite])
        x = np.clip(x.astype(np.float32), -top, top)
        c(np.array_equal(on.to_codes(element, x.astype(np.float64)), x.astype(dtype).view(np.uint8)), f'{element}: codes against ml_dtypes')
    for element, dtype in (('e4m3', torch.float8_e4m3fn), ('e5m2', torch.float8_e5m2)):
        x = torch.from_numpy(np.clip((rng.standard_normal(100000) * np.exp2(rng.uniform(-30, 9, 100000))), -448, 448).astype(np.float32))
        c(np.array_equal(on.to_codes(element, x.double().numpy()), x.to(dtype).view(torch.uint8).numpy()), f'{element}: codes against torch')
    every = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16)
    x = rng.integers(0, 1 << 32, 200000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[~np.isnan(x)]
    c(np.array_equal(on.to_bf16_bits(x), x.astype(ml_dtypes.bfloat16).view(np.uint16)), 'bf16 rounding')
    every = every[~np.isnan(every.view(ml_dtypes.bfloat16).astype(np.float32))]
    c(np.array_equal(on.bf16_to_f32(every), every.view(ml_dtypes.bfloat16).astype(np.float32)), 'bf16 widening')
    for element in on.ELEMENTS:
        codes = rng.integers(0, 1 << on.CODE_BITS[element], (5, 96), dtype=np.uint8)
        c(np.array_equal(on.unpack(element, on.pack(element, codes)), codes), f'{element}: packing')


@test('the oracle makes the scale bytes and codes that torchao makes, block by block')
def torchao(c, folder):
    if not SHARED:
        c(True, '')
        c.note('the outside vectors are not here (MXQ_SHARED): their part is not run')
        return
    golden, blocks = os.path.join(SHARED, 'golden'), 0
    with open(os.path.join(golden, 'index.tsv')) as table:
        rows = [r for r in csv.DictReader(table, delimiter='\t') if r['peer'] == 'torchao' and r['scale_rule'] in ('floor', 'ceil', 'even', 'rceil')]
    for row in rows:
        if row['format'] not in on.ELEMENTS or 'layout' in row['file'] or not row['file'].endswith('.bin'):
            continue
        path = os.path.join(golden, 'inputs', row['input'] + ('' if '.' in row['input'] else '.f32'))
        x = on.bf16_to_f32(np.fromfile(path, np.uint16)) if path.endswith('bf16') else np.fromfile(path, np.float32)
        want = np.fromfile(os.path.join(golden, row['file']), np.uint8).reshape(-1, 33)
        b, codes = on.encode_blocks(row['format'], x.reshape(-1, 32)[:len(want)], row['scale_rule'])
        good = (b == want[:, 0]) & ((b == 255) | (codes == want[:, 1:]).all(axis=1))
        c(good.all(), f'{row["file"]}: {(~good).sum()} of {len(good)} blocks')
        blocks += len(want)
    c.equal(blocks, 20160, 'blocks of torchao compared')
    c.note(f'{blocks} blocks of torchao, {len(rows)} files')
    if blocks == 0:
        raise Failure('no vector was compared')
