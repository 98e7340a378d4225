"""Ten training steps of CTGAN and TVAE against PyTorch, from the same first weights, rows and noise.

PyTorch computes in double with its own layers, autograd and Adam, from the formulas of the papers; noise comes from a Philox of this
script.  So the two share nothing but the numbers that define the run.  Float against double over ten steps: losses agree to 1e-5
of their size (float holds 6e-8, sums are over some thousand terms; 2e-7 was seen).  A weight whose gradient is all but zero may move by up to one
learning rate a step the other way (Adam divides by the gradient's own size), so weights are compared by the share of
their movement that differs: 1e-3 (5e-6 was seen).
"""
# NEEDS: numpy torch
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(2)
SEED = 11


def read_mill(path):
    raw = open(path, "rb").read()
    (length,) = struct.unpack("<Q", raw[8:16])
    header = json.loads(raw[16:16 + length])
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
    out = {}
    for name, t in header["tensors"].items():
        a = np.frombuffer(raw, kinds[t["dtype"]], offset=t["offset"], count=int(np.prod(t["shape"], dtype=np.int64)))
        out[name] = a.reshape(t["shape"])
    return out


def philox_u01(step, stream, n):
    """Uniforms of elements 0..n-1, as src/base/philox.h defines them."""
    element = np.arange(n, dtype=np.uint64)
    index = element // np.uint64(64) * np.uint64(16) + element % np.uint64(16)
    m = np.uint64(0xFFFFFFFF)
    c = [index & m, index >> np.uint64(32), np.full(n, stream, np.uint64), np.full(n, step, np.uint64)]
    k0, k1 = SEED & 0xFFFFFFFF, SEED >> 32
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & m,
             (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & m]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    word = np.stack(c)[(element // np.uint64(16) % np.uint64(4)).astype(int), np.arange(n)]
    return ((word >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0 ** -23


class Noise:
    """One stream after another, in the order in which the graph was built."""

    def __init__(self, step):
        self.step, self.stream = step, 0

    def skip(self):
        self.stream += 1

    def uniform(self, *shape):
        self.stream += 1
        return torch.from_numpy(philox_u01(self.step, self.stream, math.prod(shape))).reshape(shape)

    def normal(self, *shape):
        return torch.special.ndtri(self.uniform(*shape))

    def gumbel(self, *shape):
        return -torch.log(-torch.log(self.uniform(*shape)))

    def dropout(self, x, p):
        return x * (self.uniform(*x.shape) >= np.float32(p)) / (1 - p)


class Data:
    def __init__(self, f):
        self.spans = [tuple(int(v) for v in row) for row in f["spans"]]
        self.width = sum(s[1] for s in self.spans)
        u, code = torch.from_numpy(f["rows.u"].astype(float)), torch.from_numpy(f["rows.code"].astype(np.int64))
        n = len(u)
        self.rows = torch.zeros(n, self.width)
        self.target = torch.full((n, len(self.spans)), -1)
        self.discrete = []  # (span index, offset in the condition, width)
        number = column = cond = 0
        for i, (start, length, kind) in enumerate(self.spans):
            if kind == 0:
                self.rows[:, start] = u[:, number]
                number += 1
                continue
            self.rows[torch.arange(n), start + code[:, column]] = 1
            self.target[:, i] = code[:, column]
            if i == 0 or self.spans[i - 1][2] != 0:
                self.discrete.append((i, cond, length))
                cond += length
            column += 1
        self.cond_width = cond

    def softmax_spans(self):
        return [(i, s, n) for i, (s, n, k) in enumerate(self.spans) if k == 1]


def one_hot(code, width):
    return torch.nn.functional.one_hot(torch.from_numpy(code.astype(np.int64)), width).double()


def parameters(f, at, prefix):
    keys = [k[:-len(at)] for k in f if k.startswith(prefix) and k.endswith(at) and ".adam_" not in k]
    return {k: torch.tensor(f[k + at].astype(float), requires_grad=not k.startswith(("g.mean", "g.var"))) for k in keys}


class CTGAN:
    def __init__(self, data, f, batch, pac=10):
        self.d, self.batch, self.pac = data, batch, pac
        self.w = parameters(f, "@0", "g.") | parameters(f, "@0", "d.")
        self.layers = sum(k.startswith("g.gamma") for k in self.w)
        self.depth = sum(k.startswith("d.b") for k in self.w) - 1
        g = [v for k, v in self.w.items() if k.startswith("g.") and v.requires_grad]
        d = [v for k, v in self.w.items() if k.startswith("d.")]
        self.adam_g = torch.optim.Adam(g, 2e-4, (0.5, 0.9), 1e-8, weight_decay=1e-6)
        self.adam_d = torch.optim.Adam(d, 2e-4, (0.5, 0.9), 1e-8, weight_decay=1e-6)

    def generate(self, z, c):
        w, parts = self.w, [z]
        for layer in range(self.layers + 1):
            a = c @ w[f"g.w{layer}.cond"] + w[f"g.b{layer}"]
            for k, part in enumerate(parts):
                a = a + part @ w[f"g.w{layer}.{len(parts) - 1 - k}"]
            if layer == self.layers:
                return a
            mean, var = w[f"g.mean{layer}"], w[f"g.var{layer}"]
            a = torch.nn.functional.batch_norm(a, mean, var, w[f"g.gamma{layer}"], w[f"g.beta{layer}"], True, 0.1, 1e-5)
            parts.insert(0, torch.relu(a))

    def fake(self, noise, draw):
        noise.skip()
        z = noise.normal(self.batch, 128)
        logits = self.generate(z, one_hot(draw[:, 0], self.d.cond_width))
        g = noise.gumbel(self.batch, self.d.width)
        rows = torch.cat([torch.tanh(logits[:, s:s + n]) if kind == 0 else
                          torch.softmax((logits[:, s:s + n] + g[:, s:s + n]) / 0.2, 1)
                          for s, n, kind in self.d.spans], 1)
        return logits, rows

    def first(self, rows, cond):
        w = self.w
        return (rows.reshape(-1, self.pac * rows.shape[1]) @ w["d.w0"] +
                cond.reshape(-1, self.pac * cond.shape[1]) @ w["d.w0.cond"] + w["d.b0"])

    def score(self, a, noise):
        for layer in range(1, self.depth + 1):
            a = noise.dropout(torch.nn.functional.leaky_relu(a, 0.2), 0.5)
            a = a @ self.w[f"d.w{layer}"] + self.w[f"d.b{layer}"]
        return a

    def step(self, i, f):
        noise, c = Noise(i), self.d.cond_width
        first, second = f[f"first@{i}"], f[f"second@{i}"]
        _, fake_d = self.fake(noise, first)
        logits, fake_g = self.fake(noise, second)
        fake_d = fake_d.detach()
        real, real_c = self.d.rows[first[:, 1].astype(np.int64)], one_hot(first[:, 2], c)
        fake_c = one_hot(first[:, 0], c)

        y_fake = self.score(self.first(fake_d, fake_c), noise)
        y_real = self.score(self.first(real, real_c), noise)
        gap = y_fake.mean() - y_real.mean()
        alpha = noise.uniform(self.batch // self.pac, 1).repeat_interleave(self.pac, 0)
        x = (torch.cat([fake_d, fake_c], 1) + alpha * torch.cat([real - fake_d, real_c - fake_c], 1)).requires_grad_()
        y = self.score(self.first(x[:, :self.d.width], x[:, self.d.width:]), noise)
        (g,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        norm = g.reshape(self.batch // self.pac, -1).norm(2, 1)
        self.adam_d.zero_grad()
        (gap + 10 * ((norm - 1) ** 2).mean()).backward()
        self.adam_d.step()

        target_c = one_hot(second[:, 0], c)
        y = self.score(self.first(fake_g, target_c), noise)
        ce = torch.zeros(self.batch)
        for span, offset, width in self.d.discrete:
            s, n, _ = self.d.spans[span]
            picked = target_c[:, offset:offset + width]
            ce = ce - (torch.log_softmax(logits[:, s:s + n], 1) * picked).sum(1)
        loss = -y.mean() + ce.mean()
        self.adam_g.zero_grad()
        loss.backward()
        self.adam_g.step()
        return loss.item(), gap.item()


class TVAE:
    def __init__(self, data, f, batch):
        self.d, self.batch = data, batch
        self.w = parameters(f, "@0", "v.")
        self.adam = torch.optim.Adam(list(self.w.values()), 1e-3, weight_decay=1e-5)

    def dense(self, name, x, last):
        w, layer = self.w, 0
        while f"v.{name}.w{layer}" in w:
            x = x @ w[f"v.{name}.w{layer}"] + w[f"v.{name}.b{layer}"]
            layer += 1
            if not last or f"v.{name}.w{layer}" in w:
                x = torch.relu(x)
        return x

    def step(self, i, f):
        noise = Noise(i)
        noise.skip()
        picked = torch.from_numpy(f[f"first@{i}"][:, 0].astype(np.int64))
        x, target = self.d.rows[picked], self.d.target[picked]
        h = self.dense("enc", x, False)
        mu, lv = self.dense("mu", h, True), self.dense("logvar", h, True)
        batch = len(picked)  # the last one of an epoch is smaller
        z = mu + noise.normal(batch, 128) * torch.exp(lv / 2)
        o = self.dense("dec", z, True)
        recon, number = 0, 0
        for k, (s, n, kind) in enumerate(self.d.spans):
            if kind == 0:
                sigma = self.w["v.sigma"][number]
                recon = recon + ((x[:, s] - torch.tanh(o[:, s])) ** 2 / (2 * sigma ** 2) + torch.log(sigma)).sum()
                number += 1
            else:
                recon = recon + torch.nn.functional.cross_entropy(o[:, s:s + n], target[:, k], reduction="sum")
        kl = -0.5 * (1 + lv - mu ** 2 - lv.exp()).sum() / batch
        loss = 2 * recon / batch + kl
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.w["v.sigma"].data.clamp_(0.01, 1)
        return loss.item(), kl.item()


def compare(method, table, steps, batch, dump):
    with tempfile.NamedTemporaryFile(suffix=".mill") as out:
        subprocess.run([dump, method, table, out.name, str(steps), str(batch)], check=True)
        f = read_mill(out.name)
    model = {"ctgan": CTGAN, "tvae": TVAE}[method](Data(f), f, batch)
    rows, worst, compared = len(f["rows.u"]), 0, 0
    per_epoch = -(-rows // batch)
    for i in range(steps):
        theirs = np.array(model.step(i, f))
        if method == "tvae" and rows % batch and i % per_epoch != per_epoch - 1:
            continue  # tvae tells its loss in the smaller batch that ends an epoch
        compared += 1
        gap = np.abs(theirs - f["loss"][i]) / (1 + np.abs(theirs))
        worst = max(worst, gap.max())
    name = f"trajectory_{method}_by_{batch}"
    ok = worst < 1e-5
    print(f"{'ok' if ok else 'FAIL'} {name}_losses: {compared} of {steps} steps, largest relative difference {worst:.2e}")
    moved = differs = 0.0
    for key, value in model.w.items():
        ours, before = f[f"{key}@{steps}"].astype(float), f[f"{key}@0"].astype(float)
        moved += np.abs(ours - before).sum()
        differs += np.abs(ours - value.detach().numpy()).sum()
    ok = differs < 1e-3 * moved
    print(f"{'ok' if ok else 'FAIL'} {name}_weights: moved by {moved:.3f} in all, {differs / moved:.2e} of it differs")


if __name__ == "__main__":
    build = os.environ.get("TEST_BUILD", "build/release")
    dump, table = sys.argv[1:3] if len(sys.argv) > 2 else (build + "/tests/parity/step_dump", "examples/penguins.csv")
    compare("ctgan", table, 10, 100, dump)
    compare("tvae", table, 10, 86, dump)  # 344 penguins: four alike
    compare("tvae", table, 10, 100, dump)  # and three with a smaller last one
