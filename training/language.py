"""The language model's training pass: several rows (question and answer) of a clip share one prefix pass.

Linear layers run on packed tokens without padding; only attention pads.
"""
import torch
import torch.nn.functional as F

from model import rope_tables, rotate

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)
BEFORE = f"{SYSTEM}USER: "
VISUAL = 64


class Pad(torch.autograd.Function):
    """[N, C] -> [R * L, C] with zeros at padding; both directions are gathers."""

    @staticmethod
    def forward(ctx, flat, to_padded, to_flat):
        ctx.save_for_backward(to_flat)
        return torch.cat((flat, flat.new_zeros(1, flat.shape[1]))).index_select(0, to_padded)

    @staticmethod
    def backward(ctx, grad):
        return grad.index_select(0, ctx.saved_tensors[0]), None, None


class Unpad(torch.autograd.Function):
    """The inverse of Pad."""

    @staticmethod
    def forward(ctx, padded, to_padded, to_flat):
        ctx.save_for_backward(to_padded)
        return padded.index_select(0, to_flat)

    @staticmethod
    def backward(ctx, grad):
        (to_padded,) = ctx.saved_tensors
        return torch.cat((grad, grad.new_zeros(1, grad.shape[1]))).index_select(0, to_padded), None, None


GROUPS = 5


class Rows:
    """Tokenised rows of a batch: packed ids, where they belong, and the weighted targets. Rows are sorted by length
    and attention pads within groups of similar length."""

    def __init__(self, tokenizer, eos, batch, answer_weight):
        rows, so = [], tokenizer.token_to_id("ĠSo")
        letter_ids = {tokenizer.token_to_id(f"Ġ{letter}") for letter in "ABCDE"}
        for c, (record, _) in enumerate(batch):
            for row in record["rows"]:
                ids = tokenizer.encode(row["tail"]).ids
                target, weight, source = [], [], []
                for segment in row["segments"]:
                    piece = tokenizer.encode(segment["text"]).ids
                    if segment["loss"]:
                        source += range(len(ids) - 1, len(ids) + len(piece) - 1)
                        target += piece
                        weight += [1.0] * len(piece)
                    ids = ids + piece
                source.append(len(ids) - 1)
                target.append(eos)
                weight.append(1.0)
                letter = None
                if row["kind"] in ("question", "lookup"):
                    # Letters in a trace are found by looking up an option; the last one is a copy. The words of a
                    # conclusion (the last one's, between "So the answer is" and its letter) are found by reasoning.
                    named = [i for i, t in enumerate(target) if t in letter_ids]
                    if so in target:
                        first = len(target) - 1 - target[::-1].index(so) + 4
                        weight[first : named[-2]] = [answer_weight] * (named[-2] - first)
                    for i in named if row["kind"] == "lookup" else named[:-1]:
                        weight[i] = answer_weight
                    letter = named[0] if row["kind"] == "question" else None
                rows.append((ids, c, source, target, weight, letter))
        rows.sort(key=lambda r: len(r[0]))
        ids, clip, source, target, weight, letters, starts = [], [], [], [], [], [], []
        for row in rows:
            starts.append(len(ids))
            source += [i + len(ids) for i in row[2]]
            if row[5] is not None:
                letters.append(len(weight) + row[5])
            ids += row[0]
            clip.append(row[1])
            target += row[3]
            weight += row[4]
        starts.append(len(ids))
        self.count, self.ids, self.clip = len(rows), torch.tensor(ids), torch.tensor(clip)
        self.source, self.target, self.weight = torch.tensor(source), torch.tensor(target), torch.tensor(weight)
        self.letters = torch.tensor(letters, dtype=torch.long)
        self.groups, positions = [], []
        for g in range(GROUPS):
            first, end = g * len(rows) // GROUPS, (g + 1) * len(rows) // GROUPS
            if first == end:
                continue
            lengths = torch.tensor([len(r[0]) for r in rows[first:end]])
            longest = int(lengths.max())
            at = torch.arange(longest)[None].expand(end - first, -1)
            to_flat = (at < lengths[:, None]).flatten().nonzero().flatten()
            to_padded = torch.full(((end - first) * longest,), len(to_flat))
            to_padded[to_flat] = torch.arange(len(to_flat))
            positions.append(at.flatten()[to_flat])
            self.groups.append((slice(starts[first], starts[end]), self.clip[first:end], longest, to_padded, to_flat))
        self.position = torch.cat(positions)


def attend(q, k, v, mask):
    """q [R, kv, repeat, L, D], k and v [R, kv, K, D], additive mask [L, K] or None -> like q. Plain products: several
    times faster than the fused kernel at these sizes on a CPU."""
    r, kv, repeat, length, size = q.shape
    scores = (q.reshape(r, kv, repeat * length, size) * size**-0.5) @ k.transpose(2, 3)
    if mask is not None:
        scores = (scores.view(r, kv, repeat, length, -1) + mask).view(r, kv, repeat * length, -1)
    return (scores.softmax(-1) @ v).view(q.shape)


def forward(model, rows, prefix, prefix_positions):
    """prefix [B, P, C] embeddings -> final hidden states where a target is predicted [targets, C]."""
    lm, c = model.lm, model.text
    b, p, d = prefix.shape
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    size, repeat, bp = d // heads, heads // kv, b * p
    positions = torch.cat((prefix_positions.repeat(b), rows.position + prefix_positions[-1] + 1))
    cos, sin = rope_tables(positions, size, c["rope_theta"])
    cos, sin = cos[:, None], sin[:, None]
    x = torch.cat((prefix.reshape(bp, d), lm.embed_tokens(rows.ids)))
    causal = lambda n: torch.full((n, n), -1e30).triu(1)
    masks = [torch.cat((torch.zeros(g[2], p), causal(g[2])), dim=1) for g in rows.groups]
    prefix_mask = causal(p)
    last = len(lm.layers) - 1
    for i, layer in enumerate(lm.layers):
        a = layer.self_attn
        h = layer.input_layernorm(x)
        q = rotate(a.q_proj(h).view(-1, heads, size), cos, sin)
        k = rotate(a.k_proj(h).view(-1, kv, size), cos, sin)
        v = a.v_proj(h).view(-1, kv, size)
        kp = k[:bp].view(b, p, kv, size).transpose(1, 2)
        vp = v[:bp].view(b, p, kv, size).transpose(1, 2)
        packed = torch.cat((q[bp:].flatten(1), k[bp:].flatten(1), v[bp:].flatten(1)), dim=1)
        outputs = []
        if i != last:
            qp = q[:bp].view(b, p, kv, repeat, size).permute(0, 2, 3, 1, 4)
            op = attend(qp, kp, vp, prefix_mask)
            outputs.append(op.permute(0, 3, 1, 2, 4).reshape(bp, d))
        for (where, clip, longest, to_padded, to_flat), mask in zip(rows.groups, masks):
            padded = Pad.apply(packed[where], to_padded, to_flat).view(len(clip), longest, heads + 2 * kv, size)
            qr, kr, vr = padded.transpose(1, 2).split((heads, kv, kv), dim=1)
            kr = torch.cat((kp.index_select(0, clip), kr), dim=2)
            vr = torch.cat((vp.index_select(0, clip), vr), dim=2)
            o = attend(qr.unflatten(1, (kv, repeat)), kr, vr, mask)
            o = o.permute(0, 3, 1, 2, 4).reshape(len(clip) * longest, d)
            outputs.append(Unpad.apply(o, to_padded, to_flat))
        o = torch.cat(outputs)
        if i == last:
            # Of the last layer only the positions with a target matter.
            x, o = x[bp:].index_select(0, rows.source), o.index_select(0, rows.source)
        x = x + a.o_proj(o)
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return lm.norm(x)


def loss_of(model, rows, hidden):
    """Weighted mean cross-entropy, and the share of right letters (teacher forced)."""
    logits = model.logits(hidden)
    each = F.cross_entropy(logits, rows.target, reduction="none")
    right = (logits.detach()[rows.letters].argmax(-1) == rows.target[rows.letters]).float().mean()
    return (each * rows.weight).sum() / rows.weight.sum(), right.item() if len(rows.letters) else 0.0


@torch.no_grad()
def generate(model, tokenizer, eos, visual, tails, clip, temperature=0.0, limit=160, generator=None):
    """Answers for every tail (its clip index in `clip`) -> list of texts. visual [B, 64, C]."""
    embed = model.lm.embed_tokens
    before = embed(torch.tensor(tokenizer.encode(BEFORE).ids))
    prompts = [
        torch.cat((before, visual[c], embed(torch.tensor(tokenizer.encode(tail).ids)))) for tail, c in zip(tails, clip)
    ]
    longest = max(map(len, prompts))
    x = torch.stack([F.pad(t, (0, 0, longest - len(t), 0)) for t in prompts])
    real = torch.stack([torch.arange(longest) >= longest - len(t) for t in prompts])
    positions = (real.long().cumsum(1) - 1).clamp(min=0)
    own = torch.eye(longest, dtype=torch.bool)
    mask = (real[:, None, :] & own.new_ones(longest, longest).tril()[None]) | own[None]
    cache = [None] * len(model.lm.layers)
    out = [[] for _ in tails]
    open_rows = torch.ones(len(tails), dtype=torch.bool)
    mask = mask[:, None]
    position = positions[:, -1:]
    for step in range(limit):
        h = model.decode(x, positions if step == 0 else position, cache, mask)[:, -1]
        logits = model.logits(h)
        if temperature == 0:
            token = logits.argmax(-1)
        else:
            token = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0]
        open_rows &= token != eos
        if not open_rows.any():
            break
        for i in open_rows.nonzero().flatten().tolist():
            out[i].append(token[i].item())
        x, position = embed(token)[:, None], position + 1
        real = torch.cat((real, real.new_ones(len(tails), 1)), dim=1)
        mask = real[:, None, None]
    return [tokenizer.decode(ids).strip() for ids in out]
