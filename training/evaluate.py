"""Accuracy of an exported model on held-out clips: the original's reward rules on greedy and sampled answers, with the
rendered frames, with the same clips through H.264 (256x256, crf 23), and with black frames.

    python training/evaluate.py public/models/toy --clips 32
"""
import argparse
import json
import re
import subprocess

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer

from data import clips, pixels
from language import generate
from model import TinyLlava

HELD_OUT = 1_000_000_000
CHECK = "Wait, let me look again."


def held_out(count, first=HELD_OUT, per_clip=4):
    """`count` clips with questions: (frames [count, 8, 64, 64, 3], list of (clip index, row))."""
    batch = list(clips(first, count, {"questions": per_clip}))
    rows = [(i, row) for i, (record, _) in enumerate(batch) for row in record["rows"]]
    return np.stack([frames for _, frames in batch]), rows


def through_video(frames):
    """uint8 [8, S, S, 3] -> H.264 and back -> Pillow's bicubic to [8, 64, 64, 3]."""
    size = frames.shape[1]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}"]
    encode = ["ffmpeg", "-v", "error", *raw, "-r", "4", "-i", "-", "-c:v", "libx264", "-crf", "23"]
    encode += ["-pix_fmt", "yuv420p", "-f", "matroska", "-"]
    decode = ["ffmpeg", "-v", "error", "-i", "-", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    video = subprocess.run(encode, input=frames.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    data = subprocess.run(decode, input=video, stdout=subprocess.PIPE, check=True).stdout
    decoded = np.frombuffer(data, np.uint8).reshape(-1, size, size, 3)
    return np.stack([np.asarray(Image.fromarray(f).resize((64, 64), Image.BICUBIC)) for f in decoded])


def held_out_video(count, first=HELD_OUT, per_clip=4):
    batch = list(clips(first, count, {"questions": per_clip, "size": 256}))
    rows = [(i, row) for i, (record, _) in enumerate(batch) for row in record["rows"]]
    return np.stack([through_video(frames) for _, frames in batch]), rows


def score(text, answer):
    """(right, well formed) by the original's accuracy and format rewards."""
    match = re.search(r"<answer>(.*?)</answer>", text)
    given = match.group(1).strip() if match else text.strip()
    right = bool(given) and (given == answer or given[0] == answer)
    formed = re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL) is not None
    formed = formed and all(text.count(t) == 1 for t in ("<think>", "</think>", "<answer>", "</answer>"))
    return right, formed


def check_outcome(texts, answers):
    """Of the traces that check themselves and concluded before: how many, right before, right after."""
    before, after = [], []
    for text, answer in zip(texts, answers):
        first, check, _ = text.partition(CHECK)
        concluded = re.findall(r" is [^.]*, ([A-E])\.", first)
        if check and concluded:
            before.append(concluded[-1] == answer)
            after.append(score(text, answer)[0])
    return [len(before), sum(before), sum(after)]


@torch.no_grad()
def evaluate(model, tokenizer, eos, test, temperature=0.0, seed=0, blank=False):
    frames, rows = test
    if blank:
        frames = np.zeros_like(frames)
    images = pixels(frames.reshape(-1, 64, 64, 3))
    visual = torch.cat([model.visual_tokens(part.view(-1, 8, 3, 64, 64)) for part in images.split(64)])
    generator = torch.Generator().manual_seed(seed)
    texts = []
    for at in range(0, len(rows), 64):
        part = rows[at : at + 64]
        tails, where = [r["tail"] for _, r in part], [c for c, _ in part]
        texts += generate(model, tokenizer, eos, visual, tails, where, temperature, generator=generator)
    scores = [score(text, row["answer"]) for text, (_, row) in zip(texts, rows)]
    families = {}
    for (right, _), (_, row) in zip(scores, rows):
        families.setdefault(row["family"], []).append(right)
    mean = lambda values: round(float(np.mean(values)), 3) if len(values) else None
    checked = [CHECK in text for text in texts]
    return {
        "n": len(rows),
        "accuracy": mean([r for r, _ in scores]),
        "well_formed": mean([f for _, f in scores]),
        "self_check": mean(checked),
        "checks_right_before_after": check_outcome(texts, [row["answer"] for _, row in rows]),
        "families": {f: [mean(v), len(v)] for f, v in sorted(families.items())},
    }, texts


def main():
    args = argparse.ArgumentParser()
    args.add_argument("model")
    args.add_argument("--clips", type=int, default=32)
    args.add_argument("--show", type=int, default=0)
    args = args.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(f"{args.model}/tokenizer.json")
    model = TinyLlava(json.load(open(f"{args.model}/config.json")))
    weights = {n: t.float() for n, t in load_file(f"{args.model}/model.safetensors").items()}
    model.load_state_dict(weights, strict=True)
    eos = tokenizer.token_to_id("<|endoftext|>")
    rendered, video = held_out(args.clips), held_out_video(args.clips)
    for name, test, options in (
        ("greedy, rendered", rendered, {}),
        ("greedy, H.264", video, {}),
        ("sampled, H.264", video, {"temperature": 1.0}),
        ("greedy, black frames", video, {"blank": True}),
    ):
        result, texts = evaluate(model, tokenizer, eos, test, **options)
        print(json.dumps({"what": name, **result}), flush=True)
        for text in texts[: args.show]:
            print("   ", text)


if __name__ == "__main__":
    main()
