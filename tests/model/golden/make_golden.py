#!/usr/bin/python3
"""Writes what the PyTorch oracle computes from a random checkpoint, for the golden test of the whole trainer.

  make_golden.py ORACLE.py OUT [options]        ORACLE.py: shared/peers/torch_bert.py

The committed files of this folder were written by: make_golden.py ORACLE.py tests/model/golden --float64
(in f64, so that the differences that the test sees are Cloze's own). scripts/compare_oracle.sh uses it for more shapes.

OUT/config.json, vocab.txt, model.safetensors   the checkpoint, all heads
OUT/input.json            ragged rows {"ids", "segments"} and the targets of every loss
OUT/outputs.safetensors   hidden [T,H], tokens [T,C], qa [T,2], mlm [M,V] (of the rows in "masked"), pooled [B,H],
                          nsp [B,2], classifier [B,C]; T counts real tokens only, row after row
OUT/gradients.safetensors        d classification loss / d parameter, of the first step
OUT/gradients_heads.safetensors  the same for the sum of the losses of next sentence, masked words, tokens and qa
OUT/train.json            losses and gradient norms (before clipping) of training the classifier; loss_heads; mlm_argmax
"""
import argparse, json, os, string, sys, tempfile
import numpy as np
import torch
import torch.nn.functional as F

WORDS = """the of and to in a is was for it with as his on be at by he this that from are or had but not an they which
one you were all her she there would their we him been has when who will no more if out so up said what its about than
into them can only other time new some could these two may first then do any like my now over such our man me even most
made after also did many off before must well back through years much where your way down should because long each just
state those people too mr little good how make world very year still see own work""".split()


def load_oracle(path):
    """The oracle's functions, without running a command of it (as its neighbour export_onnx.py does)."""
    code = open(path).read().split("\np = argparse")[0]
    oracle = {"__name__": "torch_bert"}
    exec(compile(code, "torch_bert.py", "exec"), oracle)
    return oracle


def own_vocabulary(folder):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?'-"]
    tokens += list(string.digits) + list(string.ascii_lowercase) + ["##" + c for c in string.ascii_lowercase]
    tokens += [w for w in dict.fromkeys(WORDS) if len(w) > 1]
    path = os.path.join(folder, "vocab.txt")
    open(path, "w").write("\n".join(tokens[:200]) + "\n")
    return path


def make_checkpoint(oracle, a):
    with tempfile.TemporaryDirectory() as folder:
        oracle["cmd_make"](argparse.Namespace(
            dir=a.out, layers=a.layers, hidden=a.hidden, heads=a.heads, intermediate=a.intermediate, labels=3, seed=a.seed,
            std=a.std, lower=True, vocab=a.vocab or own_vocabulary(folder)))
    os.remove(os.path.join(a.out, "tokenizer_config.json"))
    config_path, weights_path = (os.path.join(a.out, n) for n in ("config.json", "model.safetensors"))
    config = json.load(open(config_path))
    config["max_position_embeddings"] = a.positions
    json.dump(config, open(config_path, "w"), indent=2)
    t = oracle["read_safetensors"](weights_path)
    table = "bert.embeddings.position_embeddings.weight"
    t[table] = t[table][:a.positions]
    for name in sorted(t):  # the oracle leaves them at 1, which would hide a forgotten factor
        if name.endswith("LayerNorm.weight"):
            t[name] = 1 + a.std * torch.randn(t[name].shape)
    oracle["write_safetensors"](weights_path, t)
    return config


def make_input(config, a):
    rng = np.random.RandomState(a.seed + 1)
    ids, segments = [], []
    for i, n in enumerate(a.lengths):
        ids.append([2] + rng.randint(5, config["vocab_size"], n - 1).tolist())
        first = n if i % 3 == 0 else rng.randint(1, n + 1)  # two rows of three are pairs
        segments.append([0] * first + [1] * (n - first))
    total, rows = sum(a.lengths), len(a.lengths)
    masked = sorted(rng.choice(total, max(1, total // 7), replace=False).tolist())
    return {"ids": ids, "segments": segments, "labels": rng.randint(0, 3, rows).tolist(),
            "next_sentence": rng.randint(0, 2, rows).tolist(), "masked": masked,
            "masked_targets": rng.randint(0, config["vocab_size"], len(masked)).tolist(),
            "token_targets": rng.randint(-1, 3, total).tolist(), "qa_targets": rng.randint(-1, 2, total).tolist()}


def gradients(model):
    return {n: p.grad.float() for n, p in model.named_parameters() if p.grad is not None}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("oracle"), p.add_argument("out")
    for name, value in dict(layers=2, hidden=32, heads=4, intermediate=64, positions=64, seed=7, steps=10).items():
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--std", type=float, default=0.2), p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--vocab"), p.add_argument("--float64", action="store_true")
    p.add_argument("--lengths", type=int, nargs="+", default=[17, 1, 2, 33, 5, 64, 9, 12])
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    path = lambda name: os.path.join(a.out, name)
    oracle = load_oracle(a.oracle)
    config = make_checkpoint(oracle, a)
    data = make_input(config, a)
    json.dump(data, open(path("input.json"), "w"))

    _, model, missing, unexpected = oracle["load"](a.out)
    assert not missing and not unexpected, (missing, unexpected)
    model.eval()
    if a.float64:
        model.double()
    ids, mask = oracle["pad"](data["ids"])
    segments, _ = oracle["pad"](data["segments"])
    flat = lambda v: torch.cat([v[i, :n] for i, n in enumerate(a.lengths)])
    target = lambda key: torch.tensor(data[key])

    out = model(ids, segments, mask)
    for key in ("hidden", "tokens", "qa", "mlm"):
        out[key] = flat(out[key])
    argmax = out["mlm"].argmax(-1).tolist()
    out["mlm"] = out["mlm"][target("masked")]
    oracle["write_safetensors"](path("outputs.safetensors"), {k: v.float() for k, v in out.items()})

    heads = (F.cross_entropy(out["nsp"], target("next_sentence")) + F.cross_entropy(out["mlm"], target("masked_targets")) +
             F.cross_entropy(out["tokens"], target("token_targets"), ignore_index=-1) +
             F.cross_entropy(out["qa"], target("qa_targets"), ignore_index=-1))
    heads.backward()
    oracle["write_safetensors"](path("gradients_heads.safetensors"), gradients(model))
    model.zero_grad(set_to_none=True)

    # The loop of the oracle's own `train`, with the gradients of the first step written out.
    used = [p for n, p in model.named_parameters() if n.startswith(("bert.", "classifier."))]
    optimizer, losses, norms = oracle["optimizer"](model, a.lr), [], []
    for step in range(a.steps):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model.classifier(model.bert(ids, segments, mask)[1]), target("labels"))
        loss.backward()
        if step == 0:
            oracle["write_safetensors"](path("gradients.safetensors"), gradients(model))
        norms.append(float(torch.nn.utils.clip_grad_norm_(used, 1.0)))
        optimizer.step()
        losses.append(float(loss))
    json.dump({"lr": a.lr, "losses": losses, "grad_norms": norms, "loss_heads": float(heads), "mlm_argmax": argmax},
              open(path("train.json"), "w"))
    print("losses", " ".join(f"{v:.4f}" for v in losses), "norms", " ".join(f"{v:.3f}" for v in norms))


main()
