"""Plain-Python twin of mtspam.kernels.starter."""

import math


def starter_margin(
    views: list[list[int]], weights: list[list[int]], scales: list[float], limit: float
) -> float:
    total = 0.0
    for view, table, scale in zip(views, weights, scales, strict=True):
        if view:
            margin = sum(table[f % len(table)] for f in view) * scale / math.sqrt(len(view))
            total += max(-limit, min(margin, limit))
    return total
