"""Stages 2 to 4 of the toy model's training: text only, captions and questions, styles.

Resumable: `--load` takes earlier checkpoints (later ones win), `--save` is written every few minutes.
"""
import argparse
import json
import math
import time

import numpy as np
import torch
from tokenizers import Tokenizer

from config import toy_config
from data import batches, clips, pixels
from evaluate import evaluate, held_out
from language import BEFORE, VISUAL, Rows, forward, loss_of
from model import TinyLlava
from optim import Average, Optimiser, Schedule
from perception import DenseHeads, labels
from train_perception import initialise

UNUSED = (".encoder.layers.3.", ".post_layernorm", "vision_model.head.")


def initialise_language(model):
    """A start from which looking up an option's letter is found within 9,000 rows of text.

    Token embeddings are larger than what the layers add at first, so that every position stays recognisable. The four
    heads of layer 0 look 1, 2, 3 and 4 tokens back (constant biases whose rotary product peaks there), so that a
    position knows what came before it. Queries and keys of layers 1 and 2 start equal in the slow rotary dimensions:
    positions attend to what is like them, wherever it is. Together that is an induction circuit, ready to be trained."""
    for name, p in model.lm.named_parameters():
        if name.startswith("embed"):
            torch.nn.init.normal_(p, std=0.15)
        elif p.ndim == 2:
            quiet = "o_proj" in name or "down_proj" in name
            torch.nn.init.normal_(p, std=(0.02 if quiet else 1.0) / math.sqrt(p.shape[1]))
        elif name.endswith("bias"):
            torch.nn.init.zeros_(p)
    size, width = model.lm.layers[0].self_attn.head_dim, model.text["hidden_size"]
    heads, groups = model.text["num_attention_heads"], model.text["num_key_value_heads"]
    half = size // 2
    frequency = 1e6 ** (-torch.arange(half) / half)
    with torch.no_grad():
        a = model.lm.layers[0].self_attn
        for group in range(groups):
            a.k_proj.bias[group * size : group * size + 4] = 10.0
        for head in range(heads):
            # q at position m meets k at n with the sum of cos(frequency * (m - n - distance)).
            at, distance = head * size, head + 1
            a.q_proj.bias[at : at + 4] = 10.0 * torch.cos(-frequency[:4] * distance)
            a.q_proj.bias[at + half : at + half + 4] = 10.0 * torch.sin(-frequency[:4] * distance)
        a.q_proj.weight.mul_(0.3)
        a.k_proj.weight.mul_(0.3)
        torch.nn.init.normal_(a.o_proj.weight, std=0.2 / math.sqrt(width))
        for layer in (1, 2):
            a = model.lm.layers[layer].self_attn
            k = a.k_proj.weight.view(groups, size, -1)
            k[:, :5] = 0
            k[:, half : half + 5] = 0
            k.mul_(1.5)
            a.q_proj.weight.copy_(k[:, None].expand(groups, heads // groups, -1, -1).reshape(heads * size, -1))
            torch.nn.init.normal_(a.o_proj.weight, std=0.1 / math.sqrt(width))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--stage", required=True, help="a name for the log")
    args.add_argument("--plan", required=True, help="JSON for scripts/toy-stream.ts")
    args.add_argument("--text-plan", help="a second plan without frames: every other step learns from it")
    args.add_argument("--text-batch", type=int, default=20)
    args.add_argument("--minutes", type=float, required=True)
    args.add_argument("--muon", type=float, default=0.012)
    args.add_argument("--adam", type=float, default=1.5e-3)
    args.add_argument("--final", type=float, default=0.0, help="factor on the rates at the end of the stage")
    args.add_argument("--warmup", type=int, default=30)
    args.add_argument("--batch", type=int, default=6)
    args.add_argument("--answer-weight", type=float, default=3.0)
    args.add_argument("--dense", type=float, default=0.3, help="weight of the dense labels' loss")
    args.add_argument("--freeze", action="store_true", help="train the language model only")
    args.add_argument("--first-clip", type=int, required=True)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--load", nargs="*", default=[])
    args.add_argument("--save", required=True)
    args.add_argument("--tokenizer", required=True)
    args.add_argument("--log", required=True)
    args.add_argument("--every", type=float, default=240, help="seconds between evaluations")
    args = args.parse_args()
    plan = json.loads(args.plan)
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    tokenizer = Tokenizer.from_file(f"{args.tokenizer}/tokenizer.json")
    eos = tokenizer.token_to_id("<|endoftext|>")
    model = TinyLlava(toy_config(tokenizer.get_vocab_size(), eos))
    initialise(model)
    initialise_language(model)
    heads = DenseHeads(96, 128)
    for path in args.load:
        state = torch.load(path)
        missing, unexpected = model.load_state_dict(state["model"], strict=False)
        assert not unexpected, unexpected
        if "heads" in state:
            heads.load_state_dict(state["heads"])
    sees = plan.get("frames", True)
    named = [(n, p) for n, p in model.named_parameters() if not any(u in n for u in UNUSED)]
    named += [(f"heads.{n}", p) for n, p in heads.named_parameters()]
    if args.freeze or not sees:
        named = [(n, p) for n, p in named if n.startswith("language_model")]
    everything = torch.nn.ModuleList((model, heads))
    trained = {id(p) for _, p in named}
    for p in everything.parameters():
        p.requires_grad_(id(p) in trained)
    optimiser = Optimiser(named, args.muon, args.adam)
    average = Average(everything)
    before = torch.tensor(tokenizer.encode(BEFORE).ids)
    positions = torch.arange(len(before) + VISUAL)
    test = held_out(32) if sees else None
    schedule, step, rows_seen = None, 0, 0
    losses, letters, text_losses, last = [], [], [], 0.0
    stream = batches(clips(args.first_clip, 300_000_000, plan), args.batch)
    reading = None
    if args.text_plan:
        text_plan = {**json.loads(args.text_plan), "frames": False}
        reading = batches(clips(args.first_clip + 50_000_000, 300_000_000, text_plan), args.text_batch)
    while True:
        with_frames = sees and (reading is None or step % 2 == 0)
        batch = next(stream if reading is None or with_frames else reading)
        schedule = schedule or Schedule(args.minutes * 60, args.warmup, time.time, args.final)
        rows = Rows(tokenizer, eos, batch, args.answer_weight)
        text = model.lm.embed_tokens(before)
        if with_frames:
            images = pixels(np.stack([frames for _, frames in batch]).reshape(-1, 64, 64, 3), generator)
            with torch.set_grad_enabled(not args.freeze):
                selected = model.vision(images)
                latents = model.resampler.group_outputs(selected)
            visual = latents.view(len(batch), VISUAL, -1) + model.resampler.pe
            prefix = torch.cat((text.expand(len(batch), -1, -1), visual), dim=1)
            loss, right = loss_of(model, rows, forward(model, rows, prefix, positions))
            want = labels([frame for record, _ in batch for frame in record["labels"]])
            total = loss if args.freeze else loss + args.dense * heads.losses(selected, latents, want)
        else:
            # No video: one prefix for all rows, which keep the positions that they will have after one.
            rows.clip.zero_()
            rows.position += VISUAL
            loss, right = loss_of(model, rows, forward(model, rows, text[None], positions[: len(before)]))
            total = loss
        total.backward()
        optimiser.step(schedule.factor(step))
        average.update(step)
        step, rows_seen = step + 1, rows_seen + rows.count
        if with_frames or not sees:
            losses.append(loss.item())
            letters.append(right)
        else:
            text_losses.append(loss.item())
        seconds, done = time.time() - schedule.start, schedule.progress() >= 1
        if not (done or seconds - last > args.every or step % 25 == 0):
            continue
        line = {"stage": args.stage, "seed": args.seed, "step": step, "rows": rows_seen, "seconds": round(seconds)}
        means = {"loss": losses, "letter": letters, "text_loss": text_losses}
        line |= {name: round(float(np.mean(values)), 4) for name, values in means.items() if values}
        losses, letters, text_losses = [], [], []
        if done or seconds - last > args.every:
            last = seconds
            average.swap()
            if sees:
                result, _ = evaluate(model, tokenizer, eos, test)
                line["greedy"] = result
                line["dense"] = {k: round(v, 4) for k, v in heads.accuracies(selected, latents, want).items()}
            torch.save({"model": model.state_dict(), "heads": heads.state_dict(), "step": step}, args.save)
            average.swap()
            with open(args.log, "a") as log:
                log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        if done:
            break


if __name__ == "__main__":
    main()
