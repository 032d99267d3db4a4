"""Kernels of the hierarchical learner: sparse dot over levels, mixing, the adaptive step.

Letters, for one message: view k has n features, each of value x = 1/sqrt(n); W, G are weight and
sum of squared gradients of the shared level; P and Q are the weights of the personal and group
levels; s, q, p are a view's margins by level; c is the evidence of a level, from 0 to 1; a are the
weights of the combiner, b its bias; z is a log-odds.
"""

import numpy as np
from numpy.typing import NDArray

from mtspam.kernels._jit import kernel

__all__ = ["step_messages"]

MIX_1 = np.uint64(0x9E3779B97F4A7C15)
MIX_2 = np.uint64(0xD6E8FEB86659FD93)
HALF = np.uint64(32)
TOP = np.uint64(63)

Batch = tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
_Weights = NDArray[np.float32]
Tables = tuple[_Weights, _Weights, _Weights, _Weights, _Weights, _Weights]
Keepers = tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.uint64], NDArray[np.float64]]
Common = tuple[NDArray[np.float64], NDArray[np.float64]]
Fixed = tuple[NDArray[np.float64], NDArray[np.int64]]

# Columns of a batch's facts.
B_KIND, B_VALUE, B_USER, B_GROUP, B_DAY, B_PAYER, B_AGAIN = range(7)
# Columns of the figures kept for a user or a group.
K_LABELS, K_BIAS, K_DAY, K_VOICE, K_SPAM, K_MOVED = range(6)
# Cells of the common state.
S_BIAS, S_BIAS_G, S_NOISE, S_HAM, S_SPAM, S_EVENTS, S_PHISHING, S_BULK = range(8)
# Columns of what is said about a message.
O_BLEND, O_SHARED, O_GROUP, O_PERSONAL, O_PHISHING, O_BULK, O_STARTER, O_NOISE = range(8)
# Settings, in the order in which model/rates.py lists them.
R_SHARED, R_GROUP, R_PERSONAL, R_IDENTITY, R_JOINT, R_LARGEST, R_COMBINER, R_BIAS = range(8)
R_EVIDENCE, R_STARTER, R_NOISE_RATE, R_NOISE_MAX, R_NOISE_POWER, R_VOICE = range(8, 14)
R_AUXILIARY, R_WEAK, R_YOUNG, R_INITIAL, R_SETTLED, R_NOISE_LABELS = range(14, 20)

MAIN, PHISHING, BULK = 0, 1, 2
LEAST_GRADIENT = 5e-3  # below it a step changes nothing that anybody sees, and costs time
LARGEST_MARGIN = 20.0  # of one input of the combiner: surer than any corpus can teach
LARGEST_MIX = 1.0  # weight of one input: what makes the bound on a voice hold
LEAST_MIX = 0.02


@kernel
def _sigmoid(z: float) -> float:
    return float(1.0 / (1.0 + np.exp(-min(max(z, -40.0), 40.0))))


@kernel
def _clip(x: float, bound: float) -> float:
    return min(max(x, -bound), bound)


@kernel
def _cross(h: np.uint32, key: np.uint64) -> np.uint64:
    """Hash a feature with the key of a user or group: low bits a bucket, top bit a sign."""
    x = (np.uint64(h) ^ key) * MIX_1
    x = (x ^ (x >> HALF)) * MIX_2
    return x ^ (x >> HALF)


@kernel
def _sign(x: np.uint64) -> float:
    # Without it, who fills the personal table would lift the scores of all who share its buckets.
    return 1.0 - 2.0 * float(np.int64(x >> TOP))


@kernel
def _settle(
    hashes: NDArray[np.uint32],
    key: np.uint64,
    delta: float,
    initial: float,
    squares: NDArray[np.float32],
    own: NDArray[np.float32],
) -> None:
    """Add `delta` to a view's personal margin, most of it where the shared level knows least."""
    mask, p_mask = np.uint64(squares.shape[0] - 1), np.uint64(own.shape[0] - 1)
    total = 0.0
    for j in range(hashes.shape[0]):
        total += 1.0 / np.sqrt(initial + squares[np.uint64(hashes[j]) & mask])
    delta *= np.sqrt(hashes.shape[0]) / total
    for j in range(hashes.shape[0]):
        h = _cross(hashes[j], key)
        root = np.sqrt(initial + squares[np.uint64(hashes[j]) & mask])
        own[h & p_mask] += np.float32(_sign(h) * delta / root)


@kernel
def step_messages(
    batch: Batch,
    tables: Tables,
    keepers: Keepers,
    common: Common,
    fixed: Fixed,
    out: NDArray[np.float64],
) -> None:
    """Score messages in order and learn from each before the next is scored.

    The update of a view is AdaGrad on the logistic loss of its own margin, mixed a little with
    the sum of all views (`R_JOINT`), bounded in length (`R_LARGEST`) and weighted by the
    probability that the label is no mistake. Group and personal levels use the shared level's
    accumulator. Whatever a user's label moves that others see is charged to the user's voice of
    the day (`R_VOICE`), and shrunk by `share` to what is left of it: docs/adr/0006.

    Parameters
    ----------
    batch
        Hashes, shape ``(n_features,)``; offsets of the views, shape ``(n, n_views + 1)``; facts,
        shape ``(n, 7)``: label kind, value (1, 0, -1: none), row of user, row of group (-1:
        none), day, row of the user whose voice pays, 1 for a message learnt again; starter margin
        and weight of the label, shape ``(n, 2)``.
    tables
        Shared weights and accumulators, shape ``(n_views, size)``; personal weights, shape
        ``(n_personal, size)``; group weights, alike; weights and accumulators of the auxiliary
        heads, shape ``(2, size)``. Sizes are powers of two.
    keepers
        Keys and figures of users, keys and figures of groups.
    common
        The combiner's weights (row 0) and accumulators (row 1) of the views, the starter and the
        two heads, shape ``(2, n_views + 3)``; what else all share, shape ``(8,)``.
    fixed
        Settings, shape ``(20,)``; for each view, its row in the personal tables, -1: it has none.
    out
        Output, shape ``(n, 8)``: log-odds of blend, of the shared level, contributions of group
        and personal level, margins of the heads, contribution of the starter, and the
        probability that the label is a mistake; all before the message's own update.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods", JMLR 12 (2011), section 1.
    J. Bootkrajang, A. Kabán, "Label-noise Robust Logistic Regression", ECML PKDD 2012: the
    posterior of a flipped label; here its rate is one number, estimated online.
    """
    features, offsets, facts, reals = batch
    W, G, P, Q, A, B = tables
    user_keys, users, group_keys, groups = keepers
    combiner, state = common
    rates, personal_row = fixed
    n_views = W.shape[0]
    # Tables hold what comes on top of it, so that untouched pages of memory stay untouched.
    initial = rates[R_INITIAL]
    mask = np.uint64(W.shape[1] - 1)
    p_mask = np.uint64(P.shape[1] - 1)
    q_mask = np.uint64(Q.shape[1] - 1)
    a_mask = np.uint64(A.shape[1] - 1)
    s, q, p = np.zeros(n_views), np.zeros(n_views), np.zeros(n_views)
    length = np.zeros(n_views)
    gradient = np.zeros(n_views)
    head = np.zeros(2)
    for i in range(offsets.shape[0]):
        user, group = facts[i, B_USER], facts[i, B_GROUP]
        c_user = 0.0
        bias = 0.0
        if user >= 0:
            c_user = users[user, K_LABELS] / max(users[user, K_LABELS] + rates[R_EVIDENCE], 1e-9)
            bias += users[user, K_BIAS]
        if group >= 0:
            bias += groups[group, K_BIAS]
        # Margins by view and level.
        total = 0.0
        shared = state[S_BIAS]
        of_group = 0.0
        of_user = 0.0
        for k in range(n_views):
            first, last = offsets[i, k], offsets[i, k + 1]
            s[k] = 0.0
            q[k] = 0.0
            p[k] = 0.0
            if last == first:
                continue
            x = 1.0 / np.sqrt(last - first)
            z = 0.0
            for j in range(first, last):
                z += W[k, np.uint64(features[j]) & mask]
            s[k] = z * x
            row = personal_row[k]
            if row >= 0 and c_user > 0.0:
                z = 0.0
                for j in range(first, last):
                    h = _cross(features[j], user_keys[user])
                    z += _sign(h) * P[row, h & p_mask]
                p[k] = z * x * c_user
            if row >= 0 and group >= 0 and groups[group, K_LABELS] > 0.0:
                z = 0.0
                for j in range(first, last):
                    h = _cross(features[j], group_keys[group])
                    z += _sign(h) * Q[row, h & q_mask]
                q[k] = z * x
            total += s[k] + q[k] + p[k]
            shared += combiner[0, k] * _clip(s[k], LARGEST_MARGIN)
            of_group += combiner[0, k] * _clip(q[k], LARGEST_MARGIN)
            of_user += combiner[0, k] * _clip(p[k], LARGEST_MARGIN)
        # Auxiliary heads and the starter are further inputs of the combiner.
        start, stop = offsets[i, min(2, n_views - 1)], offsets[i, n_views]
        x_head = 1.0 / np.sqrt(max(1, stop - start))
        for a in range(2):
            head[a] = 0.0
            if state[S_PHISHING + a] > 0.0:
                z = 0.0
                for j in range(start, stop):
                    z += A[a, np.uint64(features[j]) & a_mask]
                head[a] = z * x_head
                shared += combiner[0, n_views + 1 + a] * _clip(head[a], LARGEST_MARGIN)
        n_labels = state[S_HAM] + state[S_SPAM]
        fade = 0.0
        if n_labels < rates[R_STARTER]:
            fade = 1.0 - n_labels / rates[R_STARTER]
        prior = _clip(reals[i, 0], LARGEST_MARGIN) * fade
        starter = combiner[0, n_views] * prior
        z_all = shared + starter + of_group + of_user + bias
        out[i, O_BLEND] = z_all
        out[i, O_SHARED] = shared + starter
        out[i, O_GROUP] = of_group + (groups[group, K_BIAS] if group >= 0 else 0.0)
        out[i, O_PERSONAL] = of_user + (users[user, K_BIAS] if user >= 0 else 0.0)
        out[i, O_PHISHING] = head[0]
        out[i, O_BULK] = head[1]
        out[i, O_STARTER] = starter
        out[i, O_NOISE] = 0.0
        value = facts[i, B_VALUE]
        if value < 0:
            continue
        kind = facts[i, B_KIND]
        weight = reals[i, 1]
        payer = facts[i, B_PAYER]
        # A message learnt again moves weights, but it is no further evidence.
        counts = 0.0 if facts[i, B_AGAIN] == 1 else 1.0
        state[S_EVENTS] += counts
        # What is left of this user's voice today; labels of nobody are the administrator's.
        voice = np.inf
        if payer >= 0:
            # A day refreshes it once; labels said to be older share what is left of the newest.
            if users[payer, K_DAY] < facts[i, B_DAY]:
                users[payer, K_DAY] = facts[i, B_DAY]
                users[payer, K_VOICE] = 0.0
            young = 1.0 + rates[R_YOUNG] / (1.0 + n_labels)
            voice = max(0.0, rates[R_VOICE] * young - users[payer, K_VOICE])
        spent = 0.0
        # Heads: a label of their own kind is a full one, a label of the main kind a weak no.
        for a in range(2):
            is_own = kind == a + 1
            if is_own and value == 1:
                state[S_PHISHING + a] += 1.0
            is_no = kind == MAIN and (a == 1 or value == 0)
            if state[S_PHISHING + a] == 0.0 or not (is_own or is_no) or counts == 0.0:
                continue
            e = (value if is_own else 0.0) - _sigmoid(head[a])
            g = e * weight * x_head * (1.0 if is_own else rates[R_WEAK])
            if stop == start or abs(g) < LEAST_GRADIENT * x_head:
                continue
            z = 0.0
            for j in range(start, stop):
                z += 1.0 / (initial + B[a, np.uint64(features[j]) & a_mask] + g * g)
            length_head = np.sqrt(z) * abs(g) * rates[R_AUXILIARY]
            bound = min(1.0, rates[R_LARGEST] / max(length_head, 1e-12))
            share = min(1.0, max(0.0, voice - spent) / max(length_head * bound, 1e-12))
            spent += length_head * bound * share
            for j in range(start, stop):
                at = np.uint64(features[j]) & a_mask
                B[a, at] += g * g * share
                root = np.sqrt(initial + B[a, at] + g * g * (1.0 - share))
                A[a, at] += np.float32(bound * share * rates[R_AUXILIARY] * g / root)
        if kind != MAIN:
            if payer >= 0:
                users[payer, K_VOICE] += spent
                users[payer, K_MOVED] += spent
            continue
        # How likely is it that the label is a mistake? No surer than the labels of that answer
        # allow: after n of them, log(1 + n).
        known = state[S_SPAM if value == 1 else S_HAM]
        agrees = _sigmoid(max(z_all if value == 1 else -z_all, -np.log(1.0 + known)))
        noise = state[S_NOISE]
        flipped = noise * (1.0 - agrees) / (noise * (1.0 - agrees) + (1.0 - noise) * agrees)
        out[i, O_NOISE] = flipped
        caution = (1.0 - 2.0 * noise) ** rates[R_NOISE_POWER]
        trust = 1.0 - flipped
        if counts == 0.0:
            trust *= caution  # a mistake learnt again and again would be believed in the end
        # Where a feature is new the step hardly feels a smaller gradient: so it is shrunk itself,
        # once there are so many labels of that answer that it cannot be doubted away.
        heard = 1.0 - (1.0 - trust) * (known / (known + rates[R_NOISE_LABELS])) ** 2
        # Lengths of the shared steps, for the bounds.
        for k in range(n_views):
            first, last = offsets[i, k], offsets[i, k + 1]
            gradient[k] = 0.0
            length[k] = 0.0
            if last == first:
                continue
            z = (1.0 - rates[R_JOINT]) * (s[k] + q[k] + p[k]) + rates[R_JOINT] * total
            e = value - _sigmoid(z)
            if abs(e) < LEAST_GRADIENT:
                continue
            gradient[k] = e * weight / np.sqrt(last - first)
            g = gradient[k] * trust
            z = 0.0
            for j in range(first, last):
                z += 1.0 / (initial + G[k, np.uint64(features[j]) & mask] + g * g)
            length[k] = np.sqrt(z) * abs(g) * rates[R_SHARED]
        move = 0.0
        for k in range(n_views):
            own = rates[R_IDENTITY] if k == n_views - 1 and n_views > 1 else 1.0
            levels = 1.0
            if group >= 0 and personal_row[k] >= 0:
                levels += own * rates[R_GROUP] / rates[R_SHARED]
            move += levels * heard * min(length[k], rates[R_LARGEST] * caution)
        # The combiner's own step, and how far it can move a score at most.
        e_all = (value - _sigmoid(z_all)) * trust * weight
        mixing = 0.0
        n_inputs = n_views + 3
        for k in range(n_inputs):
            m = prior if k == n_views else head[k - n_views - 1] if k > n_views else 0.0
            reach = LARGEST_MARGIN
            if k < n_views:
                m = s[k] + q[k] + p[k]
                reach *= 3.0  # a view's weight multiplies the margins of three levels
            g = e_all * _clip(m, 8.0)
            mixing += rates[R_COMBINER] * abs(g) / np.sqrt(combiner[1, k] + g * g) * reach
        biasing = rates[R_BIAS] * abs(e_all) / np.sqrt(state[S_BIAS_G] + e_all * e_all)
        if group >= 0:
            biasing += rates[R_BIAS] * abs(e_all) / np.sqrt(2.0 + groups[group, K_LABELS])
        if fade > 0.0:
            biasing += LARGEST_MARGIN * trust / rates[R_STARTER]
        cost = move + mixing + biasing
        share = min(1.0, max(0.0, voice - spent) / max(cost, 1e-12))
        spent += cost * share
        c_next = (users[user, K_LABELS] + 1.0) if user >= 0 else 0.0
        c_next /= max(c_next + rates[R_EVIDENCE], 1e-9)
        z_next = z_all + (of_user * (c_next / c_user - 1.0) if c_user > 0.0 else 0.0)
        for k in range(n_views):
            if gradient[k] == 0.0:
                continue
            first, last = offsets[i, k], offsets[i, k + 1]
            bound = min(1.0, rates[R_LARGEST] * caution / max(length[k], 1e-12))
            eta = rates[R_SHARED] * bound * share * heard
            g = gradient[k] * trust
            row = personal_row[k]
            own = rates[R_IDENTITY] if k == n_views - 1 and n_views > 1 else 1.0
            # Users know what they want and from whom; words of subject and text are seldom why.
            word = g * heard if k == n_views - 2 else gradient[k]
            eta_p = rates[R_PERSONAL] * own * word * bound
            eta_q = rates[R_GROUP] * own * g * bound * share * heard
            z = 0.0
            for j in range(first, last):
                at = np.uint64(features[j]) & mask
                # Where the voice is used up the accumulator stays as it is, too: it is shared.
                G[k, at] += g * g * share
                root = np.sqrt(initial + G[k, at] + g * g * (1.0 - share))
                W[k, at] += np.float32(eta * g / root)
                if k == n_views - 1:
                    z += 1.0 / root
                if row >= 0 and user >= 0:
                    h = _cross(features[j], user_keys[user])
                    P[row, h & p_mask] += np.float32(_sign(h) * eta_p / root)
                if row >= 0 and group >= 0:
                    h = _cross(features[j], group_keys[group])
                    Q[row, h & q_mask] += np.float32(_sign(h) * eta_q / root)
            if k == n_views - 1:
                step = eta * g + eta_p * c_next + (eta_q if group >= 0 else 0.0)
                z_next += combiner[0, k] * step * z / np.sqrt(last - first)
        # Who says so must see it done: what is lacking goes into the identity view of their own.
        last = n_views - 1
        lack = rates[R_SETTLED] - (2.0 * value - 1.0) * z_next if rates[R_SETTLED] > 0.0 else 0.0
        first, stop = offsets[i, last], offsets[i, n_views]
        if user >= 0 and counts == 1.0 and lack > 0.0 and last > 0 and stop > first:
            lack = min(lack / (combiner[0, last] * c_next), LARGEST_MARGIN) * (2.0 * value - 1.0)
            lack *= trust if lack * p[last] < 0.0 else 1.0  # they themselves said otherwise before
            row = P[personal_row[last]]
            _settle(features[first:stop], user_keys[user], lack, initial, G[last], row)
        for k in range(n_inputs):
            m = prior if k == n_views else head[k - n_views - 1] if k > n_views else 0.0
            if k < n_views:
                m = s[k] + q[k] + p[k]
            g = e_all * _clip(m, 8.0)
            combiner[1, k] += g * g * share
            step = share * rates[R_COMBINER] * g / np.sqrt(combiner[1, k] + (1.0 - share) * g * g)
            low = LEAST_MIX if k <= n_views else -LARGEST_MIX
            combiner[0, k] = min(max(combiner[0, k] + step, low), LARGEST_MIX)
        state[S_BIAS_G] += e_all * e_all * share
        root = np.sqrt(state[S_BIAS_G] + (1.0 - share) * e_all * e_all)
        state[S_BIAS] += share * rates[R_BIAS] * e_all / root
        state[S_SPAM if value == 1 else S_HAM] += trust * share * counts
        noise += rates[R_NOISE_RATE] * (flipped - noise) * share * counts
        state[S_NOISE] = min(max(noise, 1e-4), rates[R_NOISE_MAX])
        if payer >= 0:
            users[payer, K_VOICE] += spent
            users[payer, K_MOVED] += spent
        if user >= 0:
            users[user, K_LABELS] += counts
            users[user, K_SPAM] += value * counts
            e = (value - _sigmoid(z_all)) * weight
            users[user, K_BIAS] += rates[R_BIAS] * e / np.sqrt(1.0 + users[user, K_LABELS])
        if group >= 0:
            groups[group, K_LABELS] += counts
            groups[group, K_SPAM] += value * counts
            step = rates[R_BIAS] * e_all / np.sqrt(1.0 + groups[group, K_LABELS])
            groups[group, K_BIAS] += step * share
