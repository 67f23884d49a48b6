#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the archives of testdata/pt2/models: several programs, objects that are no tensors, devices, older layouts. Needs torch 2.13.

  make_models.py [--out DIR]

several.pt2 is as torch.export.pt2_archive writes it; the others are edited from PyTorch's own, or follow what its older versions wrote.
"""
import argparse
import io
import json
import pathlib
import zipfile

import torch
from torch import nn
from torch.export import Dim, export
from torch.export.pt2_archive._package import package_pt2


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
        self.register_buffer("shift", torch.arange(4.0), persistent=False)

    def forward(self, x):
        return self.fc(x) + self.shift


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 8)
        self.words = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.words.weight
        self.k = torch.tensor([1.0, 2.0])

    def forward(self, x, i):
        return self.fc(x + self.words(i)), self.head(x), self.k * 2


def write(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def edited(archive, edit):
    with zipfile.ZipFile(io.BytesIO(archive)) as z:
        for name in z.namelist():
            data = z.read(name)
            if name.endswith(".json"):
                tree = json.loads(data)
                edit(name, tree)
                data = json.dumps(tree)
            yield name, data


def with_objects(name, tree):
    queue = {"name": "obj_queue", "class_fqn": "__torch__.torch.classes.my.Queue"}
    if name.endswith("constants_config.json"):
        for key, record in (("queue", "custom_obj_0"), ("seal", "opaque_obj_0")):
            tree["config"][key] = {"path_name": record, "is_param": False, "use_pickle": True, "tensor_meta": None}
    elif name.endswith("weights_config.json"):
        devices = {"fc.weight": {"type": "cuda", "index": 1}, "fc.bias": {"type": "xpu", "index": None}}
        for key, entry in tree["config"].items():
            entry["tensor_meta"]["device"] = devices.get(key, {"type": "cpu"})
    else:
        module = tree["graph_module"]
        module["graph"]["inputs"].insert(0, {"as_custom_obj": queue})
        module["graph"]["custom_obj_values"]["obj_queue"] = queue
        module["signature"]["input_specs"].insert(0, {"custom_obj": {"arg": queue, "custom_obj_name": "queue"}})


def with_other_schema(name, tree):
    if name.endswith("models/encoder.json"):
        tree["schema_version"]["major"] = 9


def with_shared_record(path):
    """All weights of the decoder but its bias in one record, whose first 32 numbers are the encoder's weight too."""
    def share(name, tree):
        for key, entry in tree["config"].items():
            if name.endswith("encoder_weights_config.json") and key == "fc.weight":
                entry["path_name"] = "weight_2"
            if name.endswith("model_weights_config.json") and entry["path_name"] == "weight_4":
                entry["path_name"] = "weight_2"
                entry["tensor_meta"]["storage_offset"] = {"as_int": 32}

    with zipfile.ZipFile(path) as z:
        members = [(i.filename, z.read(i)) for i in z.infolist()]
    root = members[0][0].split("/")[0]
    tail = dict(members)[f"{root}/data/weights/weight_4"]
    for name, data in members:
        if name.endswith("_weights_config.json"):
            tree = json.loads(data)
            share(name, tree)
            data = json.dumps(tree).encode()
        if name == f"{root}/data/weights/weight_2":
            data += tail
        if name not in (f"{root}/data/weights/weight_0", f"{root}/data/weights/weight_4"):
            yield name, data


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "models")
    out = parser.parse_args().out
    torch.manual_seed(1)
    encoder = export(Encoder(), (torch.randn(2, 8),), dynamic_shapes={"x": {0: Dim("batch", min=1, max=64)}})
    decoder = export(Decoder(), (torch.randn(2, 4), torch.tensor([1, 2])))
    package_pt2(str(out / "several.pt2"), exported_programs={"encoder": encoder, "decoder": decoder})
    package_pt2(str(out / "with_default.pt2"), exported_programs={"encoder": encoder, "model": decoder})
    write(out / "bad_second.pt2", edited((out / "with_default.pt2").read_bytes(), with_other_schema))
    write(out / "shared_record.pt2", with_shared_record(out / "with_default.pt2"))
    buffer = io.BytesIO()
    torch.export.save(decoder, buffer)
    members = list(edited(buffer.getvalue(), with_objects))
    root = members[0][0].split("/")[0]
    members += [(f"{root}/data/constants/custom_obj_0", b"never opened"), (f"{root}/data/constants/opaque_obj_0", b"")]
    write(out / "objects.pt2", members)
    pickle = io.BytesIO()
    torch.save(decoder.state_dict, pickle)
    with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as z:
        program = z.read(f"{root}/models/model.json")
        samples = z.read(f"{root}/data/sample_inputs/model.pt")
        tail = [(f"{root}/{name}", z.read(f"{root}/{name}")) for name in ("archive_format", "archive_version", "byteorder", ".data/version")]
    write(out / "pytorch_2_8.pt2", [(f"{root}/data/weights/model.pt", pickle.getvalue()), (f"{root}/data/constants/model.pt", pickle.getvalue()),
                                    (f"{root}/models/model.json", program), (f"{root}/data/sample_inputs/model.pt", samples)] + tail)
    write(out / "pytorch_2_7.pt2", [("serialized_exported_program.json", program), ("serialized_state_dict.pt", pickle.getvalue()),
                                    ("serialized_constants.pt", pickle.getvalue()), ("serialized_example_inputs.pt", samples), ("version", "8.8")])


if __name__ == "__main__":
    main()
