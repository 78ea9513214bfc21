"""Goes on with a run of the TinyLLaVA-Video-R1 playground, with TRL, PEFT and accelerate.

    accelerate launch train.py --model MODEL_FOLDER

Needs `visual_tokens.safetensors` (see encode_videos.py), `dataset.jsonl` and `adapter/` beside it. The vision tower and
the resampler are frozen, so the videos are tokens that never change: here they are ids beyond the vocabulary's end,
which the embedding looks up among the visual tokens. All else is an ordinary language model to TRL.
"""

import argparse
import json
import math
import os
import re
import shutil
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoTokenizer, BatchEncoding, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

import checkpoint
import rewards

# The run's settings, by the names of GRPOConfig.
SETTINGS = dict()
# The run's rewards: functions and their weights.
REWARDS = []
REWARD_WEIGHTS = []
# What comes before and after the question in a prompt.
PROMPT_BEFORE = ""
PROMPT_AFTER = ""

# How PEFT names the decoder here, and how in the whole model's adapter.
HERE, WHOLE = "base_model.model.model.", "base_model.model.language_model.model."


class VideoEmbedding(nn.Module):
    """Ids below the vocabulary's end are words, those from there on rows of the visual tokens."""

    def __init__(self, words, visual):
        super().__init__()
        self.words = words
        self.register_buffer("visual", visual, persistent=False)

    @property
    def weight(self):
        return self.words.weight

    def forward(self, ids):
        end = self.words.num_embeddings
        seen = ids >= end
        words = self.words(ids.masked_fill(seen, 0))
        visual = self.visual[(ids - end).clamp(min=0)].to(words.dtype)
        return torch.where(seen.unsqueeze(-1), visual, words)


class VideoTokens:
    """Put before a tokenizer's class: `<|video:3|>` in a text becomes the ids of the fourth video's visual tokens."""

    MARK = re.compile(r"<\|video:(\d+)\|>")

    def ids_of(self, text):
        ids = []
        # The parts are tokenised apart, as the original does.
        for i, part in enumerate(self.MARK.split(text)):
            if i % 2 == 0:
                ids += super().__call__(part, add_special_tokens=False)["input_ids"]
            else:
                start = self.first_visual_id + int(part) * self.visual_count
                ids += range(start, start + self.visual_count)
        return ids

    def __call__(self, text=None, padding=False, padding_side="left", return_tensors=None, **_):
        if isinstance(text, str):
            ids = self.ids_of(text)
            found = BatchEncoding({"input_ids": ids, "attention_mask": [1] * len(ids)})
            return found.convert_to_tensors(return_tensors, prepend_batch_axis=True) if return_tensors else found
        rows = [self.ids_of(one) for one in text]
        batch = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
        if not padding:
            return BatchEncoding(batch)
        return self.pad(batch, padding=padding, padding_side=padding_side, return_tensors=return_tensors)


def load_language_model(folder, visual, dtype):
    """The decoder of a TinyLLaVA checkpoint, with the visual tokens in its embedding."""
    config = Qwen2Config(**checkpoint.read_config(folder)["text_config"])
    # PEFT looks there for the vocabulary's size when it saves, and the hub's may be another one.
    config._name_or_path = ""
    model = Qwen2ForCausalLM(config)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    checkpoint.load_part(model, folder, "language_model.", may_miss=tied)
    model.tie_weights()
    model.set_input_embeddings(VideoEmbedding(model.get_input_embeddings(), visual))
    return model.to(dtype)


def load_policy(model, folder):
    """The decoder with the run's adapter, which goes on learning."""
    saved = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    weights = {name.replace(WHOLE, HERE): value for name, value in load_file(folder / "adapter_model.safetensors").items()}
    layers = sorted({int(re.search(r"\.layers\.(\d+)\.", name).group(1)) for name in weights})
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=saved["r"],
        lora_alpha=saved["lora_alpha"],
        use_rslora=saved["use_rslora"],
        target_modules=sorted({name.split(".")[-3] for name in weights}),
        layers_to_transform=layers,
    )
    policy = get_peft_model(model, config)
    result = set_peft_model_state_dict(policy, weights)
    if result.unexpected_keys:
        raise ValueError(f"The adapter has weights that the model has not: {result.unexpected_keys}")
    return policy


def save_for_whole_model(out, before):
    """Writes `out/adapter`: named for the whole model, as `adapter/` is, for the playground and for PEFT."""
    weights = {name.replace(HERE, WHOLE): value for name, value in load_file(out / "adapter_model.safetensors").items()}
    (out / "adapter").mkdir(exist_ok=True)
    save_file(weights, out / "adapter" / "adapter_model.safetensors", metadata={"format": "pt"})
    shutil.copy(before / "adapter_config.json", out / "adapter")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="the model's folder, or its id on the hub")
    parser.add_argument("--out", default="out", help="where checkpoints go")
    args = parser.parse_args()

    here = Path(__file__).resolve().parent
    folder = checkpoint.find(args.model)
    tokens = load_file(here / "visual_tokens.safetensors")
    names = sorted(tokens)
    visual = torch.cat([tokens[name] for name in names])
    bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    model = load_language_model(folder, visual, torch.bfloat16 if bf16 else torch.float32)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    # By its own class's name, which is saved with it.
    tokenizer.__class__ = type(type(tokenizer).__name__, (VideoTokens, type(tokenizer)), {})
    tokenizer.first_visual_id = model.config.vocab_size
    tokenizer.visual_count = len(tokens[names[0]])
    tokenizer.pad_token = tokenizer.eos_token = "<|endoftext|>"

    rows = [json.loads(line) for line in (here / "dataset.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]
    place = {name: i for i, name in enumerate(names)}
    for row in rows:
        video = f"<|video:{place[row['video_filename']]}|>"
        row["prompt"] = PROMPT_BEFORE + video + "\n" + row["problem"] + PROMPT_AFTER
    # TRL passes over what does not fill a step, so a few questions are there more than once.
    at_once = SETTINGS["steps_per_generation"] * int(os.environ.get("WORLD_SIZE", 1))
    rows *= math.ceil(at_once / len(rows))

    trainer = GRPOTrainer(
        model=load_policy(model, here / "adapter"),
        reward_funcs=REWARDS,
        args=GRPOConfig(
            output_dir=args.out,
            reward_weights=REWARD_WEIGHTS,
            bf16=bf16,
            logging_steps=1,
            log_completions=True,
            remove_unused_columns=False,
            report_to="none",
            # The run's KL is the paper's; TRL's own default weighs it by the ratio.
            use_bias_correction_kl=False,
            **SETTINGS,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    # TRL's reference is a copy of the adapter as it is here; the run's is the model without one.
    for name, value in trainer.model.named_parameters():
        if ".lora_B.ref." in name:
            value.data.zero_()
    trainer.train()
    trainer.save_model(args.out)
    if trainer.accelerator.is_main_process:
        save_for_whole_model(Path(args.out), here / "adapter")


if __name__ == "__main__":
    main()
