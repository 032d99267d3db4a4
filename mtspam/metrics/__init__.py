"""Figures on scores and truths: ranking, errors, probabilities."""
