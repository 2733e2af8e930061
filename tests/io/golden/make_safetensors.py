"""Writes the goldens of safetensors_golden_test.cc, byte for byte in the layout of the reference writer: compact JSON,
metadata first, tensors by falling alignment and then by name, the header padded with spaces to a multiple of 8.
Run once (python3 make_safetensors.py); the tests need no Python. Only the standard library is used, so that these files
come from another hand than the C++ writer."""
import json
import struct


def save(path, metadata, tensors):
    width = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}
    tensors = sorted(tensors, key=lambda t: (-width[t[1]], t[0]))
    header, at = {"__metadata__": metadata}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(t[3] for t in tensors))


save("python.safetensors", {"format": "pt"}, [
    ("bert.embeddings.position_ids", "I64", [1, 3], struct.pack("<3q", 0, 1, 2)),
    ("bert.pooler.dense.weight", "F32", [2, 3], struct.pack("<6f", 0.1, -0.2, 3.0, 4.5, -1e-8, 1e30)),
    ("classifier.bias", "F16", [3], struct.pack("<3e", 1.0, -2.5, 65504.0)),
    ("classifier.weight", "BF16", [2], struct.pack("<2H", 0x3F80, 0xC049)),
    ("größe", "F64", [], struct.pack("<d", 0.1)),
    ("mask", "BOOL", [3], bytes([1, 0, 1])),
    ("empty", "F32", [0, 2], b""),
])
