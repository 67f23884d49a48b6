# SPDX-License-Identifier: MIT
"""The zoo's programs as files: exported once a run, their members and texts, and what a weight of theirs becomes by the oracle."""
import functools
import json
import os
import tempfile
import warnings
import zipfile

import oracle_numbers as on
import samples
import spine
import zoo

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
        self.path = path
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


@functools.cache
def decoded(name, fqn, fmt, axes):
    ep = loaded(name)
    t = {**ep.state_dict, **ep.constants}[fqn].detach()
    return spine.decoded(fmt, t, *on.encode(fmt, samples.as_f32(t), axes, 'auto', 'error', samples.SHORT[t.dtype]), axes)


@functools.cache
def loaded(name):
    """Never run, never changed."""
    return spine.load(source(name))


def difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f': lengths {len(a)} and {len(b)}, at {at} {a[max(0, at - 60):at + 60]!r} became {b[max(0, at - 60):at + 60]!r}'
