"""Encodes the data set's videos once, into the visual tokens that the decoder reads: `visual_tokens.safetensors`.

    python encode_videos.py --model MODEL_FOLDER --videos VIDEO_FOLDER

The vision tower and the resampler stay as they are in the run, so this is all that training needs of them.
"""

import argparse
import json
import math
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from transformers import SiglipVisionConfig, SiglipVisionModel

import checkpoint

# Fixed in the original code.
HEADS, HEAD_SIZE = 8, 64


def sampled_frames(path, count):
    """That many frames spread evenly over the video, as pictures. A short video gives some of them twice."""
    with av.open(str(path)) as container:
        total = sum(1 for _ in container.decode(video=0))
    wanted = np.linspace(0, total - 1, count, dtype=int).tolist()
    pictures = {}
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in wanted:
                pictures[i] = frame.to_image()
    return [pictures[i] for i in wanted]


def pixels_of(picture, size):
    """A picture as the vision tower sees it, [3, size, size], from -1 to 1."""
    values = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
    # The original takes a picture without a value above 1 for one that is scaled already.
    scale = 1 / 255 if np.asarray(picture).max() > 1 else 1.0
    scaled = torch.from_numpy((values * scale).astype(np.float32))
    return ((scaled - 0.5) / 0.5).permute(2, 0, 1)


class VisionTower(nn.Module):
    """SigLIP up to the layer whose output is used."""

    def __init__(self, config):
        super().__init__()
        vision = SiglipVisionConfig(**config["vision_config"])
        self.size = vision.image_size
        selected = config.get("vision_feature_layer", -2)
        if selected < 0:
            selected += vision.num_hidden_layers + 1
        vision.num_hidden_layers = selected
        model = SiglipVisionModel(vision)
        # Transformers 4 has one level more.
        model = getattr(model, "vision_model", model)
        self.embeddings, self.encoder = model.embeddings, model.encoder
        self.first = 1 if config.get("vision_feature_select_strategy", "patch") == "patch" else 0

    def forward(self, pixels):
        """Frames [T, 3, size, size] -> features [T, patches, C]."""
        return self.encoder(inputs_embeds=self.embeddings(pixels)).last_hidden_state[:, self.first :]


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm_media = nn.LayerNorm(dim)
        self.norm_latents = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, HEADS * HEAD_SIZE, bias=False)
        self.to_kv = nn.Linear(dim, 2 * HEADS * HEAD_SIZE, bias=False)
        self.to_out = nn.Linear(HEADS * HEAD_SIZE, dim, bias=False)

    def forward(self, media, latents):
        latents = self.norm_latents(latents)
        k, v = self.to_kv(torch.cat((self.norm_media(media), latents))).chunk(2, dim=-1)
        q, k, v = (x.unflatten(-1, (HEADS, HEAD_SIZE)).transpose(0, 1) for x in (self.to_q(latents), k, v))
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(0, 1).flatten(1))


class Resampler(nn.Module):
    """The latents attend to each group of features in turn. The naive resampler has one group."""

    def __init__(self, config):
        super().__init__()
        kind = config["connector_type"]
        if kind not in ("groupresampler", "naiveresampler"):
            raise ValueError(f"The connector {kind} is not known here.")
        self.naive = kind == "naiveresampler"
        self.groups = 1 if self.naive else config["group"]
        dim = config["text_config"]["hidden_size"]
        self.latents = nn.Parameter(torch.empty(config["num_queries"] // self.groups, dim))
        self.linear = nn.Linear(config["vision_config"]["hidden_size"], dim)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                (
                    Attention(dim),
                    nn.Sequential(
                        nn.LayerNorm(dim),
                        nn.Linear(dim, 4 * dim, bias=False),
                        nn.GELU(),
                        nn.Linear(4 * dim, dim, bias=False),
                    ),
                )
            )
            for _ in range(config["num_resampler_layers"])
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, features):
        """Features [patches of all frames, C] -> visual tokens [num_queries, dim]."""
        media = self.linear(features)
        if self.naive:
            media = media + positions(*media.shape).to(media)
        tokens = []
        for group in media.tensor_split(self.groups):
            latents = self.latents
            for attention, mlp in self.layers:
                latents = latents + attention(group, latents)
                latents = latents + mlp(latents)
            tokens.append(self.norm(latents))
        tokens = torch.cat(tokens)
        return tokens if self.naive else tokens + positions(*tokens.shape).to(tokens)


def positions(count, dim):
    """Sines and cosines of the positions, rounded to float16 as in the original."""
    rates = torch.exp(torch.arange(0, dim, 2).float() * -(math.log(10000.0) / dim))
    angles = torch.arange(count).float().unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).half()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="the model's folder, or its id on the hub")
    parser.add_argument("--videos", required=True, type=Path, help="the folder that video_filename starts from")
    parser.add_argument("--data", default="dataset.jsonl", type=Path)
    parser.add_argument("--out", default="visual_tokens.safetensors", type=Path)
    args = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = checkpoint.find(args.model)
    config = checkpoint.read_config(folder)
    tower, resampler = VisionTower(config), Resampler(config)
    checkpoint.load_part(tower, folder, "vision_tower._vision_tower.vision_model.")
    checkpoint.load_part(resampler, folder, "connector._connector.")
    tower.eval().to(device)
    resampler.eval().to(device)
    frames = config.get("num_frame") or config.get("group") or 16

    rows = [json.loads(line) for line in args.data.read_text(encoding="utf-8").splitlines() if line.strip()]
    names = sorted({row["video_filename"] for row in rows})
    tokens = {}
    for done, name in enumerate(names, 1):
        pictures = sampled_frames(args.videos / name.removeprefix("./"), frames)
        pixels = torch.stack([pixels_of(picture, tower.size) for picture in pictures]).to(device)
        with torch.inference_mode():
            features = resampler(tower(pixels).flatten(0, 1))
        tokens[name] = features.to(torch.float16).cpu().contiguous()
        print(f"{done} of {len(names)}: {name}")
    save_file(tokens, args.out)


if __name__ == "__main__":
    main()
