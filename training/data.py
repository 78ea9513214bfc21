"""Reads toy clips from scripts/toy-stream.ts, the world's one generator, in a background thread."""
import json
import os
import queue
import struct
import subprocess
import threading

import numpy as np
import torch
import torch.nn.functional as F

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def clips(first_seed, count, plan=None):
    """Yields (record, frames uint8 [8, size, size, 3], or None without frames) of consecutive seeds."""
    plan = plan or {}
    size = plan.get("size", 64)
    command = [
        "nice", "-n", "10", "node", "--import", "tsx", "scripts/toy-stream.ts",
        "--from", str(first_seed), "--count", str(count), "--plan", json.dumps(plan),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=1 << 20)
    done = queue.Queue(maxsize=64)

    def read():
        while True:
            head = process.stdout.read(4)
            if len(head) < 4:
                done.put(None)
                return
            record = json.loads(process.stdout.read(struct.unpack("<I", head)[0]))
            frames = None
            if plan.get("frames", True):
                data = process.stdout.read(8 * size * size * 3)
                frames = np.frombuffer(data, np.uint8).reshape(8, size, size, 3)
            done.put((record, frames))

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := done.get()) is not None:
            yield item
        if process.wait() != 0:
            raise RuntimeError("The clip generator failed; its message is above.")
    finally:
        process.kill()


def batches(stream, size):
    """Groups a stream into lists of `size`."""
    batch = []
    for item in stream:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []


BLUR = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16


def pixels(frames, generator=None):
    """uint8 [N, 64, 64, 3] -> float [N, 3, 64, 64] in -1..1. With a generator, half of the frames are degraded the way
    a video codec and a resize do: less noise and softer edges, a small shift of the colours, rounding."""
    x = torch.as_tensor(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    if generator is not None:
        n = x.shape[0]
        mix = torch.rand(n, 1, 1, 1, generator=generator) * (torch.rand(n, 1, 1, 1, generator=generator) < 0.6)
        soft = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), BLUR.expand(3, 1, 3, 3), groups=3)
        x = x + (soft - x) * mix
        gain = 1 + 0.03 * torch.randn(n, 3, 1, 1, generator=generator).clamp(-2, 2) * (mix > 0)
        offset = 3.0 * torch.randn(n, 3, 1, 1, generator=generator).clamp(-2, 2) * (mix > 0)
        x = (x * gain + offset).round().clamp(0, 255)
    return x * (2 / 255) - 1
