# SPDX-License-Identifier: MIT
"""Programs of all the kinds that people export, small and the same each time.

  python tests/interop/zoo.py DIR [NAME ...]     writes them
"""
import os

# Each adds its programs to ZOO, in this order.
import zoo_networks  # noqa: F401
import zoo_uses  # noqa: F401
import zoo_dialects  # noqa: F401
from zoo_entry import ANY, D, Program, ZOO, ints  # noqa: F401


def language_model(path):
    """The trained model of testdata is an export already."""
    with open('testdata/model.pt2', 'rb') as f, open(path, 'wb') as out:
        out.write(f.read())
    return path


LLAMA_AXES = {'model.embed_tokens.weight': [1, 1], 'lm_head.weight': [1, 1],
              **{f'model.layers.{i}.{w}.weight': [1, 1] for i in range(3) for w in ('self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj',
                                                                                  'mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj')}}
ZOO['llama'] = Program('llama', None, LLAMA_AXES, [(2, 8), (1, 5), (3, 40), (2, 256)], ({0: D('batch', 4096), 1: D('length', 4096, 2)},), lambda g, b, s: (ints(g, 512, b, s),))
ZOO['llama'].export = language_model


if __name__ == '__main__':
    import sys
    os.makedirs(sys.argv[1], exist_ok=True)
    for each in ZOO.values():
        if len(sys.argv) < 3 or each.name in sys.argv[2:]:
            print(each.export(os.path.join(sys.argv[1], each.name + '.pt2')))
