# SPDX-License-Identifier: MIT
"""Reads an mxquant archive from its bytes alone (struct, hashlib, zlib) and holds it to the canonical form, digests and index.

Written from the project's contract and the zip format; raises Bad with the first thing that is not as promised.
"""
import hashlib
import json
import re
import struct
import zlib

DTYPES = {1: ('u8', 1), 2: ('i8', 1), 3: ('i16', 2), 4: ('i32', 4), 5: ('i64', 8), 6: ('f16', 2), 7: ('f32', 4), 8: ('f64', 8),
          9: ('c32', 4), 10: ('c64', 8), 11: ('c128', 16), 12: ('bool', 1), 13: ('bf16', 2), 28: ('u16', 2), 29: ('f8_e4m3', 1),
          30: ('f8_e5m2', 1), 31: ('f8_e4m3fnuz', 1), 32: ('f8_e5m2fnuz', 1), 33: ('f8_e8m0', 1), 34: ('u32', 4), 35: ('u64', 8)}
FORMATS = ('mxfp4', 'mxfp6-e2m3', 'mxfp6-e3m2', 'mxfp8-e4m3', 'mxfp8-e5m2', 'mxint8')
CODE_DTYPE = {'mxfp4': 1, 'mxfp6-e2m3': 1, 'mxfp6-e3m2': 1, 'mxfp8-e4m3': 29, 'mxfp8-e5m2': 30, 'mxint8': 2}
BITS = {'mxfp4': 4, 'mxfp6-e2m3': 6, 'mxfp6-e3m2': 6, 'mxfp8-e4m3': 8, 'mxfp8-e5m2': 8, 'mxint8': 8}
LAYOUT = {4: 'even-low', 6: 'le24', 8: 'bytes'}
MANIFEST_KEYS = {'format', 'codes', 'scales', 'shape', 'axes', 'block', 'layout', 'scale_rule', 'compat', 'round', 'neg_zero',
                 'nonfinite', 'source_dtype'}


class Bad(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Bad(text)


class Member:
    def __init__(self, name, offset, header, size, crc, central):
        self.name, self.offset, self.header, self.size, self.crc, self.central = name, offset, header, size, crc, central


def _extras(raw, where):
    fields, at = [], 0
    while at < len(raw):
        need(len(raw) - at >= 4, f'{where}: extra field cut short')
        ident, n = struct.unpack_from('<HH', raw, at)
        need(len(raw) - at - 4 >= n, f'{where}: extra field runs over')
        fields.append((ident, raw[at + 4:at + 4 + n]))
        at += 4 + n
    return fields


def members(raw, align=64):
    """Members in order, after checking every byte of the container that is not member data."""
    end = len(raw) - 22
    need(end >= 0 and raw[end:end + 4] == b'PK\5\6', 'no end record at the very end (or a comment)')
    disk, cd_disk, here, total, cd_size, cd_at, comment = struct.unpack_from('<HHHHIIH', raw, end + 4)
    need(disk == cd_disk == 0 and comment == 0 and here == total, 'end record: disks or comment')
    tail = end
    if raw[end - 20:end - 16] == b'PK\6\7':
        _, at64, disks = struct.unpack_from('<IQI', raw, end - 16)
        need(raw[at64:at64 + 4] == b'PK\6\6' and at64 == end - 20 - 56, 'zip64 end record not where the locator says')
        total, cd_size, cd_at = struct.unpack_from('<QQQ', raw, at64 + 32)
        tail = at64
    need(cd_at + cd_size == tail, 'gap or overlap between directory and end record')
    out, at, common = [], cd_at, None
    expected = 0
    for i in range(total):
        need(raw[at:at + 4] == b'PK\1\2', f'directory entry {i}: signature')
        made, ver, flags, method, time, date, crc, csize, size, n, xn, cn, dsk, iattr, xattr, off = struct.unpack_from('<HHHHHHIIIHHHHHII', raw, at + 4)
        name = raw[at + 46:at + 46 + n]
        need(0xFFFFFFFF not in (csize, size, off), f'{name}: zip64 sizes in a small archive')
        need(xn == 0 and cn == 0, f'{name}: extra field or comment in the directory')
        need(method == 0 and csize == size, f'{name}: not stored')
        need(dsk == 0 and iattr == 0, f'{name}: disk or attributes')
        need((time, date) == (0, 0x21), f'{name}: date {date:#x} {time:#x} is not 1980-01-01 00:00:00')
        need(flags & ~0x800 == 0, f'{name}: flags {flags:#x}')
        need(flags & 0x800 or all(c < 0x80 for c in name), f'{name}: a name beyond ASCII without the UTF-8 flag')
        now = (made, xattr, ver)
        common = common or now
        need(now == common, f'{name}: made by, version or attributes differ between members: {now} and {common}')
        # The local header.
        need(off == expected, f'{name}: a gap or overlap before its header ({off}, {expected} expected)')
        need(raw[off:off + 4] == b'PK\3\4', f'{name}: local signature')
        lver, lflags, lmethod, ltime, ldate, lcrc, lcsize, lsize, ln, lxn = struct.unpack_from('<HHHHHIIIHH', raw, off + 4)
        need((lver, lflags, lmethod, ltime, ldate, lcrc, lcsize, lsize) == (ver, flags, method, time, date, crc, csize, size),
             f'{name}: local header differs from the directory')
        need(raw[off + 30:off + 30 + ln] == name, f'{name}: names differ')
        extra = raw[off + 30 + ln:off + 30 + ln + lxn]
        fields = _extras(extra, name)
        need(len(fields) == 1 and fields[0][0] == 0x4246, f'{name}: local extra is not one FB field: {fields}')
        pad = fields[0][1]
        start = off + 30 + ln + lxn
        need(pad == b'Z' * len(pad) and start % align == 0 and len(pad) < align, f'{name}: FB padding or alignment of {start}')
        data = raw[start:start + size]
        need(len(data) == size and zlib.crc32(data) == crc, f'{name}: CRC')
        out.append(Member(name.decode(), start, off, size, crc, at))
        expected = start + size
        at += 46 + n
    need(at == tail, 'directory longer than its entries')
    need(expected == cd_at, 'gap before the directory')
    return out, common[0] if common else None


def escape(name):
    if name == '':
        return '%'
    return ''.join(chr(c) if 0x21 <= c <= 0x7E and c != 0x25 else '%%%02X' % c for c in name.encode())


def unescape(text):
    if text == '%':
        return ''
    need(re.fullmatch(r'(?:[!-$&-~]|%[0-9A-F]{2})+', text), f'index: bad name {text!r}')
    name = bytes(int(p[1:], 16) if p[0] == '%' else ord(p) for p in re.findall(r'%..|.', text)).decode()
    need(escape(name) == text, f'index: {text!r} is not the canonical spelling')
    return name


def parse_index(text):
    need(text == b'' or text.endswith(b'\n'), 'index: no LF at the end')
    lines = text.decode('ascii').split('\n')[:-1]
    keys, out = [], {}
    for line in lines:
        f = line.split(' ')
        need(len(f) == 10, f'index: {len(f)} fields in {line!r}')
        name, kind, shape, axes, off, size, soff, ssize, crc, scrc = f
        need(re.fullmatch(r'-|\d+(x\d+)*', shape), f'index: shape {shape!r}')
        need(re.fullmatch(r'-|\d+:\d+', axes), f'index: axes {axes!r}')
        for number in (off, size, soff, ssize):
            need(re.fullmatch(r'0|[1-9]\d*', number), f'index: number {number!r}')
        for c in (crc, scrc):
            need(re.fullmatch(r'[0-9a-f]{8}', c), f'index: crc {c!r}')
        true = unescape(name)
        need(true not in out, f'index: {true!r} twice')
        keys.append(name.encode())
        out[true] = dict(kind=kind, shape=[] if shape == '-' else [int(d) for d in shape.split('x')],
                         axes=None if axes == '-' else [int(a) for a in axes.split(':')],
                         codes=(int(off), int(size), int(crc, 16)), scales=(int(soff), int(ssize), int(scrc, 16)))
    need(keys == sorted(keys), 'index: not sorted by the encoded name')
    return out


def _sizes(meta):
    need(meta['layout'] == 7 and meta['device']['type'] == 'cpu', 'tensor meta: layout or device')
    dims = [d['as_int'] for d in meta['sizes']]
    strides = [d['as_int'] for d in meta['strides']]
    return dims, strides, meta['storage_offset']['as_int']


class Archive:
    """tensors: true fqn -> (dtype name, shape, bytes) as stored; mx: fqn -> manifest entry; index; digests."""

    def __init__(self, path, align=64, root='model', ours=True):
        self.raw = raw = open(path, 'rb').read()
        self.ours = ours
        self.members, made_by = members(raw, align)
        names = [m.name for m in self.members]
        need(len(set(n.lower() for n in names)) == len(names), 'names that differ only in case')
        need(all(n.startswith(root + '/') for n in names), f'not all members are in {root}/: {names}')
        self.by = {m.name[len(root) + 1:]: m for m in self.members}
        self.read = lambda n: raw[self.by[n].offset:self.by[n].offset + self.by[n].size]
        need(names[-1] == root + '/extra/mxq_digests.json' and names[-2] == root + '/extra/mxq_index.txt', f'last members {names[-2:]}')
        text = self.read('extra/mxq_digests.json')
        digests = json.loads(text)
        # The alignment stands there too, since the FB padding is a function of it.
        need(set(digests) - {'align'} == {'version', 'made_by', 'sha256'} and digests['version'] == 1, f'digest keys {sorted(digests)}')
        need(digests.get('align', 64) == align, f'alignment {digests.get("align")} recorded, {align} asked for')
        need(digests['made_by'] == made_by, f'made_by {digests["made_by"]} recorded, {made_by} written')
        self.digest_names = list(digests['sha256'])
        want = names[:-1]
        if set(self.digest_names) == {n[len(root) + 1:] for n in want}:
            want = [n[len(root) + 1:] for n in want]
        need(set(self.digest_names) == set(want), 'digests do not name every other member')
        for key, m in zip(want, self.members):
            need(digests['sha256'][key] == hashlib.sha256(raw[m.offset:m.offset + m.size]).hexdigest(), f'{m.name}: SHA-256')
        for name, exact in (('archive_format', b'pt2'), ('archive_version', b'0'), ('.data/version', b'6\n'), ('byteorder', b'little')):
            need(self.read(name) == exact or (not ours and name == 'byteorder'), f'{name}: {self.read(name)!r}')
        self.model = json.loads(self.read('models/model.json'))
        self.weights = json.loads(self.read('data/weights/model_weights_config.json'))['config']
        self.constants = json.loads(self.read('data/constants/model_constants_config.json'))['config']
        custom = self.model['graph_module']['metadata'].get('custom')
        self.mx = json.loads(custom).get('mx', {}) if custom else {}
        if 'tensors' not in self.mx: # other writers: the tensors alone, or no manifest at all
            self.mx = {'tensors': {n: t for n, t in self.mx.items() if isinstance(t, dict) and 'codes' in t}, 'metadata': {}}
        for t in self.mx['tensors'].values():
            t.setdefault('axes', [len(t['shape']) - 1] * 2)
        self.index = parse_index(self.read('extra/mxq_index.txt'))
        if ours:
            self.check_profile()
        self.check_index()

    def payload(self, fqn):
        p = self.weights[fqn]
        need(set(p) == {'path_name', 'is_param', 'use_pickle', 'tensor_meta'} and not p['use_pickle'], f'{fqn}: payload keys')
        meta = p['tensor_meta']
        m = self.by['data/weights/' + p['path_name']]
        return meta['dtype'], _sizes(meta), m

    def check_profile(self):
        need(self.mx['version'] == 1 and self.mx['tool'].startswith('mxquant '), 'manifest version or tool')
        taken = set()
        for fqn, t in self.mx['tensors'].items():
            need(MANIFEST_KEYS <= set(t), f'{fqn}: manifest lacks {MANIFEST_KEYS - set(t)}')
            fmt, shape, axes = t['format'], t['shape'], t['axes']
            need(fmt in FORMATS and t['block'] == 32 and t['layout'] == LAYOUT[BITS[fmt]], f'{fqn}: format, block or layout')
            k = 1
            for d in shape[axes[0]:axes[1] + 1]:
                k *= d
            rest = shape[:axes[0]] + shape[axes[1] + 1:]
            padded = -(-k // 32) * 32
            for role, dtype, last in (('codes', CODE_DTYPE[fmt], padded * BITS[fmt] // 8), ('scales', 33, padded // 32)):
                got, (dims, strides, offset), m = self.payload(t[role])
                dense = [1]
                for d in reversed(dims[1:]):
                    dense.insert(0, dense[0] * d)
                need((got, dims, strides, offset) == (dtype, rest + [last], dense, 0), f'{fqn} {role}: {got} {dims} {strides}')
                size = DTYPES[got][1]
                for d in dims:
                    size *= d
                need(m.size == size, f'{fqn} {role}: record of {m.size} bytes, {size} expected')
                need(not self.weights[t[role]]['is_param'] and m.name not in taken, f'{fqn} {role}: a parameter, or shares a record')
                taken.add(m.name)

    def one_code_a_byte(self, t):
        return BITS[t['format']] < 8 and self.payload(t['codes'])[2].size == 32 * self.payload(t['scales'])[2].size

    def check_index(self):
        owned = {t[r] for t in self.mx['tensors'].values() for r in ('codes', 'scales')}
        spans = [(m.offset, m.offset + m.size) for m in self.members]
        for name, line in self.index.items():
            parts = [line['codes']]
            if name in self.mx['tensors']:
                t = self.mx['tensors'][name]
                need((line['kind'], line['shape'], line['axes']) == (t['format'], t['shape'], t['axes']), f'index {name!r}: {line}')
                parts.append(line['scales'])
                for (off, size, crc), role in zip(parts, ('codes', 'scales')):
                    m = self.payload(t[role])[2]
                    if self.ours:
                        need((off, size, crc) == (m.offset, m.size, m.crc), f'index {name!r} {role}: {(off, size, crc)}')
                    else: # several tensors may share a record
                        need(m.offset <= off and off + size <= m.offset + m.size, f'index {name!r} {role}: outside its record')
            elif line['kind'] in FORMATS and not self.ours: # known by the pattern that decodes it
                parts.append(line['scales'])
            else:
                need(line['axes'] is None and line['scales'] == (0, 0, 0), f'index {name!r}: kept, but with axes or scales')
            for off, size, crc in parts:
                need(any(a <= off and off + size <= b for a, b in spans) or size == 0, f'index {name!r}: extent outside the members')
                got = zlib.crc32(self.raw[off:off + size])
                need(got == crc, f'index {name!r}: CRC {crc:08x}, {got:08x} found')
        # A layout that the index cannot tell from the packed ones is left out; only other writers have it.
        missing = {n for n in set(self.mx['tensors']) - set(self.index) if self.ours or not self.one_code_a_byte(self.mx['tensors'][n])}
        need(not missing, f'index lacks {missing}')
        return owned
