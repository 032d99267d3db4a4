"""The definitions behind mtspam/kernels/rankings.py, one query at a time."""

import math


def ordered(scores, gains):
    places = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return [gains[i] for i in places]


def dcg(gains, cutoff):
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains[:cutoff], 1))


def ndcg(scores, gains, cutoff):
    ideal = dcg(sorted(gains, reverse=True), cutoff)
    return dcg(ordered(scores, gains), cutoff) / ideal if ideal else math.nan


def reciprocal_rank(scores, gains, cutoff):
    if not any(gains):
        return math.nan
    hits = [place for place, gain in enumerate(ordered(scores, gains)[:cutoff], 1) if gain]
    return 1 / hits[0] if hits else 0.0


def average_precision(scores, gains, cutoff):
    if not any(gains):
        return math.nan
    hits = [place for place, gain in enumerate(ordered(scores, gains)[:cutoff], 1) if gain]
    return sum(n / place for n, place in enumerate(hits, 1)) / sum(g > 0 for g in gains)
