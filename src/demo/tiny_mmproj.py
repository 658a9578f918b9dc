#!/usr/bin/env python3
"""Write a tiny CLIP projector with random weights (stdlib only), for the models of tiny_gguf.py.

With it llama-mtmd-cli and llama-server take images. What the model says about them means nothing.
Deterministic.

  tiny_mmproj.py OUT.gguf [--text-embd 32]
--text-embd is the model's own --embd.
"""
import argparse, os, random, struct

ap = argparse.ArgumentParser()
ap.add_argument("out")
ap.add_argument("--text-embd", type=int, default=32)
A = ap.parse_args()
rnd = random.Random(1)

E, F, H, L, SIZE, PATCH = 32, 64, 4, 2, 28, 14
F32, F16 = 0, 1
tens = []                                         # name, dims (ne0 first), type, bytes
def mat(name, *dims):
    count = 1
    for d in dims: count *= d
    tens.append((name, dims, F16, struct.pack("<%de" % count, *(rnd.gauss(0, 0.1) for _ in range(count)))))
def vec(name, n, value): tens.append((name, (n,), F32, struct.pack("<%df" % n, *([value] * n))))
def norm(name):
    vec(name + ".weight", E, 1.0)
    vec(name + ".bias", E, 0.0)
def linear(name, cols, rows):
    mat(name + ".weight", cols, rows)
    vec(name + ".bias", rows, 0.0)

mat("v.patch_embd.weight", PATCH, PATCH, 3, E)
vec("v.class_embd", E, 0.1)
mat("v.position_embd.weight", E, (SIZE // PATCH) ** 2 + 1)
norm("v.pre_ln")
for i in range(L):
    p = "v.blk.%d." % i
    norm(p + "ln1")
    norm(p + "ln2")
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"): linear(p + name, E, E)
    linear(p + "ffn_up", E, F)
    linear(p + "ffn_down", F, E)
linear("mm.0", E, A.text_embd)
linear("mm.2", A.text_embd, A.text_embd)

# ---- GGUF version 3
def s(x):
    x = x.encode(); return struct.pack("<Q", len(x)) + x
def kv(key, ty, val):
    if ty == "u32": return s(key) + struct.pack("<II", 4, val)
    if ty == "f32": return s(key) + struct.pack("<If", 6, val)
    if ty == "bool": return s(key) + struct.pack("<I?", 7, val)
    if ty == "str": return s(key) + struct.pack("<I", 8) + s(val)
    if ty == "f32s": return s(key) + struct.pack("<IIQ", 9, 6, len(val)) + struct.pack("<%df" % len(val), *val)
meta = [
    kv("general.architecture", "str", "clip"), kv("general.name", "str", "tiny"),
    kv("general.type", "str", "mmproj"), kv("general.file_type", "u32", 1),
    kv("clip.has_vision_encoder", "bool", True), kv("clip.projector_type", "str", "mlp"),
    kv("clip.use_gelu", "bool", True),
    kv("clip.vision.image_size", "u32", SIZE), kv("clip.vision.patch_size", "u32", PATCH),
    kv("clip.vision.embedding_length", "u32", E), kv("clip.vision.feed_forward_length", "u32", F),
    kv("clip.vision.block_count", "u32", L), kv("clip.vision.projection_dim", "u32", A.text_embd),
    kv("clip.vision.attention.head_count", "u32", H),
    kv("clip.vision.attention.layer_norm_epsilon", "f32", 1e-5),
    kv("clip.vision.image_mean", "f32s", [0.5, 0.5, 0.5]), kv("clip.vision.image_std", "f32s", [0.5, 0.5, 0.5]),
]
off, infos = 0, b""
for name, dims, ty, data in tens:
    infos += s(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims) + struct.pack("<IQ", ty, off)
    off += (len(data) + 31) // 32 * 32
head = b"GGUF" + struct.pack("<IQQ", 3, len(tens), len(meta)) + b"".join(meta) + infos
with open(A.out, "wb") as f:
    f.write(head + b"\0" * (-len(head) % 32))
    for _, _, _, data in tens:
        f.write(data + b"\0" * (-len(data) % 32))
print("%s: %d bytes, %d tensors" % (A.out, os.path.getsize(A.out), len(tens)))
