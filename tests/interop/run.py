# SPDX-License-Identifier: MIT
"""The outside witness: drives the built command with real clients and an oracle of its own.

  MXQUANT=/path/to/mxquant [MXQ_SHARED=/path/to/shared] python tests/interop/run.py [--slow MODULE] [words of a test's name, or a module]

The modules slow_* are parts of `make check-slow`. Run from the root of the repository, in an environment with requirements.txt; `make check-interop` does both.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402

MODULES = ('t_oracle', 't_spine', 't_numbers', 't_foreign', 't_damage', 't_corpora', 't_cli', 't_programs', 't_expected')


def main():
    if not os.access(harness.MXQUANT, os.X_OK):
        sys.exit('run.py: set MXQUANT to the command under test')
    import torch
    torch.set_num_threads(2)
    words, modules = sys.argv[1:], MODULES
    if words[:1] == ['--slow']:
        words, modules = words[2:], words[1:2]
    for module in modules:
        __import__(module)
    print(f'torch {torch.__version__}, outside vectors: {"present" if harness.SHARED else "not here (MXQ_SHARED is not set)"}', flush=True)
    start = time.time()
    failed = harness.run_all(words)
    print(f'{time.time() - start:.0f} s', flush=True) if failed else None
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
