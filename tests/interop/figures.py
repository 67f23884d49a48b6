# SPDX-License-Identifier: MIT
"""Measuring commands, and the large inputs to measure them on."""
import json
import os
import struct
import subprocess
import threading
import time
import zipfile

from harness import MXQUANT, Failure

# Prints the seconds that PyTorch takes to load an archive, in a process of its own.
LOAD = 'import sys, time, warnings; warnings.simplefilter("ignore"); import torch; s = time.perf_counter(); torch.export.load(sys.argv[1]); print(time.perf_counter() - s)'


class Run:
    """Seconds, output; peak memory in MiB, sampled: all of it, and the anonymous part."""

    def __init__(self, *args, command=None):
        command = command or [MXQUANT, *map(str, args)]
        self.peak_anon = self.peak = 0
        start = time.perf_counter()
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        parts = {}
        threads = [threading.Thread(target=lambda n, f: parts.__setitem__(n, f.read()), args=x) for x in (('out', p.stdout), ('err', p.stderr))]
        threads.append(threading.Thread(target=self._watch, args=(p.pid,)))
        for t in threads:
            t.start()
        _, status, usage = os.wait4(p.pid, 0)
        self.seconds = time.perf_counter() - start
        for t in threads:
            t.join()
        p.returncode = os.waitstatus_to_exitcode(status)
        self.out, self.err, self.code = parts['out'], parts['err'], p.returncode
        self.cpu = usage.ru_utime + usage.ru_stime
        if self.code:
            raise Failure(f'{" ".join(command)}: exit {self.code}: {self.err[-300:].decode(errors="replace")}')

    def _watch(self, pid):
        while True:
            try:
                with open(f'/proc/{pid}/status') as f:
                    seen = {x.split()[0]: int(x.split()[1]) / 1024 for x in f if x.startswith(('RssAnon', 'VmHWM'))}
            except OSError:
                return
            if not seen:
                return
            self.peak_anon, self.peak = max(self.peak_anon, seen['RssAnon:']), max(self.peak, seen['VmHWM:'])
            time.sleep(0.001)


def best(n, *args, **kwargs):
    """The fastest of n runs: what other programs on the machine take does not count."""
    return min((Run(*args, **kwargs) for _ in range(n)), key=lambda r: r.seconds)


def tensor_meta(shape, grad):
    strides = [1]
    for d in reversed(shape[1:]):
        strides.insert(0, strides[0] * d)
    return {'dtype': 7, 'sizes': [{'as_int': d} for d in shape], 'requires_grad': grad, 'device': {'type': 'cpu', 'index': None},
            'strides': [{'as_int': s} for s in strides[:len(shape)]], 'storage_offset': {'as_int': 0}, 'layout': 7}


def many(path, count, root='many'):
    """A program of `count` weights of 1 KiB in layers of 40, every tenth in a chain of linear nodes, written as PyTorch writes it."""
    names = [f'model.layers.{i // 40}.block.w{i % 40}' for i in range(count)]
    inputs, specs, values, nodes, config = [], [], {}, [], {}
    last = 'x'
    for i, fqn in enumerate(names):
        node = 'p_' + fqn.replace('.', '_')
        inputs.append({'as_tensor': {'name': node}})
        specs.append({'parameter': {'arg': {'name': node}, 'parameter_name': fqn}})
        values[node] = tensor_meta([16, 16], True)
        config[fqn] = {'path_name': f'weight_{i}', 'is_param': True, 'use_pickle': False, 'tensor_meta': tensor_meta([16, 16], True)}
        if i % 10 == 0:
            out = f'linear_{i}'
            nodes.append({'target': 'torch.ops.aten.linear.default', 'inputs': [{'name': 'input', 'arg': {'as_tensor': {'name': last}}, 'kind': 1}, {'name': 'weight', 'arg': {'as_tensor': {'name': node}}, 'kind': 1}],
                          'outputs': [{'as_tensor': {'name': out}}], 'metadata': {'nn_module_stack': 'L__self__,,torch.nn.modules.module.Module'}, 'is_hop_single_tensor_return': None, 'name': out})
            values[out] = tensor_meta([2, 16], False)
            last = out
    inputs.append({'as_tensor': {'name': 'x'}})
    specs.append({'user_input': {'arg': {'as_tensor': {'name': 'x'}}}})
    values['x'] = tensor_meta([2, 16], False)
    leaf = {'type': None, 'context': None, 'children_spec': []}
    args = {'type': 'builtins.tuple', 'context': 'null', 'children_spec': [{'type': 'builtins.tuple', 'context': 'null', 'children_spec': [leaf]}, {'type': 'builtins.dict', 'context': '[]', 'children_spec': []}]}
    model = {'graph_module': {'graph': {'inputs': inputs, 'outputs': [{'as_tensor': {'name': last}}], 'nodes': nodes, 'tensor_values': values, 'sym_int_values': {}, 'sym_bool_values': {},
                                        'is_single_tensor_return': False, 'custom_obj_values': {}, 'sym_float_values': {}},
                              'signature': {'input_specs': specs, 'output_specs': [{'user_output': {'arg': {'as_tensor': {'name': last}}}}]},
                              'module_call_graph': [{'fqn': '', 'signature': {'inputs': [], 'outputs': [], 'in_spec': json.dumps([1, args]), 'out_spec': json.dumps([1, leaf]), 'forward_arg_names': ['x']}}],
                              'metadata': {}, 'treespec_namedtuple_fields': {}},
             'opset_version': {'aten': 10}, 'range_constraints': {}, 'schema_version': {'major': 8, 'minor': 20}, 'verifiers': ['TRAINING'], 'torch_version': '2.13.0', 'guards_code': []}
    with zipfile.ZipFile(path, 'w', allowZip64=True) as z:
        def add(name, data):
            info = zipfile.ZipInfo(f'{root}/{name}')
            pad = -(z.fp.tell() + 30 + len(info.filename) + 4) % 64  # as PyTorch aligns records
            info.extra = struct.pack('<2sH', b'FB', pad) + b'Z' * pad
            z.writestr(info, data)
        for i in range(count):
            add(f'data/weights/weight_{i}', struct.pack('<256f', *([float(i % 1000) / 1000 - 0.5] * 256)))
        add('data/weights/model_weights_config.json', json.dumps({'config': config}))
        add('data/constants/model_constants_config.json', '{"config": {}}')
        add('models/model.json', json.dumps(model))
        add('data/sample_inputs/model.pt', b'')
        for name, data in (('archive_format', b'pt2'), ('archive_version', b'0'), ('.data/version', b'6\n'), ('byteorder', b'little'), ('.data/serialization_id', b'0' * 40)):
            add(name, data)
    return path


if __name__ == '__main__':
    import sys
    many(sys.argv[1], int(sys.argv[2]))
