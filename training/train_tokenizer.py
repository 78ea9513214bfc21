"""Trains the toy world's byte-level BPE and writes the files of a published checkpoint's tokenizer."""
import argparse
import json
import os

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from data import clips

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>"] + [
    f"<|{name}|>"
    for name in (
        "im_start im_end object_ref_start object_ref_end box_start box_end quad_start quad_end vision_start vision_end "
        "vision_pad image_pad video_pad"
    ).split()
]
PLAIN = ["<tool_call>", "</tool_call>"]
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)
PLAN = {"frames": False, "questions": 6, "captions": 4, "styles": {"guess": 0.2, "corrupted": 0.2, "careless": 0.2}}


def corpus(count):
    for record, _ in clips(0, count, PLAN):
        for row in record["rows"]:
            yield row["tail"] + "".join(s["text"] for s in row["segments"])
        yield f"{SYSTEM}USER: "


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", required=True)
    args.add_argument("--size", type=int, default=700, help="largest number of tokens before the special ones")
    args = args.parse_args()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=args.size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    tokenizer.train_from_iterator(corpus(3000), trainer)
    base = tokenizer.get_vocab_size()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in PLAIN])
    os.makedirs(args.out, exist_ok=True)
    path = lambda name: os.path.join(args.out, name)
    tokenizer.save(path("tokenizer.json"))
    content = json.load(open(path("tokenizer.json"), encoding="utf-8"))
    merges = [" ".join(m) if isinstance(m, list) else m for m in content["model"]["merges"]]
    write = lambda name, value: json.dump(value, open(path(name), "w", encoding="utf-8"), ensure_ascii=False, indent=2)
    json.dump(content["model"]["vocab"], open(path("vocab.json"), "w", encoding="utf-8"), ensure_ascii=False)
    with open(path("merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "\n".join(merges) + "\n")
    added = {t: base + i for i, t in enumerate(SPECIAL + PLAIN)}
    write("added_tokens.json", added)
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    end = {"content": SPECIAL[0], **flags}
    special_map = {"additional_special_tokens": SPECIAL[1:], "eos_token": end, "pad_token": end, "unk_token": end}
    write("special_tokens_map.json", special_map)
    decoder = {str(i): {"content": t, **flags, "special": t in SPECIAL} for t, i in added.items()}
    tokenizer_config = {
        "add_prefix_space": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": SPECIAL[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": SPECIAL[0],
        "errors": "replace",
        "model_max_length": 3072,
        "pad_token": SPECIAL[0],
        "padding_side": "right",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": SPECIAL[0],
    }
    write("tokenizer_config.json", tokenizer_config)
    print(base, "tokens +", len(added), "added")
    sample = "".join(text for text, _ in zip(corpus(1), range(2)))
    print(tokenizer.encode(sample).tokens)


if __name__ == "__main__":
    main()
