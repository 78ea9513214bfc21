"""Accuracy of a checkpoint on held-out clips: the original's reward rules on greedy or sampled answers."""
import re

import numpy as np
import torch

from data import clips, pixels
from language import generate

HELD_OUT = 1_000_000_000
CHECK = "Wait, let me look again."


def held_out(count, first=HELD_OUT, per_clip=4):
    """`count` clips with questions: (frames [count, 8, 64, 64, 3], list of (clip index, row))."""
    batch = list(clips(first, count, {"questions": per_clip}))
    rows = [(i, row) for i, (record, _) in enumerate(batch) for row in record["rows"]]
    return np.stack([frames for _, frames in batch]), rows


def score(text, answer):
    """(right, well formed) by the original's accuracy and format rewards."""
    match = re.search(r"<answer>(.*?)</answer>", text)
    given = match.group(1).strip() if match else text.strip()
    right = bool(given) and (given == answer or given[0] == answer)
    formed = re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text, re.DOTALL) is not None
    formed = formed and all(text.count(t) == 1 for t in ("<think>", "</think>", "<answer>", "</answer>"))
    return right, formed


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
        "families": {f: [mean(v), len(v)] for f, v in sorted(families.items())},
    }, texts
