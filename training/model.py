"""The published classes (SigLIP tower, group resampler, Qwen2) in plain PyTorch, at any dimensions.

Parameter names equal the published checkpoint's. `python training/model.py CHECKPOINT_DIR REFERENCE_DIR` compares
them with recorded values of the original code.
"""
import json
import math
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F


class SiglipAttention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.q_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        split = lambda t: t.view(b, n, self.heads, d // self.heads).transpose(1, 2)
        o = F.scaled_dot_product_attention(split(self.q_proj(x)), split(self.k_proj(x)), split(self.v_proj(x)))
        return self.out_proj(o.transpose(1, 2).reshape(b, n, d))


class SiglipMlp(nn.Module):
    def __init__(self, dim, inner):
        super().__init__()
        self.fc1 = nn.Linear(dim, inner)
        self.fc2 = nn.Linear(inner, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class SiglipLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.self_attn = SiglipAttention(d, c["num_attention_heads"])
        self.layer_norm1 = nn.LayerNorm(d, eps=c["layer_norm_eps"])
        self.mlp = SiglipMlp(d, c["intermediate_size"])
        self.layer_norm2 = nn.LayerNorm(d, eps=c["layer_norm_eps"])

    def forward(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class SiglipEmbeddings(nn.Module):
    def __init__(self, c):
        super().__init__()
        p = c["patch_size"]
        self.patch_embedding = nn.Conv2d(c["num_channels"], c["hidden_size"], p, p)
        self.position_embedding = nn.Embedding((c["image_size"] // p) ** 2, c["hidden_size"])

    def forward(self, pixels):
        # The convolution as one matrix product: several times faster on a CPU.
        p = self.patch_embedding.kernel_size[0]
        b, ch, h, w = pixels.shape
        gh, gw = h // p, w // p
        x = pixels[:, :, : gh * p, : gw * p].reshape(b, ch, gh, p, gw, p).permute(0, 2, 4, 1, 3, 5)
        x = x.reshape(b, gh * gw, ch * p * p)
        w2 = self.patch_embedding.weight.view(self.patch_embedding.out_channels, -1)
        return F.linear(x, w2, self.patch_embedding.bias) + self.position_embedding.weight


class UnusedAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.randn(3 * d, d) * 0.02)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * d))
        self.out_proj = nn.Linear(d, d)


class UnusedHead(nn.Module):
    """SigLIP's attention-pooling head: stored in the checkpoint, never run."""

    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.probe = nn.Parameter(torch.randn(1, 1, d) * 0.02)
        self.attention = UnusedAttention(d)
        self.layernorm = nn.LayerNorm(d, eps=c["layer_norm_eps"])
        self.mlp = SiglipMlp(d, c["intermediate_size"])


class SiglipEncoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(SiglipLayer(c) for _ in range(c["num_hidden_layers"]))


class SiglipVisionModel(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = SiglipEmbeddings(c)
        self.encoder = SiglipEncoder(c)
        self.post_layernorm = nn.LayerNorm(c["hidden_size"], eps=c["layer_norm_eps"])
        self.head = UnusedHead(c)

    def forward(self, pixels):
        """[T, 3, S, S] in -1..1 -> hidden_states[-2] without its first token, [T, P - 1, C]."""
        x = self.embeddings(pixels)
        for layer in self.encoder.layers[:-1]:
            x = layer(x)
        return x[:, 1:]


class PerceiverAttention(nn.Module):
    def __init__(self, dim, dim_head=64, heads=8):
        super().__init__()
        self.heads = heads
        inner = dim_head * heads
        self.norm_media = nn.LayerNorm(dim)
        self.norm_latents = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, inner * 2, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(self, x, latents):
        x, latents = self.norm_media(x), self.norm_latents(latents)
        split = lambda t: t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q = split(self.to_q(latents))
        k, v = self.to_kv(torch.cat((x, latents), dim=1)).chunk(2, dim=-1)
        o = F.scaled_dot_product_attention(q, split(k), split(v))
        return self.to_out(o.transpose(1, 2).flatten(2))


def position_table(count, dim):
    """Sinusoids after rounding to float16, as the original stores them."""
    angle = torch.arange(count, dtype=torch.float32)[:, None] * torch.exp(
        torch.arange(0, dim, 2, dtype=torch.float32) * (-math.log(10000.0) / dim)
    )
    return torch.stack((angle.sin(), angle.cos()), dim=-1).reshape(count, dim).half().float()


class GroupResampler(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.group = c["group"]
        self.num_queries = c["num_queries"]
        self.latents = nn.Parameter(torch.randn(c["num_queries"] // c["group"], d))
        self.linear = nn.Linear(c["vision_hidden_size"], d)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                (
                    PerceiverAttention(d),
                    nn.Sequential(
                        nn.LayerNorm(d), nn.Linear(d, 4 * d, bias=False), nn.GELU(), nn.Linear(4 * d, d, bias=False)
                    ),
                )
            )
            for _ in range(c["num_resampler_layers"])
        )
        self.norm = nn.LayerNorm(d)
        self.register_buffer("pe", position_table(self.num_queries, d), persistent=False)

    def group_outputs(self, x):
        """[B, n, vision C], one group of tokens a row -> [B, latents, C], before the position table."""
        x = self.linear(x)
        latents = self.latents.expand(x.shape[0], -1, -1)
        for attention, feed_forward in self.layers:
            latents = attention(x, latents) + latents
            latents = feed_forward(latents) + latents
        return self.norm(latents)

    def forward(self, x):
        """[B, S, vision C], frames in time order -> [B, num_queries, C]."""
        q, r = divmod(x.shape[1], self.group)
        if r == 0:
            out = self.group_outputs(x.reshape(-1, q, x.shape[2]))
            out = out.view(x.shape[0], self.num_queries, -1)
        else:
            sizes = [q + 1] * r + [q] * (self.group - r)
            out = torch.cat([self.group_outputs(part) for part in x.split(sizes, dim=1)], dim=1)
        return out + self.pe


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Qwen2Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["hidden_size"]
        self.heads, self.kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        self.head_dim = d // self.heads
        self.q_proj = nn.Linear(d, d)
        self.k_proj = nn.Linear(d, self.kv_heads * self.head_dim)
        self.v_proj = nn.Linear(d, self.kv_heads * self.head_dim)
        self.o_proj = nn.Linear(d, d, bias=False)


class Qwen2Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, inner = c["hidden_size"], c["intermediate_size"]
        self.gate_proj = nn.Linear(d, inner, bias=False)
        self.up_proj = nn.Linear(d, inner, bias=False)
        self.down_proj = nn.Linear(inner, d, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Qwen2Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn = Qwen2Attention(c)
        self.mlp = Qwen2Mlp(c)
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


def rope_tables(positions, head_dim, theta):
    """cos and sin, [..., head_dim], half-rotation layout."""
    inv = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = positions[..., None].double() * inv
    angle = torch.cat((angle, angle), dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


class Qwen2Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList(Qwen2Layer(c) for _ in range(c["num_hidden_layers"]))
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class Holder(nn.Module):
    """Gives a child the attribute name that the published module tree has."""

    def __init__(self, name, child):
        super().__init__()
        setattr(self, name, child)


class TinyLlava(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        text = config["text_config"]
        self.text = text
        self.language_model = Holder("model", Qwen2Model(text))
        self.vision_tower = Holder("_vision_tower", Holder("vision_model", SiglipVisionModel(config["vision_config"])))
        self.connector = Holder("_connector", GroupResampler({**config, "hidden_size": text["hidden_size"]}))

    @property
    def lm(self):
        return self.language_model.model

    @property
    def vision(self):
        return self.vision_tower._vision_tower.vision_model

    @property
    def resampler(self):
        return self.connector._connector

    def visual_tokens(self, pixels):
        """[B, T, 3, S, S] -> [B, num_queries, C]."""
        b = pixels.shape[0]
        return self.resampler(self.vision(pixels.flatten(0, 1)).reshape(b, -1, self.config["vision_hidden_size"]))

    def decode(self, x, positions, cache=None, mask=None):
        """Plain causal pass over embeddings [B, L, C] with an optional growing cache of (k, v) a layer -> [B, L, C]
        after the final norm. `mask` [B or 1, 1, L, keys], True where visible, replaces the causal mask."""
        cos, sin = rope_tables(positions, x.shape[-1] // self.text["num_attention_heads"], self.text["rope_theta"])
        cos, sin = cos[:, None], sin[:, None]
        for i, layer in enumerate(self.lm.layers):
            a = layer.self_attn
            h = layer.input_layernorm(x)
            split = lambda t, n: t.unflatten(-1, (n, -1)).transpose(1, 2)
            q = rotate(split(a.q_proj(h), a.heads), cos, sin)
            k = rotate(split(a.k_proj(h), a.kv_heads), cos, sin)
            v = split(a.v_proj(h), a.kv_heads)
            if cache is not None:
                if cache[i] is not None:
                    k, v = torch.cat((cache[i][0], k), dim=2), torch.cat((cache[i][1], v), dim=2)
                cache[i] = (k, v)
            causal = mask is None and q.shape[2] > 1
            repeat = a.heads // a.kv_heads
            o = F.scaled_dot_product_attention(
                q, k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1), attn_mask=mask, is_causal=causal
            )
            x = x + a.o_proj(o.transpose(1, 2).flatten(2))
            x = x + layer.mlp(layer.post_attention_layernorm(x))
        return self.lm.norm(x)

    def logits(self, h):
        return F.linear(h, self.lm.embed_tokens.weight)


def check_against_reference(checkpoint, reference):
    from safetensors.torch import load_file

    config = json.load(open(f"{checkpoint}/config.json"))
    model = TinyLlava(config)
    weights = load_file(f"{checkpoint}/model.safetensors")
    weights.pop("language_model.lm_head.weight", None)
    model.load_state_dict(weights, strict=True)
    vision = load_file(f"{reference}/vision.safetensors")
    lm = load_file(f"{reference}/lm.safetensors")
    worst = 0.0

    def compare(name, got, want):
        nonlocal worst
        error = ((got - want).abs().max() / want.abs().max()).item()
        worst = max(worst, error)
        print(f"{name:24s} {error:.1e}")

    with torch.no_grad():
        selected = model.vision(vision["pixel_values"])
        compare("vision.selected", selected, vision["vision.selected"])
        tokens = model.resampler(selected.reshape(1, -1, selected.shape[-1]))
        compare("connector.output", tokens, vision["connector.output"])
        for n in (1, 3):
            short = model.resampler(selected[:n].reshape(1, -1, selected.shape[-1]))
            compare(f"short{n}", short, vision[f"short{n}.connector.output"])
        ids = lm["input_ids"].long()
        at = (ids == config["image_token_index"]).nonzero().item()
        embed = model.lm.embed_tokens
        x = torch.cat((embed(ids[:at]), tokens[0], embed(ids[at + 1 :])))[None]
        compare("inputs_embeds", x[0], lm["inputs_embeds"])
        h = model.decode(x, torch.arange(x.shape[1])[None])
        compare("logits", model.logits(h)[0], lm["logits"])
    return worst


if __name__ == "__main__":
    error = check_against_reference(sys.argv[1], sys.argv[2])
    print("largest relative error", error)
    sys.exit(error > 2e-5)
