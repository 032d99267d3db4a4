"""Plain-Python twin of mtspam.kernels.residual."""

import math

U64 = (1 << 64) - 1
MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93


def slot(feature, key, size):
    h = ((feature ^ (key * MIX_2 & U64)) * MIX_1) & U64
    h = ((h ^ (h >> 32)) * MIX_2) & U64
    return (h ^ (h >> 32)) % size


def speaks(level, keys):
    return level == 0 or keys[level] != 0


def margins(candidates, keys, weights):
    return [
        [
            sum(weights[level][slot(f, key, len(weights[level]))] for f in features)
            / math.sqrt(len(features))
            if features and speaks(level, keys)
            else 0.0
            for level, key in enumerate(keys)
        ]
        for features in candidates
    ]


def pushes(scores, clicked, is_clicked, below):
    passed = {j: 1.0 if j < clicked else below for j in range(len(scores)) if not is_clicked[j]}
    total = sum(passed.values())
    out = [0.0] * len(scores)
    for j, weight in passed.items() if total else ():
        push = weight / total / (1 + math.exp(scores[clicked] - scores[j]))
        out[clicked] += push
        out[j] -= push
    return out


def step(candidates, keys, tables, push, rates, decay):
    weights, squares = tables
    for features, wanted in zip(candidates, push, strict=True):
        if not features or abs(wanted) < 1e-3:
            continue
        gradient = wanted / math.sqrt(len(features))
        for feature in features:
            common = slot(feature, keys[0], len(squares))
            squares[common] += gradient**2
            for level, key in enumerate(keys):
                if speaks(level, keys):
                    place = slot(feature, key, len(squares))
                    moved = weights[level][place] * (1 - decay)
                    moved += rates[level] * gradient / math.sqrt(squares[common])
                    weights[level][place] = max(-8.0, min(moved, 8.0))
