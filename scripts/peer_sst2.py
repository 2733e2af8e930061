#!/usr/bin/python3
"""The recipe of `cloze finetune --from-scratch` in plain PyTorch, as a peer for accuracy.

  peer_sst2.py TORCH_BERT.py MODEL_DIR IDS_TRAIN.jsonl LABELS_TRAIN IDS_DEV.jsonl LABELS_DEV --seed S [--epochs 2] [--lr 5e-4]
MODEL_DIR: a random checkpoint of `torch_bert.py make` with --std 0.02 and the seed. IDS: lines of `cloze tokenize`.
LABELS: one integer a line. Same steps as Cloze: shuffled batches of 32, AdamW (decay 0.01 except biases and
LayerNorm), clip 1.0, linear schedule with 10 % warm-up, dropout 0.1; prints dev accuracy after each epoch.
"""
import json, sys
import torch
import torch.nn.functional as F

ref = {"__name__": "torch_bert"}
exec(compile(open(sys.argv[1]).read().split("\np = argparse")[0], "torch_bert.py", "exec"), ref)
opt = lambda name, value: type(value)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else value
seed, epochs, peak = opt("--seed", 1), opt("--epochs", 2), opt("--lr", 5e-4)
rows = lambda path: [json.loads(l)["ids"][:512] for l in open(path)]
labels = lambda path: [int(l) for l in open(path)]
train, dev = list(zip(rows(sys.argv[3]), labels(sys.argv[4]))), list(zip(rows(sys.argv[5]), labels(sys.argv[6])))

torch.manual_seed(seed)
torch.set_num_threads(opt("--threads", 2))
_, model, _, _ = ref["load"](sys.argv[2])
for name, p in model.named_parameters():  # Cloze starts biases at 0
    if name.endswith("bias"):
        torch.nn.init.zeros_(p)
optimizer = ref["optimizer"](model, peak)
total = (len(train) + 31) // 32 * epochs
warm = round(0.1 * total)


def logits(batch):
    ids, mask = ref["pad"]([r for r, _ in batch])
    _, pooled = model.bert(ids, torch.zeros_like(ids), mask)
    return model.classifier(model.drop(pooled))


step = 0
for epoch in range(epochs):
    model.train()
    order = torch.randperm(len(train)).tolist()
    for at in range(0, len(order), 32):
        batch = [train[i] for i in order[at:at + 32]]
        for group in optimizer.param_groups:
            group["lr"] = peak * ((step + 1) / warm if step < warm else 1 - (step - warm) / (total - warm))
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits(batch), torch.tensor([y for _, y in batch])).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    model.eval()
    right = 0
    with torch.inference_mode():
        for at in range(0, len(dev), 64):
            batch = dev[at:at + 64]
            right += int((logits(batch).argmax(-1) == torch.tensor([y for _, y in batch])).sum())
    print(json.dumps({"engine": "torch " + torch.__version__, "seed": seed, "epoch": epoch + 1, "dev_accuracy": right / len(dev)}), flush=True)
