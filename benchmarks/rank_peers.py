"""Peers that rank by ready features: LightGBM alone, XGBoost and CatBoost."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mtspam.search.features import FeatureTable

__all__ = ["PEERS", "Scores"]

Scores = NDArray[np.float64]
_RATE, _LEAVES, _DEPTH, _SEED = 0.05, 31, 6, 1


def _lightgbm(train: FeatureTable, test: FeatureTable, rounds: int) -> Scores:
    import lightgbm

    dataset = lightgbm.Dataset(train.values, train.click, group=train.sizes)
    parameters = {
        "objective": "lambdarank",
        "learning_rate": _RATE,
        "num_leaves": _LEAVES,
        "seed": _SEED,
        "verbose": -1,
    }
    booster = lightgbm.train(parameters, dataset, rounds)
    return np.asarray(booster.predict(test.values), np.float64)


def _xgboost(train: FeatureTable, test: FeatureTable, rounds: int) -> Scores:
    import xgboost

    matrix = xgboost.DMatrix(train.values, train.click, group=train.sizes)
    parameters = {
        "objective": "rank:ndcg",
        "eta": _RATE,
        "max_depth": _DEPTH,
        "seed": _SEED,
        "ndcg_exp_gain": False,
    }
    booster = xgboost.train(parameters, matrix, rounds)
    return np.asarray(booster.predict(xgboost.DMatrix(test.values)), np.float64)


def _catboost(train: FeatureTable, test: FeatureTable, rounds: int) -> Scores:
    import catboost

    pool = catboost.Pool(train.values, train.click, group_id=train.query_of_row)
    model = catboost.CatBoost(
        {
            "loss_function": "YetiRank",
            "iterations": rounds,
            "depth": _DEPTH,
            "random_seed": _SEED,
            "verbose": False,
            "allow_writing_files": False,
        }
    )
    model.fit(pool)
    return np.asarray(model.predict(test.values), np.float64)


PEERS: dict[str, Callable[[FeatureTable, FeatureTable, int], Scores]] = {
    "LightGBM alone": _lightgbm,
    "XGBoost rank:ndcg": _xgboost,
    "CatBoost YetiRank": _catboost,
}
