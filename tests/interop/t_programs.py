# SPDX-License-Identifier: MIT
"""Programs: each kind in one or two formats here, in all formats in the slow parts."""
import copy
import logging
import json
import os
import warnings
import zipfile

import torch
from safetensors.torch import load_file

import oracle_archive
import oracle_numbers as on
import program_files
import program_text
import programs
import samples
import spine
import zoo
from harness import SHARED, mxq, mxq_json, test

FORMATS = tuple(on.FORMATS)


def each_program():
    """Every format appears several times; the small programs meet two."""
    for i, name in enumerate(zoo.ZOO):
        for j in (0, 3) if name in ('mlp', 'cond', 'names', 'tied', 'slices', 'transposed') else (0,):
            def body(c, folder, name=name, fmt=FORMATS[(i + j) % 6], first=j == 0):
                programs.check(c, folder, name, fmt, resave=first, unflatten=first and name in ('mlp', 'tied', 'nested'), decompose=first and name in ('core', 'ragged'))
            test(f'{name} in {FORMATS[(i + j) % 6]}: the program runs as the source does with our weights, and comes back')(body)


each_program()


@test('the format none keeps each member of each program, and adds index and digests')
def identity(c, folder):
    for name in zoo.ZOO:
        path, out = program_files.source(name), os.path.join(folder, name + '.pt2')
        mxq('quantize', path, '-o', out, '--format', 'none')
        mxq('verify', out)
        a, b = program_files.Zip(path), program_files.Zip(out)
        c.equal(b.names, a.names + list(program_files.OURS), f'{name}: members')
        for n in a.names:
            c(a.data[n] == b.data[n], f'{name}: {n}')
        c.equal(a.root, b.root, f'{name}: root')
        oracle_archive.Archive(out, root=a.root, ours=False)


# ---- what else an archive may hold ------------------------------------------------------------------------------------

def rewrite(path, out, edit=None, more=(), deflate=()):
    """The archive again with its model.json passed through edit(text), and more members."""
    with zipfile.ZipFile(path) as z, zipfile.ZipFile(out, 'w') as w:
        root = z.infolist()[0].filename.split('/', 1)[0]
        for info in z.infolist():
            data, name = z.read(info), info.filename.split('/', 1)[1]
            if name == 'models/model.json' and edit:
                data = edit(data.decode()).encode()
            w.writestr(info.filename, data, zipfile.ZIP_DEFLATED if name in deflate else zipfile.ZIP_STORED)
        for name, data in more:
            w.writestr(f'{root}/{name}', data)
    return out


ODD = '"future": {"big": 18446744073709551615, "small": -9223372036854775808, "f": [1e400, -0.0, 0.1, 1E-7, 1.50, 3.0000000000000000001], "text": "größe 重み \\u00e9 \\ud83d\\ude00 \\/", "deep": [[[{}], []]], "": null}'


def odd(text):
    """Keys that nobody knows at every level, other white space, escapes that a printer would change."""
    for before, after in (('{"graph_module": {', '{ ' + ODD + ' ,\n\t"graph_module": {' + ODD + ', '), ('"graph": {"inputs"', '"graph": {' + ODD + ', "inputs"'),
                          ('"signature": {"input_specs"', '"signature":{' + ODD + ',"input_specs"'), ('"tensor_values": {', '"tensor_values":  {'),
                          ('{"target": "torch.ops.aten.linear.default", ', '{' + ODD + ', "target" : "torch.ops.aten.linear.default", '), ('"opset_version"', '"opset_version_2": [ ],\r\n "opset_version"')):
        assert text.count(before) >= 1, before
        text = text.replace(before, after)
    return text


@test('unknown keys, numbers of any size, escapes, white space, extra files and sample inputs come through as they are')
def preserved(c, folder):
    for name in ('mlp', 'tied', 'attention', 'nograd'):
        source, out, back = (os.path.join(folder, name + x) for x in ('.odd.pt2', '.pt2', '.back.pt2'))
        extra = [('extra/note.txt', 'größe 重み\n'), ('extra/deep/er/empty', b''), ('extra/numbers.json', b'[18446744073709551615, 1e999]'), ('unknown/thing', bytes(range(256)))]
        rewrite(program_files.source(name), source, odd, extra, deflate=('models/model.json', 'extra/note.txt'))
        a = program_files.Zip(source)
        c(a.data['data/sample_inputs/model.pt'], f'{name}: no sample inputs to keep')
        args, kwargs = zoo.ZOO[name].example(zoo.ZOO[name].inputs[1], 3)
        for fmt in ('mxfp4', 'mxfp6-e2m3', 'none'):
            mxq('quantize', source, '-o', out, '--format', fmt, '-f')
            mxq('verify', out)
            b = program_files.Zip(out)
            if fmt != 'none':
                for piece in (ODD, '"tensor_values":  {', '"opset_version_2": [ ],\r\n "opset_version"', '"signature":{' + ODD + ','):
                    c.equal(b.text.count(piece), a.text.count(piece), f'{name} {fmt}: {piece[:40]}')
                at = a.text.index('"nodes": [') + 10
                nodes = a.text[at:a.text.index(']', a.text.rindex('"target"'))]
                end = nodes.rindex('"name"')
                c(nodes[:end] in b.text, f'{name} {fmt}: the nodes of the source')
                mxq('dequantize', out, '-o', back, '-f')
            else:
                back = out
            r = program_files.Zip(back)
            c(r.text == a.text, f'{name} {fmt}: model.json on the way back{program_files.difference(a.text, r.text)}')
            for n in a.names:
                if not n.startswith(('data/weights/weight', 'models/')):
                    c(r.data.get(n) == a.data[n], f'{name} {fmt}: {n} on the way back')
                if n.startswith(('extra/', 'unknown/', 'data/sample', 'archive', '.data', 'byteorder')):
                    c(b.data.get(n) == a.data[n], f'{name} {fmt}: {n}')
            files = {'note.txt': ''}
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                ep = torch.export.load(out, extra_files=files)
            c.equal(files['note.txt'], 'größe 重み\n', f'{name} {fmt}: extra file through PyTorch')
            c(ep.example_inputs is not None, f'{name} {fmt}: sample inputs through PyTorch')
            program_files.quiet(ep.module(), *args, **kwargs)


@test('a program with a custom text of its own keeps it beside our manifest')
def custom(c, folder):
    source, out, back = (os.path.join(folder, x) for x in ('s.pt2', 'o.pt2', 'b.pt2'))
    text = json.dumps({'mine': {'a': [1, 2 ** 64 - 1], 'ü': 'x'}, 'mxx': None})
    ep = torch.export.load(program_files.source('mlp'))
    ep.graph_module.meta['custom'] = json.loads(text)
    program_files.quiet(torch.export.save, ep, source)
    mxq('quantize', source, '-o', out, '--format', 'mxfp4')
    got = spine.load(out).graph_module.meta['custom']
    c.equal({k: v for k, v in got.items() if k != 'mx'}, json.loads(text), 'custom text')
    c('mx' in got, 'manifest')
    mxq('dequantize', out, '-o', back)
    c(program_files.Zip(back).text == program_files.Zip(source).text, 'model.json on the way back')


# ---- options ----------------------------------------------------------------------------------------------------------

@test('--target torch-2.11 stores scales as bytes and computes the same; a scale of 255 is refused')
def target(c, folder):
    for fmt in FORMATS:
        for name in ('mlp', 'bf16', 'conv') if fmt in ('mxfp4', 'mxfp8-e4m3') else ('mlp',):
            path, out, st, back = program_files.source(name), *(os.path.join(folder, f'{name}{fmt}{x}') for x in ('.pt2', '.safetensors', '.back.pt2'))
            mxq('quantize', path, '-o', out, '--format', fmt, '--target', 'torch-2.11')
            mxq('verify', out)
            mxq('dequantize', out, '-o', st)
            b = program_files.Zip(out)
            c(not any(w['tensor_meta']['dtype'] in (33, 34, 35) for w in b.weights.values()), f'{name} {fmt}: a dtype that PyTorch 2.11 has not')
            c(not any(v['dtype'] in (33, 34, 35) for v in b.graph['tensor_values'].values()), f'{name} {fmt}: a value of a dtype that PyTorch 2.11 has not')
            mx = b.manifest['tensors']
            values = {f: t for f, t in load_file(st).items() if f in mx}
            for f, t in values.items():
                spine.same(c, f'{name} {fmt} {f} against the oracle', t, program_files.decoded(name, f, fmt, tuple(mx[f]['axes'])))
            programs.compare(c, f'{name} {fmt}', lambda: spine.load(out).module(), lambda: programs.reference(path, values).module(), zoo.ZOO[name].examples)
            a = program_files.Zip(path)
            mxq('dequantize', out, '-o', back)
            program_text.check_back(c, f'{name} {fmt}', a, back, values)
    source, out = os.path.join(folder, 's.pt2'), os.path.join(folder, 'nan.pt2')
    ep = spine.load(program_files.source('mlp'))
    with torch.no_grad():
        ep.state_dict['0.weight'][3, 40] = torch.nan
    program_files.quiet(torch.export.save, ep, source)
    done = mxq('quantize', source, '-o', out, '--format', 'mxfp4', '--nonfinite', 'block', '--target', 'torch-2.11', code=None)
    c(done.returncode in (1, 2) and b'0.weight' in done.stderr and not os.path.exists(out), f'a scale of 255 for 2.11: exit {done.returncode} {done.stderr!r}')
    mxq('quantize', source, '-o', out, '--format', 'mxfp4', '--nonfinite', 'block')
    mxq('dequantize', out, '-o', out + '.st')
    values = {f: t for f, t in load_file(out + '.st').items()}
    c(values['0.weight'].isnan().sum() == 32, 'a block of NaN')
    programs.compare(c, 'NaN', lambda: spine.load(out).module(), lambda: programs.reference(source, values).module(), zoo.ZOO['mlp'].examples)


@test('--weights-only drops the program: the archive returns the state dict')
def weights_only(c, folder):
    for name, fmt in (('mlp', 'mxfp4'), ('tied', 'mxfp6-e3m2'), ('transposed', 'mxfp8-e4m3'), ('bf16', 'mxint8')):
        path, out, st = program_files.source(name), os.path.join(folder, name + '.pt2'), os.path.join(folder, name + '.safetensors')
        done = mxq('quantize', path, '-o', out, '--format', fmt, '--weights-only', code=None)
        if not c.equal(done.returncode, 0, f'{name}: {done.stderr!r}'):
            continue
        mxq('verify', out)
        mxq('dequantize', out, '-o', st)
        got, state = load_file(st), spine.load(path).state_dict
        c.equal(set(got), set(state), f'{name}: names')
        result = spine.load(out).module()()
        c.equal(set(result), set(state), f'{name}: keys of what it returns')
        mx = program_files.Zip(out).manifest['tensors']
        c(mx, f'{name}: nothing was quantized')
        for f, t in state.items():
            want = program_files.decoded(name, f, fmt, tuple(mx[f]['axes'])) if f in mx else t
            spine.same(c, f'{name} {f}', got[f], want)
            spine.same_values(c, f'{name} {f} in PyTorch', result[f], want)
        c(not spine.load(out).graph_signature.user_inputs, f'{name}: a weights archive has no user inputs')


@test('rules and --axes choose format and axes of a weight in a program; plan says the same')
def rules(c, folder):
    path, out, st = program_files.source('transposed'), os.path.join(folder, 'o.pt2'), os.path.join(folder, 'o.safetensors')
    args = ('--format', 'mxfp4', '--rule', '^mm$=none', '--rule', '^mm_t$=mxfp8-e5m2', '--rule', 'conv.weight=mxint8')
    plan = {t['name']: t for t in mxq_json('plan', path, *args)['tensors']}
    mxq('quantize', path, '-o', out, *args)
    mx = program_files.Zip(out).manifest['tensors']
    c.equal({k: v['format'] for k, v in mx.items()}, {'mm_t': 'mxfp8-e5m2', 'conv.weight': 'mxint8', **{n: 'mxfp4' for n in ('matmul', 'stride', 'stride_t', 'left', 'addmm', 'last.weight')}}, 'formats')
    c.equal({n: t['format'] for n, t in plan.items() if not t['keep']}, {n: t['format'] for n, t in mx.items()}, 'plan')
    for axes, fits in (('0:0', True), ('1:1', True), ('1:0', False), ('5:5', False), ('x', False), ('', False)):
        # Other axes than the operator's are the user's wish, for the tensors that have them.
        done = mxq('quantize', program_files.source('mlp'), '-o', out, '-f', '--format', 'mxfp4', '--axes', axes, code=None)
        if not fits:
            c.equal(done.returncode, 1, f'--axes {axes!r}: {done.stderr!r}')
            continue
        if not c.equal(done.returncode, 0, f'--axes {axes}: {done.stderr!r}'):
            continue
        mxq('dequantize', out, '-o', st, '-f')
        mx, values = program_files.Zip(out).manifest['tensors'], load_file(st)
        c(mx, f'--axes {axes}: nothing was quantized')
        plan = {t['name']: t for t in mxq_json('plan', program_files.source('mlp'), '--format', 'mxfp4', '--axes', axes)['tensors']}
        for f, t in mx.items():
            c.equal((t['axes'], plan[f]['axes']), ([int(axes[0])] * 2,) * 2, f'--axes {axes} {f}')
            spine.same(c, f'--axes {axes} {f}', values[f], program_files.decoded('mlp', f, 'mxfp4', tuple(t['axes'])))
        programs.compare(c, f'--axes {axes}', lambda: spine.load(out).module(), lambda: programs.reference(program_files.source('mlp'), {f: values[f] for f in mx}).module(), zoo.ZOO['mlp'].examples)


@test('weights that stay as they are, and why, are in the report')
def kept(c, folder):
    for name, words in (('transformer', ('pos',)), ('mutated', ('cache', 'sum')), ('mixed', ('d.weight', 'fp8')), ('views', ('unused', 'given'))):
        done = mxq('quantize', program_files.source(name), '-o', os.path.join(folder, name + '.pt2'), '--format', 'mxfp4')
        seen = mxq_json('quantize', program_files.source(name), '-o', os.path.join(folder, name + '.2.pt2'), '--format', 'mxfp4')
        listed = {t['name']: t for t in mxq_json('plan', program_files.source(name), '--format', 'mxfp4')['tensors']}
        for word in words:
            c(word.encode() in done.stderr, f'{name}: {word} is not in the report: {done.stderr.decode()}')
            c(listed[word]['keep'] and listed[word]['reason'], f'{name}: plan of {word}: {listed[word]}')
        c(isinstance(seen, dict), 'summary')
    c('mutat' in mxq_plan_reason('mutated', 'cache') or 'writ' in mxq_plan_reason('mutated', 'cache') or 'chang' in mxq_plan_reason('mutated', 'cache'), f'reason of a mutated buffer: {mxq_plan_reason("mutated", "cache")}')


def mxq_plan_reason(name, fqn):
    return next(t['reason'] for t in mxq_json('plan', program_files.source(name), '--format', 'mxfp4')['tensors'] if t['name'] == fqn)


# ---- inspect ----------------------------------------------------------------------------------------------------------

def strings(value):
    if isinstance(value, dict):
        return [s for k, v in value.items() for s in [k, *strings(v)]]
    if isinstance(value, list):
        return [s for v in value for s in strings(v)]
    return [value] if isinstance(value, str) else []


@test('inspect shows inputs with symbolic sizes, outputs, operators by count and the users of each weight')
def inspect(c, folder):
    for name in zoo.ZOO:
        path = program_files.source(name)
        seen, model = mxq_json('inspect', path), program_files.Zip(path)
        listed = {t['name']: t for t in seen['tensors']}
        ep = program_files.loaded(name)
        for fqn, t in ep.state_dict.items():
            if c(fqn in listed, f'{name}: {fqn} is not listed'):
                c.equal((listed[fqn]['dtype'], listed[fqn]['shape']), (samples.SHORT[t.dtype], list(t.shape)), f'{name}: {fqn}')
        program = seen.get('program')
        if not c(isinstance(program, dict), f'{name}: no program in {list(seen)}'):
            continue
        words = strings(program)
        user = [s['user_input']['arg']['as_tensor']['name'] for s in model.signature['input_specs'] if 'as_tensor' in s.get('user_input', {}).get('arg', {})]
        c(set(user) <= set(words), f'{name}: inputs {user} in {str(program)[:300]}')
        outputs = [s['user_output']['arg']['as_tensor']['name'] for s in model.signature['output_specs'] if 'as_tensor' in s.get('user_output', {}).get('arg', {})]
        c(set(outputs) <= set(words), f'{name}: outputs {outputs}')
        text = json.dumps(program)
        count = {}
        for graph in graphs(model.graph):
            for node in graph['nodes']:
                count[node['target']] = count.get(node['target'], 0) + 1
        for op, n in count.items():
            short = op.removeprefix('torch.ops.').removeprefix('aten.').removesuffix('.default')
            c(any(short in w for w in words), f'{name}: operator {op} in {text[:300]}')
        symbols = {s for s in model.model['range_constraints']}
        c(all(s in text for s in symbols), f'{name}: symbols {symbols} in {text[:300]}')
        c(mxq('inspect', path).stdout, f'{name}: text')


def graphs(graph):
    yield graph
    for node in graph['nodes']:
        for arg in node['inputs']:
            if 'as_graph' in arg['arg']:
                yield from graphs(arg['arg']['as_graph']['graph'])


# ---- MX already -------------------------------------------------------------------------------------------------------

@test('programs that hold MX weights already are never encoded again, whatever wrote them')
def already(c, folder):
    paths = []
    for name in ('mlp', 'cond', 'bf16'):
        paths.append(os.path.join(folder, name + '.first.pt2'))
        mxq('quantize', program_files.source(name), '-o', paths[-1], '--format', 'mxfp6-e3m2')
    if SHARED:
        paths += [os.path.join(SHARED, 'pt2', n) for n in sorted(os.listdir(os.path.join(SHARED, 'pt2'))) if n.endswith('.pt2') and 'mx' in n]
    for path in paths:
        name, out = os.path.basename(path), os.path.join(folder, 'o-' + os.path.basename(path))
        done = mxq('quantize', path, '-o', out, '--format', 'mxfp4', code=None)
        if not c.equal(done.returncode, 0, f'{name}: {done.stderr!r}'):
            continue
        mxq('verify', out)
        st = [os.path.join(folder, name + x) for x in ('.a.safetensors', '.b.safetensors')]
        for source, to in zip((path, out), st):
            mxq('dequantize', source, '-o', to)
        a, b = (load_file(x) for x in st)
        c.equal(set(a), set(b), f'{name}: names')
        for f in a:
            spine.same(c, f'{name} {f}', b[f], a[f])
        was, now = spine.load(path), spine.load(out)
        if was.example_inputs is not None:
            programs.compare(c, name, lambda: now.module(), lambda: was.module(), lambda: [was.example_inputs])


# ---- bad graphs -------------------------------------------------------------------------------------------------------

def damage():
    """(what, edit of the parsed model, a name that the message must have)."""
    def nodes(m):
        return m['graph_module']['graph']['nodes']

    def last_linear(m):
        return [n for n in nodes(m) if 'linear' in n['target']][-1]

    def arg(m, name):
        return next(a for a in last_linear(m)['inputs'] if a['name'] == name)['arg']

    def renamed(m):
        arg(m, 'input')['as_tensor']['name'] = 'nobody_at_all'

    def later(m):
        nodes(m).reverse()

    def twice(m):
        nodes(m).append(copy.deepcopy(last_linear(m)))

    def no_value(m):
        del m['graph_module']['graph']['tensor_values'][last_linear(m)['outputs'][0]['as_tensor']['name']]

    def output(m):
        m['graph_module']['graph']['outputs'][0]['as_tensor']['name'] = 'nobody_at_all'

    def spec(m):
        m['graph_module']['signature']['input_specs'].pop()

    def weight(m):
        next(s for s in m['graph_module']['signature']['input_specs'] if 'parameter' in s)['parameter']['parameter_name'] = 'nobody.weight'

    def spec_name(m):
        next(s for s in m['graph_module']['signature']['input_specs'] if 'parameter' in s)['parameter']['arg']['name'] = 'nobody_at_all'
    yield 'an argument that no node gives', renamed, b'nobody_at_all'
    yield 'a value that is used before it is made', later, None
    yield 'a node twice', twice, b'linear'
    yield 'a node whose value is not described', no_value, b'linear'
    yield 'an output that no node gives', output, b'nobody_at_all'
    yield 'a spec too few', spec, None
    yield 'a weight that the config does not have', weight, b'nobody.weight'
    yield 'a spec of another name than its input', spec_name, None


@test('a graph that is inconsistent is refused, and its node is named')
def inconsistent(c, folder):
    for i, (what, edit, word) in enumerate(damage()):
        def change(text):
            model = json.loads(text)
            edit(model)
            return json.dumps(model)
        path = rewrite(program_files.source('mlp'), os.path.join(folder, f'bad{i}.pt2'), change)
        logging.disable(logging.CRITICAL)
        try:
            program_files.quiet(lambda: spine.load(path).module()(torch.ones(2, 64)))
            c.note(f'{what}: PyTorch itself takes it')
        except Exception:
            pass
        finally:
            logging.disable(logging.NOTSET)
        for command in (('inspect', path), ('quantize', path, '-o', path + '.out', '--format', 'mxfp4'), ('quantize', path, '-o', path + '.out', '--format', 'none'), ('verify', path)):
            done = mxq(*command, code=None)
            c(done.returncode == (4 if command[0] == 'verify' else 2), f'{what}: {command[0]}: exit {done.returncode} {done.stderr!r}')
            c(word is None or word in done.stderr + done.stdout, f'{what}: {command[0]} does not name {word}: {done.stderr!r}')
            c(not os.path.exists(path + '.out'), f'{what}: an output')


@test('nothing in an archive is executed: a hostile pickle in sample inputs is carried along, never opened')
def hostile(c, folder):
    proof = os.path.join(folder, 'proof')
    bomb = b'cos\nsystem\n(S\'touch ' + proof.encode() + b'\'\ntR.'
    path, out = os.path.join(folder, 'p.pt2'), os.path.join(folder, 'o.pt2')
    with zipfile.ZipFile(program_files.source('mlp')) as z, zipfile.ZipFile(path, 'w') as w:
        for info in z.infolist():
            w.writestr(info.filename, bomb if info.filename.endswith('sample_inputs/model.pt') else z.read(info))
    for command in (('inspect', path), ('verify', path), ('quantize', path, '-o', out, '--format', 'mxfp4'), ('dequantize', path, '-o', out + '.st')):
        done = mxq(*command, code=None)
        c(done.returncode in (0, 2, 4), f'{command[0]}: exit {done.returncode}')
        c(not os.path.exists(proof), f'{command[0]} ran the pickle')
    if os.path.exists(out):
        c.equal(program_files.Zip(out).data['data/sample_inputs/model.pt'], bomb, 'sample inputs')
