# SPDX-License-Identifier: MIT
"""What an entry of the zoo is: a program, inputs of several sizes, and the axis of each weight; what the entries are made of.

An axis is derived by hand from the operator that the weight feeds: the axes that it sums over. None: the weight must stay as it is;
ANY: either is right, but the values must be those of the axis that `plan` states.
"""
import warnings

import torch
from torch import nn
from torch.export import Dim

ANY = 'any'
ZOO = {}


class Program:
    def __init__(self, name, build, axes, inputs, dynamic, kwargs, **options):
        self.name, self.build, self.axes, self.inputs, self.dynamic, self.kwargs, self.options = name, build, axes, inputs, dynamic, kwargs, options

    def examples(self):
        """(args, kwargs) of several sizes, none of them the one it was exported with."""
        for i, sizes in enumerate(self.inputs[1:]):
            yield self.example(sizes, 100 + i)

    def example(self, sizes, seed):
        g = torch.Generator().manual_seed(seed)
        made = self.kwargs(g, *sizes)
        return made if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], dict) else (made, {})

    def export(self, path):
        torch.manual_seed(len(self.name) * 1000 + sum(map(ord, self.name)))
        module = self.build()
        module.train(self.options.get('train', False))
        args, kwargs = self.example(self.inputs[0], 7)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            ep = torch.export.export(module, args, kwargs, dynamic_shapes=self.dynamic, preserve_module_call_signature=self.options.get('preserve', ()))
            if self.options.get('decompose'):
                ep = ep.run_decompositions()
            if self.options.get('edit'):
                self.options['edit'](ep)
            torch.export.save(ep, path)
        return path


def program(axes, inputs, dynamic, example, **options):
    """The decorated class or function builds the module."""
    def add(build):
        name = build.__name__.lower()
        ZOO[name] = Program(name, build, axes, inputs, dynamic, example, **options)
        return build
    return add


def rand(g, *shape, dtype=torch.float32):
    return torch.randn(shape, generator=g).to(dtype)


def ints(g, top, *shape):
    return torch.randint(top, shape, generator=g)


def weight(*shape, dtype=torch.float32):
    """Rows of several sizes, so that the scales differ."""
    w = torch.randn(shape) * torch.exp2(torch.randint(-3, 3, shape[:1] + (1,) * (len(shape) - 1)).float()) / shape[-1] ** 0.5
    return nn.Parameter(w.to(dtype))


def D(name, top=512, low=1):
    return Dim(name, min=low, max=top)


ONE = [(3,), (1,), (2,), (17,)]
TWO = [(2, 7), (1, 3), (3, 5), (2, 19)]
