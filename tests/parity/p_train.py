"""Steps of `tabmill train` against PyTorch, from the same first weights, batches and dropout masks.

PyTorch computes in double with its own layers, autograd, AdamW, clipping and label smoothing, from the formulas in docs/train.md; masks come
from a Philox of p_trajectory.py.  Float against double over the steps: losses agree to 1e-5 of their size; weights are compared by the
share of their movement that differs: 1e-3 (p_trajectory.py has the reasons; 2.4e-5 was seen).
"""
# NEEDS: numpy torch
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np  # noqa: E402
import torch  # noqa: E402
from p_trajectory import Noise, read_mill  # noqa: E402

F = torch.nn.functional


def meta_of(path):
    raw = open(path, "rb").read()
    (length,) = struct.unpack("<Q", raw[8:16])
    return json.loads(raw[16:16 + length])["meta"]


class MLP:
    def __init__(self, w, activation):
        self.w, self.act = w, getattr(F, activation)

    def __call__(self, num, code, noise, p):
        w, layer = self.w, 0
        while f"net.h{layer}.b" in w:
            if layer:
                x = x @ w[f"net.h{layer}.w"] + w[f"net.h{layer}.b"]
            else:
                x = w["net.h0.b"].expand(len(num if num is not None else code), -1)
                if num is not None:
                    x = x + num @ w["net.h0.w"]
                if code is not None:  # a padding row has codes of -1, which add nothing
                    one_hot = F.one_hot(code.clamp(min=0), len(w["net.h0.codes"])).double() * (code >= 0)[..., None]
                    x = x + one_hot.sum(1) @ w["net.h0.codes"]
            x = self.act(x)
            if p:
                x = noise.dropout(x, p)
            layer += 1
        return x @ w["net.head.w"] + w["net.head.b"]


class FT:
    def __init__(self, w, heads):
        self.w, self.heads = w, heads

    def linear(self, name, x):
        return x @ self.w[name + ".w"] + self.w[name + ".b"]

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".gamma"], self.w[name + ".beta"], 1e-5)

    def attention(self, name, ask, to, noise, p):
        n, s, d = ask.shape
        q, k, v = (self.linear(f"{name}.{part}", x).reshape(n, -1, self.heads, d // self.heads).transpose(1, 2)
                   for part, x in (("q", ask), ("k", to), ("v", to)))
        weight = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(d // self.heads), -1)
        if p:
            weight = noise.dropout(weight, p)
        return self.linear(f"{name}.out", (weight @ v).transpose(1, 2).reshape(n, s, d))

    def __call__(self, num, code, noise, p):
        w, rows = self.w, len(num if num is not None else code)
        parts = [w["net.answer"].expand(rows, 1, -1)]
        if num is not None:
            parts.append(num[:, :, None] * w["net.num.w"] + w["net.num.b"])
        if code is not None:
            parts.append(w["net.cat.w"][code.clamp(min=0)] * (code >= 0)[..., None] + w["net.cat.b"])
        x = torch.cat(parts, 1)
        layers = sum(k.endswith("attn.q.w") for k in w)
        for i in range(layers):
            y = self.norm(f"net.b{i}.norm", x) if i else x
            ask = y
            if i == layers - 1:
                ask, x = y[:, :1], x[:, :1]
            x = x + self.attention(f"net.b{i}.attn", ask, y, noise, p)
            h = self.linear(f"net.b{i}.ffn.in", self.norm(f"net.b{i}.ffn.norm", x))
            a, b = h.chunk(2, -1)
            h = a * torch.relu(b)
            if p:
                h = noise.dropout(h, p)
            x = x + self.linear(f"net.b{i}.ffn.out", h)
        return torch.relu(self.norm("net.norm", x[:, 0])) @ w["net.head.w"] + w["net.head.b"]


def compare(name, dump, table, target, steps, arch, dropout=0.0, accum=1, batch=32, activation="relu"):
    with tempfile.NamedTemporaryFile(suffix=".mill") as out:
        subprocess.run([dump, table, target, out.name, str(steps), f"arch={arch}", f"dropout={dropout}", f"accum={accum}",
                        f"batch={batch}", f"activation={activation}"], check=True)
        f, meta = read_mill(out.name), meta_of(out.name)
    w = {k[:-2]: torch.tensor(v.astype(float), requires_grad=True) for k, v in f.items() if k.endswith("@0")}
    net = MLP(w, activation) if arch == "mlp" else FT(w, 4)
    adam = torch.optim.AdamW(list(w.values()), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-4)
    parts, warm = meta["parts"], meta["steps_per_epoch"]
    worst = 0.0
    for i in range(steps):
        adam.zero_grad()
        total = 0.0
        for part in range(parts):
            k = i * parts + part
            num = torch.from_numpy(f[f"num.{k}"].astype(float)) if f"num.{k}" in f else None
            code = torch.from_numpy(f[f"code.{k}"].astype(np.int64)) if f"code.{k}" in f else None
            weight = torch.from_numpy(f[f"weight.{k}"].astype(float))[:, 0]
            if not weight.any():
                continue
            answer = net(num, code, Noise(k), dropout)
            if meta["classes"]:
                label = torch.from_numpy(f[f"label.{k}"].astype(np.int64))[:, 0].clamp(min=0)
                each = F.cross_entropy(answer, label, reduction="none", label_smoothing=0.1)
            else:
                each = (answer[:, 0] - torch.from_numpy(f[f"y.{k}"].astype(float))[:, 0]) ** 2
            loss = (each * weight).sum()
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
        lr = 1e-3 * (i + 1) / warm if i < warm else \
            1e-6 + (1e-3 - 1e-6) * 0.5 * (1 + math.cos(math.pi * (i - warm) / (meta["n_steps"] - warm)))
        for group in adam.param_groups:
            group["lr"] = lr
        adam.step()
        ours, rate = f[f"loss.{i}"][0]
        worst = max(worst, abs(ours - total) / (1 + abs(total)), abs(rate - lr) / lr)
    print(f"{'ok' if worst < 1e-5 else 'FAIL'} train_{name}_losses: {steps} steps, largest relative difference {worst:.2e}")
    moved = differs = 0.0
    for key, value in w.items():
        ours, before = f[f"{key}@{steps}"].astype(float), f[f"{key}@0"].astype(float)
        moved += np.abs(ours - before).sum()
        differs += np.abs(ours - value.detach().numpy()).sum()
    ok = differs < 1e-3 * moved
    print(f"{'ok' if ok else 'FAIL'} train_{name}_weights: moved by {moved:.3f} in all, {differs / moved:.2e} of it differs")


if __name__ == "__main__":
    build = os.environ.get("TEST_BUILD", "build/release")
    dump, table = build + "/tests/parity/train_dump", "examples/penguins.csv"
    compare("mlp", dump, table, "species", 14, "mlp", dropout=0.1)  # 11 steps are an epoch, the last one is short
    compare("mlp_accumulated", dump, table, "species", 8, "mlp", dropout=0.1, accum=4, batch=16, activation="gelu")
    compare("mlp_regression", dump, table, "body_mass_g", 14, "mlp", activation="silu")
    compare("ft_transformer", dump, table, "species", 14, "ft-transformer", dropout=0.1)
