"""reason_engine.py - records through a real engine, and answers before a second judge; `make parity-reason`.

llama-cpp-python is built from its source package (6 minutes on 2 cores, once: the venv stays in build/venv-reason).  The model is written here:
a llama of two layers with random weights, whose output is held in printable text by one constant dimension of the embedding, and in the shape of
an evaluation by the JSON schema that `tabmill reason` sends.  What it says is gibberish; that it goes through whole, is scored, stored, and comes
out the same from the store again is the test.

The second judge of answers is Math-Verify: each pair on which it and `tabmill reason verify` disagree is listed.  A pair that only tabmill calls
equal is a failure; the pairs are equal or unequal by construction.  Random expressions are compared by mpmath, to 400 digits.
"""
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.environ.get("REASON_VENV") or os.path.join(ROOT, "build", "venv-reason")
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build", "release", "tabmill"))
PACKAGES = ["llama-cpp-python[server]==0.3.36", "gguf==0.19.0", "math-verify[antlr4_13_2]==0.9.0", "numpy"]
WIDTH, HIDDEN, LAYERS, HEADS, CONTEXT = 64, 128, 2, 4, 16384
failed = []


def verdict(name, holds, why=""):
    print(f"ok {name}" if holds else f"FAIL {name}: {why}", flush=True)
    if not holds:
        failed.append(name)


def reason_of(text):
    """Of all that pip says of a failure: the first line that says more than that something failed."""
    lines = [line.strip(" |\u2502\u2570\u2500>\u00d7") for line in text.splitlines()]
    lines = [line for line in lines if "error" in line.lower() or "could not" in line.lower() or "could be found" in line]
    said = [line for line in lines if not any(w in line for w in ("subprocess", "metadata-generation-failed", "CMake Error at", "Failed b"))]
    return (said or lines or ["pip failed"])[0]


def make_venv():
    """Runs this file again inside of the venv, or ends with SKIP and the reason."""
    stamp = os.path.join(VENV, "installed")
    if not os.path.exists(stamp) or open(stamp).read() != " ".join(PACKAGES):
        print("parity-reason: building llama-cpp-python, some minutes", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        pip = subprocess.run([os.path.join(VENV, "bin", "pip"), "install", "-q", *PACKAGES], capture_output=True, text=True)
        if pip.returncode:
            sys.exit(print(f"SKIP: llama-cpp-python cannot be built here: {reason_of(pip.stderr)}"))
        with open(stamp, "w") as f:
            f.write(" ".join(PACKAGES))
    python = os.path.join(VENV, "bin", "python")
    os.execv(python, [python, os.path.abspath(__file__), "--in-venv"])


# ---- the engine ----

def bias_of(token):
    """Printable bytes are as likely as one another, an end at .6 some five times as much.  At .3 what a number begins with, ends with, and what
    a string ends with have nearly all of the probability where the schema allows them: top_p would cut an unlikely end off."""
    if token == 2:
        return .12
    byte = token - 3
    if not 32 <= byte < 127:
        return -3
    return .21 if byte in b'0,"' else 0


def write_model(path):
    import gguf
    import numpy as np
    rng = np.random.default_rng(1)
    tokens = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % i for i in range(256)]
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(HIDDEN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_rope_dimension_count(WIDTH // HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model("llama")
    w.add_token_list(tokens)
    w.add_token_scores([0.0] * len(tokens))
    w.add_token_types([2, 3, 3] + [6] * 256)
    w.add_unk_token_id(0)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: ")

    def add(name, *shape):
        x = (rng.standard_normal(shape) * .02).astype(np.float32)
        w.add_tensor(name, x)
        return x

    embedding = (rng.standard_normal((len(tokens), WIDTH)) * .02).astype(np.float32)
    embedding[:, 0] = 1  # survives the normalisation as about sqrt(WIDTH): what the biases are multiplied with
    output = (rng.standard_normal((len(tokens), WIDTH)) * .02).astype(np.float32)
    output[:, 0] = [bias_of(t) for t in range(len(tokens))]
    w.add_tensor("token_embd.weight", embedding)
    w.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    w.add_tensor("output.weight", output)
    for i in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{name}.weight", np.ones(WIDTH, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{i}.{name}.weight", WIDTH, WIDTH)
        add(f"blk.{i}.ffn_gate.weight", HIDDEN, WIDTH)
        add(f"blk.{i}.ffn_up.weight", HIDDEN, WIDTH)
        add(f"blk.{i}.ffn_down.weight", WIDTH, HIDDEN)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def servers_left(folder):
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if "llama_cpp.server" in line and folder in line]


def engine(folder):
    model, data, out = (os.path.join(folder, name) for name in ("tiny.gguf", "records.jsonl", "out.jsonl"))
    write_model(model)
    with open(data, "w") as f:
        for i in range(6):
            print(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {i * i}?", "answer": str(i + i * i)}), file=f)
    environment = dict(os.environ, PATH=os.path.join(VENV, "bin") + ":" + os.environ["PATH"])
    command = [TABMILL, "reason", "--dataset", data, "-o", out, "--serve", "llama-cpp-python", "--model", model, "--num-gpus", "1",
               "--max-tokens", "600", "--judge-max-tokens", "1200", "--max-iterations", "1"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    verdict("engine_runs", run.returncode == 0, run.stderr[-800:])
    if run.returncode:
        return
    rows = [json.loads(line) for line in open(out)]
    verdict("engine_all_records", [r["id"] for r in rows] == [f"r{i}" for i in range(6)], str([r.get("id") for r in rows]))
    scores = [r["quality_score"] for r in rows if isinstance(r.get("quality_score"), (int, float))]
    verdict("engine_scores_by_schema", len(scores) >= 3 and all(0 <= s <= .6 for s in scores), str(scores))  # the answers are wrong: at most .6
    verdict("engine_reasons", all(r.get("reasoning") for r in rows if r.get("quality_score") is not None))
    verdict("engine_no_process_left", not servers_left(folder), str(servers_left(folder)))
    before = open(out, "rb").read()
    again = subprocess.run([*command, "--resume"], env=environment, capture_output=True, text=True, timeout=900)
    verdict("engine_resumes_to_the_same_bytes", again.returncode == 0 and open(out, "rb").read() == before, again.stderr[-400:])


# ---- the second judge ----

def equal_pairs(rng):
    a, b = rng.randint(2, 40), rng.randint(2, 40)
    p = rng.randint(2, 9)
    return [
        (f"\\frac{{{a}}}{{{b}}}", f"\\frac{{{a * p}}}{{{b * p}}}"), (f"{a}", f"{a}.0"), (f"{a}", f"{a}\\text{{ cm}}"), (f"{a * 1000}", f"{a},000"),
        (f"\\frac{{{a}}}{{4}}", f"{a / 4}"), (f"{a}\\%", f"\\frac{{{a}}}{{100}}"), (f"\\sqrt{{{p * p * 3}}}", f"{p}\\sqrt{{3}}"),
        (f"({a}, {b})", f"({a},{b})"), (f"\\{{{a}, {a + b}\\}}", f"\\{{{a + b}, {a}\\}}"), (f"[{a}, {a + b})", f"\\left[{a}, {a + b}\\right)"),
        ("B", "\\text{(B)}"), (f"x={a}", f"{a}"), (f"{a}x+{b}", f"{b}+{a}x"), (f"x^2-{p * p}", f"(x-{p})(x+{p})"), (f"2^{{{p}}}", f"{2 ** p}"),
        (f"-\\frac{{{a}}}{{{b}}}", f"\\frac{{-{a}}}{{{b}}}"), (f"{a}^\\circ", f"{a}"), (f"{a}\\frac{{1}}{{2}}", f"{a}.5"), (f"\\$ {a}.50", f"{a}.5"), (f"\\text{{{a} meters}}", f"{a}"),
        (f"(-\\infty, {a}]", f"\\left(-\\infty, {a}\\right]"), (f"[{a}, {a + 1}]\\cup[{b + 50}, \\infty)", f"[{a},{a + 1}] \\cup [{b + 50},\\infty)"),
        (f"\\frac{{\\sqrt{{{p}}}}}{{{p}}}", f"\\frac{{1}}{{\\sqrt{{{p}}}}}"), (f"\\frac{{x+{a}}}{{x-{b}}}", f"\\frac{{{a}+x}}{{-{b}+x}}"), (f"{p}!", f"{math.factorial(p)}"),
        (f"\\log_{{2}} {2 ** p}", f"{p}"), (f"{p}x^2y", f"{p}yx^2"), (f"x \\in \\{{{a}, {a + b}\\}}", f"{a}, {a + b}"), (f"1.{a:02d} \\times 10^{{3}}", f"1{a:02d}0"),
        (f"{a}:{b}", f"\\frac{{{a}}}{{{b}}}"), (f"y = {a}x + {b}", f"{a}x+{b}"), (f"{a} \\text{{ and }} {a + b}", f"{a}, {a + b}"), (f"\\dfrac{{\\pi}}{{{p}}}", f"\\frac{{\\pi}}{{{p}}}"),
        (f"x \\le {a}", f"x \\leq {a}"), (f"\\frac1{p}", f"\\frac{{1}}{{{p}}}"), (f"{a} m", f"{a}\\text{{ m}}"), (f"-{a}^\\circ", f"-{a}"), (f"0,{p}", f"0.{p}"),
        (f"\\pm {a}, \\pm {a + b}", f"{a}, -{a}, {a + b}, -{a + b}"), (f"{a} percent", f"{a}\\%"), (f"\\log {10 ** p}", f"{p}"), (f"\\cos {30 * p}", f"\\cos {30 * p}^\\circ"),
        (f"({p}+\\sqrt{{3}})^{{100}}+({p}-\\sqrt{{3}})^{{100}}", f"({p}-\\sqrt{{3}})^{{100}}+({p}+\\sqrt{{3}})^{{100}}"), (f"\\binom{{n}}{{2}}+{a}", f"\\frac{{n(n-1)}}{{2}}+{a}"),
    ]


def unequal_pairs(rng):
    a, b = rng.randint(2, 40), rng.randint(2, 40)
    p = rng.randint(2, 9)
    return [
        (f"\\frac{{{a}}}{{{b}}}", f"\\frac{{{a + 1}}}{{{b}}}"), (f"{a}", f"{a + b}"), (f"{a}", f"-{a}"), (f"{a}.5", f"{a}"), (f"({a}, {a + b})", f"({a + b}, {a})"),
        (f"\\{{{a}, {a + b}\\}}", f"\\{{{a}, {a + b + 1}\\}}"), (f"[{a}, {a + b})", f"({a}, {a + b}]"), ("B", "C"), (f"x={a}", f"{a + 1}"),
        (f"{a}x+{b}", f"{b + 1}+{a}x"), (f"x^2-{p * p}", f"(x-{p})^2"), (f"\\sqrt{{{p}}}", f"{p}"), (f"2^{{{p}}}", f"{2 * p + 1}"),
        (f"\\frac{{\\pi}}{{{p}}}", f"\\frac{{\\pi}}{{{p + 1}}}"), (f"{a * 1000}", f"{a},001"), (f"{a}\\frac{{1}}{{2}}", f"\\frac{{{a}}}{{2}}"), (f"(-\\infty, {a}]", f"(-\\infty, {a})"),
        (f"{p}!", f"{p}"), (f"\\log_{{2}} {2 ** p}", f"{p + 1}"), (f"{a}:{b}", f"{b}:{a + b}"), (f"{a}", f"{a}.00001"), (f"{a}x^2", f"{a}x^3"), ("A", "a+1"),
        (f"({a}, {b})", f"({a}, {b}, 0)"), (f"{a}", f"{a}, {a + b}"), (f"\\frac{{\\sqrt{{{p}}}}}{{{p}}}", f"\\sqrt{{{p}}}"), (f"{p}\\sqrt{{3}}", f"{p}\\sqrt{{5}}"),
        (f"x \\le {a}", f"x \\ge {a}"), (f"x \\leq {a}", f"x \\neq {a}"), (f"\\frac1{p}", f"\\frac2{p}"), (f"\\log_{p}3", f"\\log_{p + 1}3"), (f"{a} million", f"{a}"),
        (f"0,{a + 100}", f"{a + 100}"), ("4!!", f"{math.factorial(24)}"), (f"{a}e-5", f"{a}e - 5"), (f"{a}^\\circ", f"{a} cm"),
        (f"({p}+\\sqrt{{3}})^{{100}}", f"({p}+\\sqrt{{3}})^{{100}}+({p}-\\sqrt{{3}})^{{100}}"), (f"\\tanh {a + 40}", "1"),
    ]


def verdicts(folder, pairs):
    data, out = os.path.join(folder, "pairs.jsonl"), os.path.join(folder, "verdicts.jsonl")
    with open(data, "w") as f:
        for i, (gold, said, _) in enumerate(pairs):
            print(json.dumps({"id": str(i), "answer": gold, "reasoning": f"Thus \\boxed{{{said}}}."}), file=f)
    run = subprocess.run([TABMILL, "reason", "verify", data, "-f", "-o", out], capture_output=True, text=True)
    verdict("verify_runs", run.returncode == 0, run.stderr[-400:])
    return [json.loads(line)["verdict"] for line in open(out)]


def trees(folder):
    import answer_trees
    pairs = answer_trees.pairs(random.Random(7), 3000)
    ours = verdicts(folder, pairs)
    wrong = [(g, s, mine) for (g, s, truth), mine in zip(pairs, ours) if mine == ("different" if truth else "equal")]
    verdict("trees_none_wrong", not wrong, f"{len(wrong)}: {wrong[:3]}")
    for truth, said in ((True, "equal"), (False, "different")):
        right = [mine == said for (_, _, t), mine in zip(pairs, ours) if t == truth]
        verdict(f"trees_{said}", sum(right) > .5 * len(right) > 300, f"{sum(right)} of {len(right)}")


def judges(folder):
    from math_verify import parse, verify
    rng = random.Random(7)
    pairs = [(g, s, True) for _ in range(12) for g, s in equal_pairs(rng)] + [(g, s, False) for _ in range(12) for g, s in unequal_pairs(rng)]
    ours = verdicts(folder, pairs)
    kinds, wrong = {}, []
    for (gold, said, truth), mine in zip(pairs, ours):
        theirs = bool(verify(parse(f"${gold}$"), parse(f"\\boxed{{{said}}}")))
        if mine == "equal" and not truth:
            wrong.append((gold, said))
        if (mine == "equal") != theirs:
            kinds.setdefault((mine, theirs), []).append((gold, said, truth))
    for (mine, theirs), which in sorted(kinds.items()):
        print(f"# tabmill says {mine}, Math-Verify {'equal' if theirs else 'not equal'}: {len(which)} of {len(pairs)} pairs")
        for gold, said, truth in which:
            print(f"#   {gold}   {said}   ({'equal' if truth else 'unequal'} by construction)")
    verdict("verify_no_false_accept", not wrong, str(wrong[:5]))
    rejects = sum(truth and mine == "different" for (_, _, truth), mine in zip(pairs, ours))
    verdict("verify_no_false_reject", rejects == 0, f"{rejects} of the equal pairs are called different")
    agreed = len(pairs) - sum(len(which) for which in kinds.values())
    print(f"# {agreed} of {len(pairs)} pairs: both agree")


if "--in-venv" not in sys.argv:
    make_venv()
work = tempfile.mkdtemp(prefix="tabmill-reason-")
try:
    for part in (trees, judges) if "--judges" in sys.argv else (trees, judges, engine):
        part(work)
finally:
    if failed:
        print(f"kept: {work}")
    else:
        shutil.rmtree(work)
sys.exit(bool(failed))
