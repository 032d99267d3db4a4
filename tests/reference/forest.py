"""Plain-Python twin of mtspam.kernels.forest: walks what `Booster.dump_model` gives."""

import math
import struct

LEAST = struct.unpack("f", struct.pack("f", 1e-35))[0]


def goes_left(split, x):
    if split["decision_type"] == "==":
        known = {int(part) for part in split["threshold"].split("||")}
        return -1 < x < 2**31 and int(x) in known
    if abs(x) <= LEAST:
        x = 0.0
    missing = split["missing_type"]
    if math.isnan(x) and missing != "NaN":
        x = 0.0
    if (missing == "Zero" and x == 0.0) or (missing == "NaN" and math.isnan(x)):
        return split["default_left"]
    return x <= split["threshold"]


def leaf_of(node, row):
    while "split_feature" in node:
        side = "left" if goes_left(node, row[node["split_feature"]]) else "right"
        node = node[f"{side}_child"]
    return node


def raw_scores(dump, row):
    """The raw score of each output, and the leaf of each tree."""
    n_outputs = dump["num_tree_per_iteration"]
    sums, leaves = [0.0] * n_outputs, []
    for place, tree in enumerate(dump["tree_info"]):
        leaf = leaf_of(tree["tree_structure"], row)
        sums[place % n_outputs] += leaf["leaf_value"]
        leaves.append(leaf.get("leaf_index", 0))
    return sums, leaves
