"""Encodes the data set's videos once, with the original's own code, and writes `visual_tokens.safetensors`.

Runs where the original's package is installed (https://github.com/ZhangXJ199/TinyLLaVA-Video-R1) and `decord`; its
versions of torch and transformers need not be those of `train.py`.

    python encode_videos.py --model MODEL_FOLDER --videos VIDEO_FOLDER
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from decord import VideoReader
from safetensors.torch import save_file
from tinyllava.model.load_model import load_pretrained_model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="the model's folder, or its id on the hub")
    parser.add_argument("--videos", required=True, type=Path, help="the folder that video_filename starts from")
    parser.add_argument("--data", default="dataset.jsonl", type=Path)
    parser.add_argument("--out", default="visual_tokens.safetensors", type=Path)
    args = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, _, image_processor, _ = load_pretrained_model(args.model)
    model = model.to(device).eval()
    frames = getattr(model.config, "num_frame", None) or model.config.group

    rows = [json.loads(line) for line in args.data.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = sorted({row["video_filename"] for row in rows})
    tokens = {}
    for done, name in enumerate(names, 1):
        video = VideoReader(str(args.videos / name.removeprefix("./")))
        indices = np.linspace(0, len(video) - 1, frames, dtype=int)
        pictures = list(video.get_batch(indices.tolist()).asnumpy())
        pixels = image_processor(images=pictures, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            features = model.encode_videos(pixels.unsqueeze(0).to(model.device, model.dtype))
        tokens[name] = features[0].to(torch.float16).cpu().contiguous()
        print(f"{done} of {len(names)}: {name}")
    save_file(tokens, args.out)


if __name__ == "__main__":
    main()
