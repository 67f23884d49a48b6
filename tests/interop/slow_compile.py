# SPDX-License-Identifier: MIT
"""torch.compile takes what it takes of the source, and computes what the eager program computes, up to rounding."""
import programs
import zoo
from harness import test


def add(name, fmt):
    @test(f'{fmt}: {name} compiles')
    def body(c, folder):
        programs.check_compiled(c, folder, name, fmt)


for fmt in ('mxfp4', 'mxfp8-e4m3'):
    for name in zoo.ZOO:
        add(name, fmt)
