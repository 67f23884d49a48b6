# SPDX-License-Identifier: MIT
"""One program in one format: quantized, read, run, written again, brought back; all of it compared with the source."""
import functools
import itertools
import os

import torch
from safetensors.torch import load_file

import spine
import zoo
from harness import Failure, mxq, mxq_json
from program_files import Zip, decoded, loaded, quiet, source
from program_text import check_back, check_plan, check_text


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
        spine.same(c, f'{tag} {f} against the oracle', t, decoded(name, f, fmt, tuple(chosen[f])))
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
