"""Muon for hidden matrices, AdamW for the rest, one learning-rate factor for both."""
import torch


def newton_schulz(g, steps=5):
    """Orthogonalises a batch of matrices [N, rows, cols] (quintic iteration of the Muon optimiser)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    flip = x.shape[1] > x.shape[2]
    if flip:
        x = x.transpose(1, 2)
    for _ in range(steps):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.transpose(1, 2) if flip else x


class Muon:
    """Nesterov momentum 0.95, orthogonalised; matrices of one shape share one batched iteration."""

    def __init__(self, params, lr, momentum=0.95):
        self.lr, self.momentum = lr, momentum
        self.shapes = {}
        for p in params:
            self.shapes.setdefault(tuple(p.shape), []).append(p)
        self.buffers = {s: torch.zeros(len(ps), *s) for s, ps in self.shapes.items()}

    @torch.no_grad()
    def step(self, factor):
        for shape, params in self.shapes.items():
            if any(p.grad is None for p in params):
                continue
            g = torch.stack([p.grad for p in params])
            buffer = self.buffers[shape]
            buffer.lerp_(g, 1 - self.momentum)
            update = newton_schulz(g.lerp(buffer, self.momentum))
            scale = self.lr * factor * max(1.0, shape[0] / shape[1]) ** 0.5
            for p, u in zip(params, update):
                p.add_(u, alpha=-scale)


class Optimiser:
    """`named`: (name, parameter) pairs to train. Matrices inside layers go to Muon."""

    def __init__(self, named, muon_lr, adam_lr, clip=1.0):
        named = [(n, p) for n, p in named if p.requires_grad]
        is_hidden = lambda n, p: p.ndim == 2 and ".layers." in n and n.endswith("weight")
        self.params = [p for _, p in named]
        self.muon = Muon([p for n, p in named if is_hidden(n, p)], muon_lr)
        rest = [p for n, p in named if not is_hidden(n, p)]
        self.adam = torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0, foreach=True)
        self.adam_lr, self.clip = adam_lr, clip

    def step(self, factor):
        norm = torch.nn.utils.clip_grad_norm_(self.params, self.clip)
        self.muon.step(factor)
        for group in self.adam.param_groups:
            group["lr"] = self.adam_lr * factor
        self.adam.step()
        for p in self.params:
            p.grad = None
        return norm.item()


class Schedule:
    """Linear warm-up over `warmup` steps, then linear from 1 to `final`. Progress is wall-clock time, so that a stage
    ends when it has to on any machine."""

    def __init__(self, seconds, warmup, clock, final=0.0):
        self.seconds, self.warmup, self.clock, self.final = seconds, warmup, clock, final
        self.start = clock()

    def progress(self):
        return min(1.0, (self.clock() - self.start) / self.seconds)

    def factor(self, step):
        return min(1.0, (step + 1) / self.warmup) * (1.0 - (1.0 - self.final) * self.progress())


class Average:
    """Exponential moving average of parameters, for evaluation before the rate has come down."""

    def __init__(self, module, decay=0.995):
        self.decay = decay
        self.live = [p for p in module.parameters() if p.requires_grad]
        self.mean = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def update(self, step):
        torch._foreach_lerp_(self.mean, self.live, 1 - min(self.decay, (step + 1) / (step + 10)))

    @torch.no_grad()
    def swap(self):
        for p, m in zip(self.live, self.mean):
            p_old = p.detach().clone()
            p.copy_(m)
            m.copy_(p_old)
