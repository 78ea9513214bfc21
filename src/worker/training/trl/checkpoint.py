"""Reads a TinyLLaVA checkpoint: a folder, or an id on the hub, with `config.json` and safetensors."""

import json
from pathlib import Path

from huggingface_hub import snapshot_download
from safetensors import safe_open


def find(name):
    """The checkpoint's folder, fetched from the hub where `name` is none."""
    return Path(name) if Path(name).is_dir() else Path(snapshot_download(name))


def read_config(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def load_part(module, folder, prefix, may_miss=()):
    """Fills a part of the model with the weights whose names begin with `prefix`."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():
                if name.startswith(prefix):
                    weights[name.removeprefix(prefix)] = file.get_tensor(name)
    missing = module.state_dict().keys() - weights.keys() - set(may_miss)
    if missing:
        raise ValueError(f"{folder} lacks weights of {prefix}*: {sorted(missing)}")
    module.load_state_dict({name: weights[name] for name in module.state_dict() if name in weights}, strict=False)
