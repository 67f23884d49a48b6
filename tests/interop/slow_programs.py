# SPDX-License-Identifier: MIT
"""Every program in every format, through all that PyTorch does with a program."""
import oracle_numbers as on
import programs
import zoo
from harness import test


def add(name, fmt):
    @test(f'{fmt}: {name} runs, is saved again, unflattened, decomposed, exported anew and brought back')
    def body(c, folder):
        programs.check(c, folder, name, fmt, resave=True, unflatten=True, decompose=True)


for fmt in on.FORMATS:
    for name in zoo.ZOO:
        add(name, fmt)
