"""The rewards of the run, in Python: the same rules as in the playground.

Each takes TRL's arguments: the completions as texts, their token ids, and the columns of the data set as lists.
"""

import re
import struct

ANSWER = re.compile(r"<answer>(.*?)</answer>")
WHOLE = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
THINK = re.compile(r"<think>(.*?)</think>", re.DOTALL)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
DECIMAL = r"[+-]?(?:\d+\.?\d*|\.\d+)"
FRACTION = re.compile(rf"([+-]?)\\[dt]?frac\{{({DECIMAL})\}}\{{({DECIMAL})\}}")
QUOTIENT = re.compile(rf"({DECIMAL})(?:\s*/\s*({DECIMAL}))?")


def number(text):
    """The value of a decimal number, a quotient or a LaTeX fraction; None for all else."""
    bare = text.strip("$").strip()
    if quotient := QUOTIENT.fullmatch(bare):
        above, below, sign = quotient.group(1), quotient.group(2) or "1", 1
    elif fraction := FRACTION.fullmatch(bare):
        above, below, sign = fraction.group(2), fraction.group(3), -1 if fraction.group(1) == "-" else 1
    else:
        return None
    return sign * float(above) / float(below) if float(below) else None


def accuracy(text, solution):
    """1.0 where what stands in the answer tag is the solution, or begins with it where that is one character."""
    tagged = ANSWER.search(solution)
    truth = (tagged.group(1) if tagged else solution).strip()
    found = ANSWER.search(text)
    answer = (found.group(1) if found else text).strip()
    if not tagged:
        # In the place of math-verify, of which only this much is here.
        given, wanted = number(answer), number(truth)
        if given is not None and wanted is not None and abs(given - wanted) < 5e-7:
            return 1.0
    return 1.0 if answer and (answer == truth or answer[0] == truth) else 0.0


def well_formed(text, max_length):
    """0 unless the text is one thought and one answer; then 0.5, and up to 0.5 more for a long thought."""
    if not WHOLE.fullmatch(text) or any(text.count(tag) != 1 for tag in TAGS):
        return 0.0
    return 0.5 + 0.5 * min(len(THINK.search(text).group(1).strip()) / max_length, 1.0)


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def signed(right, form):
    """The original's combination, in float32: a + (2a - 1) f, and -2 in the place of 0."""
    reward = float32(right + float32((2 * right - 1) * float32(form)))
    return -2.0 if reward == 0 else reward


def make_accuracy_reward():
    def accuracy_reward(completions, solution, **_):
        return [accuracy(text.strip(), right) for text, right in zip(completions, solution)]

    return accuracy_reward


def make_format_reward(max_length):
    def format_reward(completions, **_):
        return [well_formed(text.strip(), max_length) for text in completions]

    return format_reward


def make_signed_reward(max_length):
    def signed_reward(completions, solution, **_):
        texts = [text.strip() for text in completions]
        return [signed(accuracy(text, right), well_formed(text, max_length)) for text, right in zip(texts, solution)]

    return signed_reward


def make_think_format_reward():
    pattern = re.compile(r"^<think>(?!.*<think>)(.*?)</think>.*$", re.DOTALL)

    def think_format_reward(completions, **_):
        return [1.0 if pattern.match(text.strip()) else 0.0 for text in completions]

    return think_format_reward


def make_soft_overlong_punishment(max_completion_len, soft_punish_cache):
    def soft_overlong_punishment_reward(completion_ids, **_):
        free = max_completion_len - soft_punish_cache
        return [
            0.0 if len(ids) <= free else (free - len(ids)) / soft_punish_cache if len(ids) <= max_completion_len else -1.0
            for ids in completion_ids
        ]

    return soft_overlong_punishment_reward


def make_repetition_penalty(ngram_size, max_penalty):
    def repetition_penalty_reward(completion_ids, **_):
        rewards = []
        for ids in completion_ids:
            grams = [tuple(ids[i : i + ngram_size]) for i in range(len(ids) - ngram_size + 1)]
            rewards.append((1 - len(set(grams)) / len(grams)) * max_penalty if grams else 0.0)
        return rewards

    return repetition_penalty_reward


def make_user_reward(source):
    def user_reward(completions, **_):
        raise NotImplementedError(
            "The run's own reward was written in JavaScript. Write it again in Python, in rewards.py:\n\n" + source
        )

    return user_reward
