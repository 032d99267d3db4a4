"""The definitions behind mtspam/kernels/roc.py, pair by pair and threshold by threshold."""

from collections.abc import Sequence


def roca(is_spam: Sequence[bool], scores: Sequence[float]) -> float:
    ham = [s for truth, s in zip(is_spam, scores, strict=True) if not truth]
    spam = [s for truth, s in zip(is_spam, scores, strict=True) if truth]
    right = sum(1.0 if s > h else 0.5 if s == h else 0.0 for s in spam for h in ham)
    return right / (len(ham) * len(spam))


def errors(is_spam: Sequence[bool], scores: Sequence[float]) -> list[tuple[int, int]]:
    """Ham and spam misclassified at minus infinity and at each distinct score."""
    return [
        (
            sum(not truth and s > t for truth, s in zip(is_spam, scores, strict=True)),
            sum(truth and s <= t for truth, s in zip(is_spam, scores, strict=True)),
        )
        for t in [float("-inf"), *sorted(set(scores))]
    ]
