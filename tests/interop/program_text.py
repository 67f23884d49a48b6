# SPDX-License-Identifier: MIT
"""Everything of a program that is not about the chosen weights is what it was: axes and reasons of `plan`, the texts, the way back."""
import json

import torch

import oracle_numbers as on
import samples
import spine
import zoo
from program_files import OURS, Zip, difference


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
    was, now = spine.load(a.path), spine.load(path)
    c.equal(str(now), str(was), f'{name}: the printed program on the way back')
    c.equal(str(now.module_call_graph), str(was.module_call_graph), f'{name}: module_call_graph on the way back')
    c.equal(list(now.state_dict), list(was.state_dict), f'{name}: names on the way back')
    for fqn, t in was.state_dict.items():
        got = now.state_dict[fqn]
        spine.same(c, f'{name} {fqn} on the way back', got, values.get(fqn, t))
        c.equal((got.stride(), got.requires_grad, type(got), got.storage_offset()), (t.stride(), t.requires_grad, type(t), t.storage_offset()), f'{name} {fqn}: form on the way back')
    return now
