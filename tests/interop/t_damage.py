# SPDX-License-Identifier: MIT
"""Other people's zip readers accept the archives; and a changed byte anywhere is found."""
import os
import subprocess
import zipfile

import torch

import oracle_archive
import oracle_numbers as on
import samples
import spine
from concurrent.futures import ThreadPoolExecutor
from harness import Failure, mxq, mxq_json, test


@test('unzip, 7z, bsdtar and Python read every archive without complaint')
def readers(c, folder):
    for tag, args, tensors in [(f, ('--format', f), samples.shapes()) for f in on.FORMATS] + [
            ('none', ('--format', 'none'), samples.awkward_names()), ('aligned', ('--format', 'mxfp4', '--align', '4096'), samples.shapes()),
            ('rooted', ('--format', 'mxfp4', '--root', 'wörld'), samples.shapes()), ('empty', ('--format', 'mxfp4'), {}), ('packed', ('--format', 'mxfp4', '--align', '1'), samples.shapes())]:
        source, path = os.path.join(folder, tag + '.safetensors'), os.path.join(folder, tag + '.pt2')
        samples.write(source, tensors)
        mxq('quantize', source, '-o', path, *args)
        for command in (['unzip', '-tqq', path], ['7z', 't', '-y', path], ['bsdtar', '-tvf', path]):
            done = subprocess.run(command, capture_output=True, timeout=60, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
            c(done.returncode == 0, f'{tag}: {command[0]}: {(done.stderr or done.stdout)[-200:]}')
            c(b'arning' not in done.stdout + done.stderr, f'{tag}: {command[0]} warns: {(done.stdout + done.stderr)[-300:]}')
        with zipfile.ZipFile(path) as z:
            c(z.testzip() is None, f'{tag}: zipfile')
            c(all(i.compress_type == 0 for i in z.infolist()), f'{tag}: a member is not stored')
        extracted = os.path.join(folder, tag + '.x')
        os.mkdir(extracted)
        done = subprocess.run(['unzip', '-qq', path, '-d', extracted], capture_output=True, env={**os.environ, 'LC_ALL': 'C.UTF-8'})
        c(done.returncode == 0, f'{tag}: extracting: {done.stderr[-200:]}')


def small(folder):
    tensors = {'w': samples.gauss(1, 2, 40), 'type.b': samples.gauss(2, 3), 'h': samples.gauss(3, 1, 32, dtype=torch.bfloat16)}
    source, path = os.path.join(folder, 's.safetensors'), os.path.join(folder, 's.pt2')
    samples.write(source, tensors, {'k': 'v'})
    mxq('quantize', source, '-o', path, '--format', 'mxfp6')
    return path


def codes_of(folder, variants, command=('verify',)):
    """Exit code and stderr of the command for each (tag, bytes)."""
    def one(variant):
        tag, data = variant
        path = os.path.join(folder, f'v{tag}.pt2')
        with open(path, 'wb') as f:
            f.write(data)
        done = mxq(*command, path, code=None)
        os.unlink(path)
        return tag, done.returncode, done.stderr
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, variants))


@test('verify finds any single changed byte, headers, padding and directory included')
def flips(c, folder):
    path = small(folder)
    raw = open(path, 'rb').read()
    made = oracle_archive.members(raw)[0]
    data = set()
    for m in made:
        data.update(range(m.offset, m.offset + m.size))
    outside = [i for i in range(len(raw)) if i not in data]
    inside = [i for i in sorted(data) if i % 13 == 0]
    for m in made:
        inside += [m.offset, m.offset + m.size - 1] if m.size else []
    places = sorted(set(outside) | set(inside))
    variants = []
    for i in places:
        changed = bytearray(raw)
        changed[i] ^= 1 << i % 8
        variants.append((i, bytes(changed)))
    c.note(f'{len(raw)} bytes, {len(outside)} of them outside member data, {len(variants)} flipped one at a time')
    where = {i: next((m.name for m in made if m.header <= i < m.offset + m.size), 'directory') for i in places}
    for i, code, err in codes_of(folder, variants):
        c(code == 4, f'byte {i} ({where[i]}, {"outside" if i in set(outside) else "data"}): exit {code} {err[:150]!r}')


@test('verify finds truncation anywhere, bytes put in front, in between or behind, and swapped members')
def shape(c, folder):
    path = small(folder)
    raw = open(path, 'rb').read()
    made = oracle_archive.members(raw)[0]
    cuts = sorted({1, 2, 3, 4, 29, 30, 64, len(raw) // 2, *(m.offset for m in made), *(m.header for m in made), *range(len(raw) - 120, len(raw))})
    for n, code, err in codes_of(folder, [(n, raw[:n]) for n in cuts]):
        c(code == 4, f'cut to {n} bytes: exit {code} {err[:150]!r}')
    c.equal(codes_of(folder, [('empty', b'')])[0][1], 4, 'an empty .pt2 is damage for verify')
    m = made[len(made) // 2]
    others = [('behind', raw + b'\0'), ('comment', raw[:-2] + b'\1\0x'), ('front', b'\0' + raw), ('middle', raw[:m.header] + b'\0' * 64 + raw[m.header:]),
              ('zeroed', raw[:m.offset] + bytes(m.size) + raw[m.offset + m.size:]), ('twice', raw + raw)]
    for tag, code, err in codes_of(folder, others):
        c(code == 4, f'{tag}: exit {code} {err[:150]!r}')
    for tag, code, err in codes_of(folder, others + [(n, raw[:n]) for n in (0, 3, 100, len(raw) - 1)], ('inspect',)):
        c(code in (0, 2), f'inspect {tag}: exit {code} {err[:150]!r}')
    # A valid rewriting by another tool: right CRCs, other headers. Digests and another form are damage.
    other = os.path.join(folder, 'rewritten.pt2')
    with zipfile.ZipFile(path) as a, zipfile.ZipFile(other, 'w') as b:
        for i in a.infolist():
            b.writestr(i.filename, a.read(i))
    c.equal(mxq('verify', other, code=None).returncode, 4, 'rewritten by Python zipfile, digests kept')
    with zipfile.ZipFile(path) as a, zipfile.ZipFile(other, 'w') as b:
        for i in a.infolist():
            if 'extra/' not in i.filename:
                b.writestr(i.filename, a.read(i))
    c.equal(mxq('verify', other, code=None).returncode, 0, 'rewritten by Python zipfile, without digests')


@test('no damaged byte of the data lets dequantize give out wrong values in silence')
def loading(c, folder):
    path = small(folder)
    raw = open(path, 'rb').read()
    good = os.path.join(folder, 'good')
    mxq('dequantize', path, '-o', good)
    want = open(good, 'rb').read()
    for m in oracle_archive.members(raw)[0]:
        if not m.size:
            continue
        for at in (m.offset, m.offset + m.size // 2, m.offset + m.size - 1):
            changed = bytearray(raw)
            changed[at] ^= 0x10
            bad, out = os.path.join(folder, 'bad.pt2'), os.path.join(folder, 'bad.out')
            open(bad, 'wb').write(changed)
            done = mxq('dequantize', bad, '-o', out, '-f', code=None)
            if done.returncode == 0:
                c(open(out, 'rb').read() == want, f'byte {at} of {m.name}: wrong values and exit 0')
                os.unlink(out)
            else:
                c(done.returncode == 2 and not os.path.exists(out) and done.stderr, f'byte {at} of {m.name}: exit {done.returncode} {done.stderr[:200]}')


@test('an archive that PyTorch re-saved with our extra files along is re-saved, not damaged; a forged one is damaged')
def resaved(c, folder):
    import warnings
    path = small(folder)
    extra = {'mxq_digests.json': '', 'mxq_index.txt': ''}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ep = torch.export.load(path, extra_files=extra)
        again = os.path.join(folder, 'again.pt2')
        torch.export.save(ep, again, extra_files=extra)
        plain = os.path.join(folder, 'plain.pt2')
        torch.export.save(ep, plain)
    if not all(extra.values()):
        raise Failure('PyTorch gave no extra files')
    done = mxq('verify', again, code=0)
    c(b're-saved' in done.stdout + done.stderr, f'not called re-saved: {(done.stdout + done.stderr)!r}')
    c('re-saved' in str(mxq_json('verify', again)) or mxq_json('verify', again).get('resaved'), 'JSON of verify on a re-saved archive')
    mxq('verify', plain)
    for other in (again, plain):
        out = other + '.safetensors'
        mxq('dequantize', other, '-o', out)
        mxq('dequantize', path, '-o', out, '-f')
        mxq('inspect', other)
    raw = bytearray(open(again, 'rb').read())
    with zipfile.ZipFile(again) as z:
        target = next(i for i in z.infolist() if 'weight_0' in i.filename)
    at = raw.find(target.filename.encode()) - 30
    at += 30 + int.from_bytes(raw[at + 26:at + 28], 'little') + int.from_bytes(raw[at + 28:at + 30], 'little')
    raw[at] ^= 1
    bad = os.path.join(folder, 'bad.pt2')
    open(bad, 'wb').write(raw)
    c.equal(mxq('verify', bad, code=None).returncode, 4, 'a changed byte in a re-saved archive')
    copied = os.path.join(folder, 'copied.pt2')
    mxq('quantize', again, '-o', copied, '--format', 'none')
    with zipfile.ZipFile(copied) as z:
        root = z.infolist()[0].filename.split('/', 1)[0]
    try:
        oracle_archive.Archive(copied, root=root, ours=False)
    except oracle_archive.Bad as error:
        c(False, f'copy of a re-saved archive: {error}')
    spine.same(c, 'copy of a re-saved archive', spine.load(copied).module()()['w'], spine.load(path).module()()['w'])
