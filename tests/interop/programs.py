# SPDX-License-Identifier: MIT
"""One program in one format: quantized, read, run, written again, brought back; all of it compared with the source."""
import functools
import itertools
import json
import os
import tempfile
import warnings
import zipfile

import torch
from safetensors.torch import load_file

import oracle_numbers as on
import samples
import spine
import zoo
from harness import Failure, mxq, mxq_json

OURS = ('extra/mxq_index.txt', 'extra/mxq_digests.json')
_folder = tempfile.TemporaryDirectory(prefix='mxq-zoo-')


@functools.cache
def source(name):
    """Path of the exported program; exported once a run."""
    return zoo.ZOO[name].export(os.path.join(_folder.name, name + '.pt2'))


def quiet(fn, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return fn(*args, **kwargs)


class Zip:
    """Members without the root folder, in order; the texts of a program."""

    def __init__(self, path):
        with zipfile.ZipFile(path) as z:
            infos = z.infolist()
            self.root = infos[0].filename.split('/', 1)[0]
            self.data = {i.filename.split('/', 1)[1]: z.read(i) for i in infos}
        self.names = list(self.data)
        self.text = self.data['models/model.json'].decode()
        self.model = json.loads(self.text)
        self.graph = self.model['graph_module']['graph']
        self.signature = self.model['graph_module']['signature']
        self.weights = json.loads(self.data['data/weights/model_weights_config.json'])['config']
        self.constants = json.loads(self.data['data/constants/model_constants_config.json'])['config']

    def record(self, fqn):
        return self.data['data/weights/' + self.weights[fqn]['path_name']]

    @functools.cached_property
    def manifest(self):
        return json.loads(self.model['graph_module']['metadata']['custom'])['mx']


def wrap(fn):
    """Failures of PyTorch itself as sentences, not as the end of the test."""
    @functools.wraps(fn)
    def run(c, what, *args, **kwargs):
        try:
            return fn(c, what, *args, **kwargs)
        except Failure as error:
            c(False, f'{what}: {error}')
        except Exception as error:
            c(False, f'{what}: {type(error).__name__}: {str(error)[:700]}')
    return run


# ---- what must become of a weight -------------------------------------------------------------------------------------

def smaller(fmt, shape, dtype, axes):
    size = torch.empty((), dtype=dtype).element_size()
    for d in shape:
        size *= d
    return on.mx_bytes(on.FORMATS[fmt], tuple(shape), axes) < size


def check_plan(c, name, fmt, plan, ep):
    """Axes by hand against `plan`. Returns name -> axes of what is quantized."""
    want, chosen = zoo.ZOO[name].axes, {}
    listed = {t['name']: t for t in plan['tensors']}
    state = {**ep.state_dict, **ep.constants}
    lost = set(ep.state_dict) - set(listed)
    c(not lost, f'{name}: plan does not list {lost}')
    c(not set(want) - set(state), f'{name}: the zoo names {set(want) - set(state)}, which are not there')
    for fqn, t in listed.items():
        tensor = state.get(fqn)
        if not c(tensor is not None, f'{name}: plan lists {fqn!r}'):
            continue
        c.equal(t['shape'], list(tensor.shape), f'{name} {fqn}: shape in plan')
        c(t['reason'], f'{name} {fqn}: no reason')
        if not t['keep']:
            chosen[fqn] = t['axes']
        axes = want.get(fqn)
        if axes == zoo.ANY:
            continue
        if axes is None or tensor.dtype not in samples.QUANTIZABLE or tensor.numel() == 0 or not smaller(fmt, tensor.shape, tensor.dtype, axes):
            c(t['keep'], f'{name} {fqn}: must be kept, but {t}')
        else:
            c(not t['keep'] and t['axes'] == axes, f'{name} {fqn}: {axes} expected, plan has {t}')
    return chosen


@functools.cache
def _decoded(name, fqn, fmt, axes):
    ep = loaded(name)
    t = {**ep.state_dict, **ep.constants}[fqn].detach()
    return spine.decoded(fmt, t, *on.encode(fmt, samples.as_f32(t), axes, 'auto', 'error', samples.SHORT[t.dtype]), axes)


@functools.cache
def loaded(name):
    """Never run, never changed."""
    return spine.load(source(name))


# ---- texts ------------------------------------------------------------------------------------------------------------

def spec_name(spec):
    (kind, body), = spec.items()
    arg = body.get('arg', body)
    return kind, (arg.get('as_tensor') or arg).get('name') if isinstance(arg, dict) else None


def text_of(nodes):
    return json.dumps(nodes)[1:-1]


def check_text(c, name, a, b, chosen):
    """Everything of the program that is not about the chosen weights is what it was, to the byte where bytes can be told."""
    ga, gb = a.graph, b.graph
    mx = b.manifest['tensors']
    groups = {}
    for fqn in chosen:
        groups.setdefault((mx[fqn]['codes'], mx[fqn]['scales']), []).append(fqn) if c(fqn in mx, f'{name}: {fqn} is not in the manifest') else None
    c.equal(set(mx), set(chosen), f'{name}: tensors of the manifest')
    inputs = {}
    for spec in a.signature['input_specs']:
        (kind, body), = spec.items()
        fqn = body.get('parameter_name') or body.get('buffer_name') or body.get('tensor_constant_name')
        if fqn in chosen:
            inputs[body['arg']['name']] = fqn
    # Nodes: the new ones come first, the old ones follow as they were. Where modules keep their signatures, unflatten needs the new ones inside them.
    old, new = ga['nodes'], gb['nodes']
    inside = any(e['fqn'] and e.get('signature') for e in a.model['graph_module']['module_call_graph'])
    c(text_of(old) in a.text, f'{name}: the test cannot find the text of the nodes')
    if inside:
        c(all(b.text.count(text_of([n])) == a.text.count(text_of([n])) for n in old), f'{name}: a node of the source is not in the result, byte for byte')
    else:
        c(not old or b.text.count(text_of(old)) == 1, f'{name}: the nodes of the source are not in the result, byte for byte')
        c(new[len(new) - len(old):] == old, f'{name}: new nodes do not come first')
    rest, added = iter(old), []
    following = next(rest, None)
    for node in new:
        if node == following:
            following = next(rest, None)
        else:
            added.append(node)
    c(following is None and len(added) == len(new) - len(old), f'{name}: nodes changed, moved or went')
    made = [o['as_tensor']['name'] for n in added for o in n['outputs'] if 'as_tensor' in o]
    c.equal(len(set(made)), len(made), f'{name}: names of new nodes')
    unused = {n for n in inputs if f'"name": "{n}"' not in text_of(old) and {'as_tensor': {'name': n}} not in ga['outputs']}
    c(set(inputs) - unused <= set(made), f'{name}: no node gives {set(inputs) - set(made)}')
    every = made + [i['as_tensor']['name'] for i in gb['inputs'] if 'as_tensor' in i] + [o['as_tensor']['name'] for n in old for o in n['outputs'] if 'as_tensor' in o]
    c.equal(len(every), len(set(every)), f'{name}: a name is given twice')
    c.equal(gb['outputs'], ga['outputs'], f'{name}: outputs')
    # Inputs and specs.
    c.equal(len(gb['inputs']), len(b.signature['input_specs']), f'{name}: inputs and specs')
    owned = {f for t in mx.values() for f in (t['codes'], t['scales'])}
    keep = [s for s in a.signature['input_specs'] if spec_name(s)[1] not in inputs or spec_name(s)[0] == 'user_input']
    ours = [s for s in b.signature['input_specs'] if s not in a.signature['input_specs']]
    c.equal([s for s in b.signature['input_specs'] if s in a.signature['input_specs']], keep, f'{name}: input specs')
    for s in ours:
        (kind, body), = s.items()
        c(kind == 'buffer' and body['buffer_name'] in owned and body['persistent'] or kind == 'tensor_constant' or kind == 'buffer' and not body['persistent'],
          f'{name}: a new input {s}')
    c.equal([s['buffer']['buffer_name'] for s in ours if 'buffer' in s and s['buffer']['persistent']].__len__(), len(owned), f'{name}: buffers of codes and scales')
    c.equal(b.signature['output_specs'], a.signature['output_specs'], f'{name}: output specs')
    taken = set(inputs)
    c.equal([i for i in gb['inputs'] if i in ga['inputs']], [i for i in ga['inputs'] if (i.get('as_tensor') or {}).get('name') not in taken], f'{name}: inputs')
    # Values.
    for key, meta in ga['tensor_values'].items():
        got = gb['tensor_values'].get(key)
        if key in inputs and got:
            got = {**got, 'requires_grad': meta['requires_grad'], 'storage_offset': meta['storage_offset']}
        c(got == meta or key in unused and not got, f'{name}: tensor_values of {key}: {got}, {meta} expected')
    c(set(gb['tensor_values']) - set(ga['tensor_values']) <= set(made) | {spec_name(s)[1] for s in ours}, f'{name}: tensor_values of unknown names')
    for key in set(ga) - {'inputs', 'nodes', 'tensor_values'}:
        c.equal(gb.get(key), ga[key], f'{name}: graph.{key}')
    ma, mb = a.model['graph_module'], b.model['graph_module']
    for key in set(ma) - {'graph', 'signature', 'metadata'}:
        c.equal(mb.get(key), ma[key], f'{name}: graph_module.{key}')
    for key in set(a.model) - {'graph_module'}:
        c.equal(b.model.get(key), a.model[key], f'{name}: {key}')
    was, now = dict(ma['metadata']), dict(mb['metadata'])
    custom = json.loads(now.pop('custom'))
    custom.pop('mx')
    c.equal((now, custom), ({k: v for k, v in was.items() if k != 'custom'}, json.loads(was.get('custom', '{}'))), f'{name}: metadata')
    # Weights.
    c.equal(set(b.weights), set(a.weights) - set(chosen) | owned, f'{name}: weights config')
    for fqn in set(a.weights) - set(chosen):
        c({**b.weights[fqn], 'path_name': 0} == {**a.weights[fqn], 'path_name': 0} and b.record(fqn) == a.record(fqn), f'{name}: kept {fqn} in the weights config or its record')
    gone = {a.weights[f]['path_name'] for f in chosen if f in a.weights} - {a.weights[f]['path_name'] for f in set(a.weights) - set(chosen)}
    sizes = [sum(len(z.data['data/weights/' + p]) for p in {w['path_name'] for w in z.weights.values()}) for z in (a, b)]
    freed = sum(len(a.data['data/weights/' + p]) for p in gone)
    cost = sum(on.mx_bytes(on.FORMATS[mx[f[0]]['format']], tuple(mx[f[0]]['shape']), tuple(mx[f[0]]['axes'])) for f in groups.values())
    c.equal(sizes[1], sizes[0] - freed + cost, f'{name}: bytes of weights')
    c(not any(n.startswith('data/weights/weight_') and n[13:] not in {w['path_name'] for w in b.weights.values()} for n in b.names), f'{name}: a record of weights that nothing names')
    # Members.
    mine = [n for n in b.names if n not in OURS]
    rest = [[n for n in names if not n.startswith(('data/weights/weight_', 'data/constants/tensor_'))] for names in (a.names, mine)]
    c.equal(rest[1], [n for n in rest[0] if n not in OURS], f'{name}: members')
    for n in set(a.names) - set(OURS):
        if not n.startswith('data/weights/') and n not in ('models/model.json', 'data/constants/model_constants_config.json'):
            c(b.data.get(n) == a.data[n], f'{name}: member {n}')
    c.equal({k: v for k, v in b.constants.items() if k in a.constants}, {k: v for k, v in a.constants.items() if k not in chosen}, f'{name}: constants config')
    c.equal((b.root, tuple(b.names[-2:])), (a.root, OURS), f'{name}: root and last members')
    return groups


def check_back(c, name, a, path, values):
    """The way back: each byte of the source but those of weights that were quantized."""
    r = Zip(path)
    c(r.text == a.text, f'{name}: models/model.json on the way back differs{difference(a.text, r.text)}')
    c.equal([n for n in r.names if n not in OURS], [n for n in a.names if n not in OURS], f'{name}: members on the way back')
    changed = {'data/weights/' + a.weights[f]['path_name'] for f in values if f in a.weights} | {'data/constants/' + a.constants[f]['path_name'] for f in values if f in a.constants}
    for n in a.names:
        if n in changed:
            c.equal(len(r.data.get(n, b'')), len(a.data[n]), f'{name}: size of {n} on the way back')
        elif n not in OURS:
            c(r.data.get(n) == a.data[n], f'{name}: member {n} on the way back{difference(a.data[n], r.data.get(n, b""))}')
    c.equal(r.root, a.root, f'{name}: root on the way back')
    was, now = loaded_again(a.path), spine.load(path)
    c.equal(str(now), str(was), f'{name}: the printed program on the way back')
    c.equal(str(now.module_call_graph), str(was.module_call_graph), f'{name}: module_call_graph on the way back')
    c.equal(list(now.state_dict), list(was.state_dict), f'{name}: names on the way back')
    for fqn, t in was.state_dict.items():
        got = now.state_dict[fqn]
        spine.same(c, f'{name} {fqn} on the way back', got, values.get(fqn, t))
        c.equal((got.stride(), got.requires_grad, type(got), got.storage_offset()), (t.stride(), t.requires_grad, type(t), t.storage_offset()), f'{name} {fqn}: form on the way back')
    return now


def loaded_again(path):
    return spine.load(path)


def difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f': lengths {len(a)} and {len(b)}, at {at} {a[max(0, at - 60):at + 60]!r} became {b[max(0, at - 60):at + 60]!r}'


# ---- behaviour --------------------------------------------------------------------------------------------------------

def reference(path, values, grad=False):
    """The source with its weights replaced by ours, strides and all."""
    ep = spine.load(path)
    with torch.no_grad():
        for fqn, value in values.items():
            ({**ep.constants, **ep.state_dict})[fqn].copy_(value)
    # What is decoded needs no gradient, and matmul folds its input differently where a weight does.
    for fqn in () if grad else values:
        if fqn in ep.state_dict:
            ep.state_dict[fqn].requires_grad_(False)
    return ep


def leaves(result):
    return torch.utils._pytree.tree_flatten(result)


def same_result(c, what, got, want):
    (a, sa), (b, sb) = leaves(got), leaves(want)
    if not c.equal(str(sa), str(sb), f'{what}: structure of the outputs'):
        return
    for i, (x, y) in enumerate(zip(a, b)):
        if isinstance(y, torch.Tensor):
            spine.same_values(c, f'{what}: output {i}', x, y)
            c.equal(x.stride(), y.stride(), f'{what}: strides of output {i}')
        else:
            c.equal((type(x), x), (type(y), y), f'{what}: output {i}')


@wrap
def compare(c, what, make_got, make_want, examples, fast=False):
    """Both run over all inputs, one after the other, so that state is carried along."""
    got, want = quiet(make_got), quiet(make_want)
    with torch.no_grad():
        for args, kwargs in itertools.islice(examples(), 2 if fast else None):
            copies = [torch.utils._pytree.tree_map(lambda t: t.clone() if isinstance(t, torch.Tensor) else t, (args, kwargs)) for _ in range(2)]
            shapes = [tuple(t.shape) for t in leaves((args, kwargs))[0] if isinstance(t, torch.Tensor)]
            same_result(c, f'{what} {shapes}', quiet(got, *copies[0][0], **copies[0][1]), quiet(want, *copies[1][0], **copies[1][1]))


def works(fn):
    try:
        return quiet(fn), None
    except Exception as error:
        return None, f'{type(error).__name__}: {str(error)[:200]}'


def check(c, folder, name, fmt, resave=False, unflatten=False, decompose=False, args=()):
    """Returns the path of the quantized program."""
    entry, path = zoo.ZOO[name], source(name)
    out, st, back, again = (os.path.join(folder, f'{name}-{fmt}{x}') for x in ('.pt2', '.safetensors', '.back.pt2', '.again.pt2'))
    tag = f'{name} {fmt}'
    ep = loaded(name)
    chosen = check_plan(c, name, fmt, mxq_json('plan', path, '--format', fmt, *args), ep)
    mxq('quantize', path, '-o', out, '--format', fmt, *args)
    mxq('quantize', path, '-o', again, '--format', fmt, *args)
    c(open(out, 'rb').read() == open(again, 'rb').read(), f'{tag}: two runs give different bytes')
    os.remove(again)
    mxq('verify', out)
    mxq('dequantize', out, '-o', st)
    mxq('dequantize', out, '-o', back)
    mxq('verify', back)
    a, b = Zip(path), Zip(out)
    a.path = path
    groups = check_text(c, tag, a, b, chosen)
    for pair in groups.values():
        stored = {(ep.state_dict[f].data_ptr() if f in ep.state_dict else f) for f in pair}
        c.equal(len(stored), 1, f'{tag}: {pair} share codes, but are not tied')
    by_memory = {}
    for f in chosen:
        if f in ep.state_dict:
            t = ep.state_dict[f]
            by_memory.setdefault((t.data_ptr(), tuple(t.shape), t.stride()), set()).add(f)
    c.equal(sorted(map(sorted, by_memory.values())), sorted(sorted(x for x in g if x in ep.state_dict) for g in groups.values() if any(x in ep.state_dict for x in g)), f'{tag}: tied weights')
    values = {f: t for f, t in load_file(st).items() if f in chosen}
    c.equal(set(values), set(chosen), f'{tag}: names of the dequantized file')
    for f, t in values.items():
        spine.same(c, f'{tag} {f} against the oracle', t, _decoded(name, f, fmt, tuple(chosen[f])))
    for f, t in load_file(st).items():
        if f not in chosen:
            spine.same(c, f'{tag} {f}, which was kept', t, {**ep.state_dict, **ep.constants}[f])
    new = spine.load(out)
    for f, t in ep.state_dict.items():
        if f not in chosen:
            c.equal((type(new.state_dict.get(f)), new.state_dict[f].requires_grad, new.state_dict[f].stride()), (type(t), t.requires_grad, t.stride()), f'{tag}: {f}, which was kept')
    c.equal(str(new.range_constraints), str(ep.range_constraints), f'{tag}: range constraints')
    c.equal((new.graph_signature.user_inputs, new.graph_signature.user_outputs, dict(new.graph_signature.buffers_to_mutate)),
            (ep.graph_signature.user_inputs, ep.graph_signature.user_outputs, dict(ep.graph_signature.buffers_to_mutate)), f'{tag}: signature')
    c.equal(str(new.call_spec), str(ep.call_spec), f'{tag}: call spec')
    compare(c, tag, lambda: new.module(), lambda: reference(path, values).module(), entry.examples)
    check_back(c, tag, a, back, values)
    compare(c, f'{tag}, brought back', lambda: spine.load(back).module(), lambda: reference(path, values, True).module(), entry.examples, True)
    if resave:
        check_resaved(c, tag, path, out, again, values, entry)
    if unflatten:
        same_way(c, f'{tag} unflatten', lambda e: torch.export.unflatten(e), path, out, values, entry)
    if decompose:
        same_way(c, f'{tag} run_decompositions', lambda e: e.run_decompositions().module(), path, out, values, entry)
        same_way(c, f'{tag} re-export', lambda e: torch.export.export(e.module(), *entry.example(entry.inputs[0], 7), dynamic_shapes=entry.dynamic).module(), path, out, values, entry)
    return out


def check_compiled(c, folder, name, fmt):
    path, entry, out, st = source(name), zoo.ZOO[name], os.path.join(folder, 'o.pt2'), os.path.join(folder, 'o.safetensors')
    mxq('quantize', path, '-o', out, '--format', fmt)
    mxq('dequantize', out, '-o', st)
    manifest = Zip(out).manifest['tensors']
    values = {f: t for f, t in load_file(st).items() if f in manifest}
    args, kwargs = entry.example(entry.inputs[0], 7)
    _, error = works(lambda: torch.compile(spine.load(path).module())(*args, **kwargs))
    torch._dynamo.reset()
    if error:
        c(True, '')
        c.note(f'{name}: PyTorch cannot compile the source: {error[:120]}'.replace('\n', ' '))
    else:
        run_close(c, f'{name} {fmt} compiled', lambda: torch.compile(spine.load(out).module()), lambda: reference(path, values).module(), entry)


def same_way(c, what, way, path, out, values, entry):
    """Where PyTorch can do it with the source, it can do it with the result, and both compute the same."""
    want, error = works(lambda: way(reference(path, values)))
    if want is not None:
        _, error = works(lambda: want(*entry.example(entry.inputs[0], 7)[0], **entry.example(entry.inputs[0], 7)[1]))
    if error:
        c.note(f'{what}: PyTorch cannot do it with the source: {error[:120]}'.replace('\n', ' '))
        return
    compare(c, what, lambda: way(spine.load(out)), lambda: way(reference(path, values)), entry.examples, True)


@wrap
def run_close(c, what, make_got, make_want, entry):
    """Compiled code rounds differently where it fuses: the eager program, closely."""
    got, want = quiet(make_got), quiet(make_want)
    with torch.no_grad():
        for args, kwargs in itertools.islice(entry.examples(), 2):
            a, b = leaves(quiet(got, *args, **kwargs))[0], leaves(quiet(want, *args, **kwargs))[0]
            c.equal(len(a), len(b), f'{what}: outputs')
            for i, (x, y) in enumerate(zip(a, b)):
                if isinstance(y, torch.Tensor) and y.is_floating_point():
                    eps = 2e-2 if y.dtype in (torch.bfloat16, torch.float16) else 1e-4
                    c(x.dtype == y.dtype and torch.allclose(x.float(), y.float(), eps, eps * max(1, y.float().abs().max().item() if y.numel() else 1), equal_nan=True), f'{what}: output {i}')
    torch._dynamo.reset()


@wrap
def check_resaved(c, tag, path, out, again, values, entry):
    """PyTorch writes it again: loads, runs, and our own commands still know what it is."""
    quiet(torch.export.save, spine.load(out), again)
    compare(c, f'{tag} re-saved', lambda: spine.load(again).module(), lambda: reference(path, values).module(), entry.examples, True)
    mxq('verify', again)
    st, back = again + '.safetensors', again + '.back.pt2'
    mxq('dequantize', again, '-o', st)
    got = load_file(st)
    for f, t in values.items():
        if c(f in got, f'{tag} re-saved: {f} is gone'):
            spine.same(c, f'{tag} re-saved {f}', got[f], t)
    mxq('dequantize', again, '-o', back)
    compare(c, f'{tag} re-saved, brought back', lambda: spine.load(back).module(), lambda: reference(path, values, True).module(), entry.examples, True)
    c.equal(str(spine.load(back).graph), str(spine.load(path).graph), f'{tag}: the graph of what was re-saved and brought back')
