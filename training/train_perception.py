"""Stage 1 of the toy model's training: see perception.py. Writes vision tower, resampler and heads to --out."""
import argparse
import json
import math
import time

import numpy as np
import torch

from config import toy_config
from data import batches, clips, pixels
from model import TinyLlava
from optim import Average, Optimiser, Schedule
from perception import DenseHeads, labels


def initialise(model):
    """Linear layers at 1/sqrt(fan in), residual outputs at half of it, position embedding of 2-D sines times 0.5."""
    for name, p in list(model.vision.named_parameters()) + list(model.resampler.named_parameters()):
        if p.ndim >= 2 and "position" not in name and "latents" not in name:
            fan_in = p[0].numel()
            quiet = any(s in name for s in ("out_proj", "fc2", "to_out", "1.3"))
            torch.nn.init.normal_(p, std=(0.5 if quiet else 1.0) / math.sqrt(fan_in))
        elif name.endswith("bias"):
            torch.nn.init.zeros_(p)
    table = model.vision.embeddings.position_embedding.weight
    quarter = table.shape[1] // 4
    frequency = 1.5 ** -torch.arange(quarter).float() * 1.5
    at = torch.arange(8).float()[:, None] * frequency
    wave = torch.cat((at.sin(), at.cos()), dim=1)
    with torch.no_grad():
        table.copy_(0.5 * torch.cat((wave.repeat_interleave(8, 0), wave.repeat(8, 1)), dim=1))


def prepare(batch, rng, per_clip, generator):
    """Takes `per_clip` random frames of every clip."""
    frames, wants = [], []
    for record, images in batch:
        for t in rng.choice(8, per_clip, replace=False):
            frames.append(images[t])
            wants.append(record["labels"][t])
    return pixels(np.stack(frames), generator), labels(wants)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--minutes", type=float, default=10)
    args.add_argument("--batch", type=int, default=24)
    args.add_argument("--per-clip", type=int, default=4)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--first-clip", type=int, default=0)
    args.add_argument("--out", required=True)
    args.add_argument("--log", required=True)
    args = args.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng, generator = np.random.default_rng(args.seed), torch.Generator().manual_seed(args.seed)
    model = TinyLlava(toy_config(8, 0))
    initialise(model)
    heads = DenseHeads(96, 128)
    unused = (".encoder.layers.3.", ".post_layernorm", ".head.")
    named = [(n, p) for n, p in model.named_parameters() if n[0] != "l" and not any(u in n for u in unused)]
    named += [(f"heads.{n}", p) for n, p in heads.named_parameters()]
    optimiser = Optimiser(named, 0.02, 2e-3)
    schedule = None
    test = prepare(list(clips(1_000_000_000, 128)), np.random.default_rng(0), 4, None)
    step = 0

    def run(images):
        selected = model.vision(images)
        return selected, model.resampler.group_outputs(selected)

    for batch in batches(clips(args.first_clip, 900_000), args.batch):
        schedule = schedule or Schedule(args.minutes * 60, 30, time.time)
        images, want = prepare(batch, rng, args.per_clip, generator)
        loss = heads.losses(*run(images), want)
        loss.backward()
        optimiser.step(schedule.factor(step))
        step += 1
        done = schedule.progress() >= 1
        if step % 100 == 0 or done or step == 5:
            with torch.no_grad():
                accuracy = heads.accuracies(*run(test[0]), test[1])
            line = {"stage": "perception", "seed": args.seed, "step": step, "clips": step * args.batch}
            line |= {"seconds": round(time.time() - schedule.start), "loss": round(loss.item(), 4)}
            line |= {k: round(v, 4) for k, v in accuracy.items()}
            print(json.dumps(line), flush=True)
            with open(args.log, "a") as log:
                log.write(json.dumps(line) + "\n")
            state = {n: p for n, p in model.state_dict().items() if not n.startswith("language_model")}
            torch.save({"model": state, "heads": heads.state_dict()}, args.out)
        if done:
            break


if __name__ == "__main__":
    main()
