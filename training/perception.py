"""Stage 1: vision tower and resampler on dense labels.

Every patch must tell the colour and shape of the object that covers it; latent c of every frame must hold the object
of colour c: whether it is there, its shape, its cell. Heads are thrown away after training.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

CENTRES = torch.arange(8) * 8 + 4.0


def labels(frames):
    """`frames`: per frame a list of [colour, shape, cell, x, y, radius] -> dict of int64 tensors.
    patch_colour, patch_shape [N, 63] (0 = background); latent_shape [N, 6] (0 = absent), latent_cell [N, 6] (-100 =
    absent)."""
    n = len(frames)
    colour = torch.zeros(n, 8, 8, dtype=torch.long)
    shape = torch.zeros(n, 8, 8, dtype=torch.long)
    latent_shape = torch.zeros(n, 6, dtype=torch.long)
    latent_cell = torch.full((n, 6), -100)
    for i, objects in enumerate(frames):
        for c, s, cell, x, y, r in objects:
            near = ((CENTRES - y).abs() < r + 0.5)[:, None] & ((CENTRES - x).abs() < r + 0.5)[None]
            colour[i][near] = c + 1
            shape[i][near] = s + 1
            latent_shape[i, c] = s + 1
            latent_cell[i, c] = cell
    return {
        "patch_colour": colour.flatten(1)[:, 1:],
        "patch_shape": shape.flatten(1)[:, 1:],
        "latent_shape": latent_shape,
        "latent_cell": latent_cell,
    }


class DenseHeads(nn.Module):
    def __init__(self, vision_dim, dim):
        super().__init__()
        self.patch = nn.Linear(vision_dim, 7 + 5)
        self.latent = nn.Linear(dim, 5 + 9)

    def losses(self, selected, latents, want):
        """selected [N, 63, C], latents [N, 8, D] before the position table."""
        colour, shape = self.patch(selected).split((7, 5), dim=-1)
        l_shape, l_cell = self.latent(latents[:, :6]).split((5, 9), dim=-1)
        ce = lambda logits, target: F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
        loss = ce(colour, want["patch_colour"]) + ce(shape, want["patch_shape"])
        return loss + ce(l_shape, want["latent_shape"]) + ce(l_cell, want["latent_cell"])

    @torch.no_grad()
    def accuracies(self, selected, latents, want):
        """Of objects only: background patches and absent colours do not count (except in `present`)."""
        colour, shape = self.patch(selected).split((7, 5), dim=-1)
        l_shape, l_cell = self.latent(latents[:, :6]).split((5, 9), dim=-1)
        on = want["patch_colour"] > 0
        there = want["latent_shape"] > 0
        right = lambda logits, target, at: (logits.argmax(-1)[at] == target[at]).float().mean().item()
        return {
            "patch_colour": right(colour, want["patch_colour"], on),
            "patch_shape": right(shape, want["patch_shape"], on),
            "present": ((l_shape.argmax(-1) > 0) == there).float().mean().item(),
            "shape": right(l_shape, want["latent_shape"], there),
            "cell": right(l_cell, want["latent_cell"], there),
        }
