"""Writes a training checkpoint in the published checkpoint's file layout, weights in F16."""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

from config import toy_config
from model import TinyLlava

TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "tokenizer.json",
)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--load", nargs="+", required=True, help="checkpoints; later ones win")
    args.add_argument("--tokenizer", required=True)
    args.add_argument("--out", required=True)
    args = args.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(os.path.join(args.tokenizer, name), os.path.join(args.out, name))
    added = json.load(open(os.path.join(args.out, "added_tokens.json")))
    eos = added["<|endoftext|>"]
    size = len(json.load(open(os.path.join(args.out, "vocab.json")))) + len(added)
    config = toy_config(size, eos)
    model = TinyLlava(config)
    state = {}
    for path in args.load:
        state.update(torch.load(path)["model"])
    model.load_state_dict(state, strict=True)
    tensors = {}
    for name, value in model.state_dict().items():
        half = value.half()
        if not torch.isfinite(half).all():
            raise SystemExit(f"{name} has a value beyond the range of float16.")
        tensors[name] = half.contiguous()
    save_file(tensors, os.path.join(args.out, "model.safetensors"), metadata={"format": "pt"})
    generation = {
        "_from_model_config": True,
        "bos_token_id": eos,
        "eos_token_id": eos,
        "transformers_version": "4.49.0.dev0",
        "use_cache": False,
    }
    preprocessor = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "processor_class": "SiglipProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": 64, "width": 64},
    }
    for name, content in (
        ("config.json", config),
        ("generation_config.json", generation),
        ("preprocessor_config.json", preprocessor),
    ):
        with open(os.path.join(args.out, name), "w") as file:
            file.write(json.dumps(content, indent=2) + "\n")
    total = sum(os.path.getsize(os.path.join(args.out, f)) for f in os.listdir(args.out))
    print(f"{len(tensors)} tensors, {sum(t.numel() for t in tensors.values())} parameters, {total} bytes in {args.out}")


if __name__ == "__main__":
    main()
