"""The equations behind mtspam/kernels/learning.py, one message and one number at a time.

Weights are kept by name in dictionaries of 64-bit numbers, where the kernel keeps them in tables
of 32-bit numbers: the two agree to a few digits.
"""

import math
from collections import defaultdict
from dataclasses import dataclass, field

from mtspam.config import ModelSettings

MAIN, PHISHING, BULK = 0, 1, 2
HEADS = (PHISHING, BULK)
LARGEST_MARGIN = 20.0
LEAST_ERROR = 5e-3
U64 = 2**64


@dataclass
class Message:
    views: list[list[int]]
    value: int = -1
    kind: int = MAIN
    user: bytes = b""
    group: bytes = b""
    day: int = 0
    prior: float = 0.0
    weight: float = 1.0
    is_again: bool = False
    caller: bytes = b""  # who pays for a message learnt again


@dataclass
class Person:
    """A user or a group."""

    labels: int = 0
    bias: float = 0.0
    day: int = 0
    spent: float = 0.0


@dataclass
class Margins:
    """What the inputs of the combiner are for one message."""

    shared: list[float]
    group: list[float]
    personal: list[float]
    heads: dict[int, float]
    prior: float

    def of_view(self, k: int) -> float:
        return self.shared[k] + self.group[k] + self.personal[k]

    def inputs(self) -> dict[object, float]:
        views = {k: self.of_view(k) for k in range(len(self.shared))}
        return views | {"prior": self.prior} | {("head", h): self.heads[h] for h in HEADS}


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def clip(x: float, bound: float = LARGEST_MARGIN) -> float:
    return max(-bound, min(x, bound))


def cross(feature: int, key: bytes) -> tuple[int, int]:
    """Bucket (not cut to the table yet) and sign of a feature that is somebody's own."""
    x = (feature ^ int.from_bytes(key[:8], "little")) * 0x9E3779B97F4A7C15 % U64
    x = (x ^ x >> 32) * 0xD6E8FEB86659FD93 % U64
    x ^= x >> 32
    return x, -1 if x >= U64 // 2 else 1


@dataclass
class Twin:
    """The whole learner."""

    settings: ModelSettings
    n_views: int
    weights: dict = field(default_factory=lambda: defaultdict(float))
    squares: dict = field(default_factory=dict)
    users: dict = field(default_factory=lambda: defaultdict(Person))
    groups: dict = field(default_factory=lambda: defaultdict(Person))
    n_positive: dict = field(default_factory=lambda: dict.fromkeys(HEADS, 0))
    n_of_class: dict = field(default_factory=lambda: {0: 0.0, 1: 0.0})
    bias: float = 0.0
    bias_square: float = 1.0

    def __post_init__(self):
        self.noise = self.settings.noise_prior
        start = self.settings.mixing_weight
        self.mix = {**dict.fromkeys(range(self.n_views), start), "prior": 1.0}
        self.mix |= {("head", h): 0.0 for h in HEADS}
        self.mix_square = dict.fromkeys(self.mix, 10.0)
        self.first_own_view = max(0, self.n_views - 3)

    # Names of weights.

    def shared(self, k, feature):
        return "shared", k, feature % 2**self.settings.shared_bits

    def own(self, level, k, feature, key):
        bits = getattr(self.settings, f"{level}_bits")
        bucket, sign = cross(feature, key)
        return (level, k, bucket % 2**bits), sign

    def head(self, h, feature):
        return "head", h, feature % 2**self.settings.auxiliary_bits

    def square(self, name):
        return self.squares.get(name, self.settings.initial_accumulator)

    # What it says.

    def evidence(self, user):
        n = self.users[user].labels if user in self.users else 0
        return n / (n + self.settings.evidence_labels) if n else 0.0

    def head_features(self, message):
        return [f for view in message.views[min(2, self.n_views - 1) :] for f in view]

    def margins(self, message) -> Margins:
        found = Margins([], [], [], {}, 0.0)
        levels = (
            ("personal", found.personal, message.user, self.evidence(message.user)),
            ("group", found.group, message.group, float(self.is_heard(message.group))),
        )
        for k, view in enumerate(message.views):
            x = 1 / math.sqrt(len(view)) if view else 0.0
            found.shared.append(x * sum(self.weights[self.shared(k, f)] for f in view))
            for level, margins, key, trust in levels:
                is_read = key and trust > 0 and k >= self.first_own_view
                named = [self.own(level, k, f, key) for f in view] if is_read else []
                margins.append(trust * x * sum(sign * self.weights[name] for name, sign in named))
        features = self.head_features(message)
        for h in HEADS:
            total = sum(self.weights[self.head(h, f)] for f in features)
            is_open = features and self.n_positive[h]
            found.heads[h] = total / math.sqrt(len(features)) if is_open else 0.0
        found.prior = clip(message.prior) * self.fade()
        return found

    def fade(self):
        n = self.settings.starter_labels
        return 1 - self.n_labels / n if self.n_labels < n else 0.0

    def is_heard(self, group):
        return group in self.groups and self.groups[group].labels > 0

    @property
    def n_labels(self):
        return self.n_of_class[0] + self.n_of_class[1]

    def say(self, message, margins) -> dict[str, float]:
        def level(parts):
            return sum(self.mix[k] * clip(part) for k, part in enumerate(parts))

        user, group = self.users.get(message.user), self.groups.get(message.group)
        heads = sum(self.mix["head", h] * clip(margins.heads[h]) for h in HEADS)
        starter = self.mix["prior"] * margins.prior
        said = {
            "shared": self.bias + level(margins.shared) + heads + starter,
            "group": level(margins.group) + (group.bias if group else 0.0),
            "personal": level(margins.personal) + (user.bias if user else 0.0),
        }
        said["blend"] = sum(said.values())
        said |= {"phishing": margins.heads[PHISHING], "bulk": margins.heads[BULK]}
        return said | {"starter": starter, "mistake": 0.0}

    # What it learns.

    def step(self, message) -> dict[str, float]:
        """Score a message, then learn from it."""
        margins = self.margins(message)
        said = self.say(message, margins)
        if message.value < 0:
            return said
        paying = message.caller if message.is_again else message.user
        payer = self.users[paying] if paying else None
        if message.user:
            self.users[message.user].labels += 0  # known from now on
        if message.group:
            self.groups[message.group].labels += 0  # known from now on
        voice = self.voice_left(payer, message.day)
        spent = 0.0 if message.is_again else self.step_heads(message, margins, voice)
        if message.kind == MAIN:
            spent += self.step_main(message, margins, said, voice - spent)
        if payer:
            payer.spent += spent
        return said

    def voice_left(self, user, day):
        if user is None:
            return math.inf
        if day > user.day:
            user.day, user.spent = day, 0.0
        young = 1 + self.settings.young_labels / (1 + self.n_labels)
        return max(0.0, self.settings.voice_per_day * young - user.spent)

    def step_heads(self, message, margins, voice):
        features = self.head_features(message)
        spent = 0.0
        for h in HEADS:
            is_own = message.kind == h
            if is_own and message.value == 1:
                self.n_positive[h] += 1
            is_weak_no = message.kind == MAIN and (h == BULK or message.value == 0)
            if not self.n_positive[h] or not features or not (is_own or is_weak_no):
                continue
            e = (message.value if is_own else 0) - sigmoid(margins.heads[h])
            weight = message.weight * (1 if is_own else self.settings.weak_weight)
            g = e * weight / math.sqrt(len(features))
            if abs(e) * weight < LEAST_ERROR:
                continue
            names = [self.head(h, f) for f in features]
            length = self.settings.auxiliary_rate * self.length(names, g)
            bound = min(1.0, self.settings.largest_step / length)
            share = min(1.0, max(0.0, voice - spent) / (length * bound))
            spent += length * bound * share
            for name in names:
                root = self.grow(name, g, share)
                self.weights[name] += self.settings.auxiliary_rate * bound * share * g / root
        return spent

    def length(self, names, g):
        """Length of the AdaGrad step of rate one whose gradient is g in each of the weights."""
        return math.sqrt(sum(g**2 / (self.square(name) + g**2) for name in names))

    def grow(self, name, g, share):
        """Add to an accumulator by what the voice allows; return the root for the step."""
        self.squares[name] = self.square(name) + share * g**2
        return math.sqrt(self.squares[name] + (1 - share) * g**2)

    def step_main(self, message, margins, said, voice):
        """Learn a label of the main kind; return what of the voice it took."""
        s, value = self.settings, message.value
        # Posterior of a flipped label.
        known = self.n_of_class[value]
        sure = math.log(1 + known)
        agrees = sigmoid(max(said["blend"] if value else -said["blend"], -sure))
        wrong, right = self.noise * (1 - agrees), (1 - self.noise) * agrees
        flipped = said["mistake"] = wrong / (wrong + right)
        trust = 1 - flipped
        caution = (1 - 2 * self.noise) ** s.noise_caution
        most = s.largest_step * caution
        if message.is_again:
            trust *= caution
        # How much of a step is made, which in the end is the trust.
        heard = 1 - (1 - trust) * (known / (known + s.noise_labels)) ** 2
        # Gradients and lengths of the views' steps.
        total = sum(margins.of_view(k) for k in range(self.n_views))
        gradients, lengths = {}, {}
        for k, view in enumerate(message.views):
            z = (1 - s.joint_share) * margins.of_view(k) + s.joint_share * total
            e = value - sigmoid(z)
            if not view or abs(e) < LEAST_ERROR:
                continue
            gradients[k] = e * message.weight / math.sqrt(len(view))
            names = [self.shared(k, f) for f in view]
            lengths[k] = s.shared_rate * self.length(names, gradients[k] * trust)
        e_all = (value - sigmoid(said["blend"])) * message.weight
        charged = {k: heard * min(length, most) for k, length in lengths.items()}
        cost = self.cost(message, margins, charged, e_all * trust, trust)
        share = min(1.0, max(0.0, voice) / cost) if cost else 1.0
        expected = self.expected(message, said) if message.user else 0.0
        for k, gradient in gradients.items():
            bound = min(1.0, most / lengths[k])
            moved = self.step_view(message, k, gradient, (trust, heard, bound), share)
            if k == self.n_views - 1:
                expected += self.mix[k] * moved
        if message.user and not message.is_again:
            said_before = margins.personal[self.n_views - 1]
            self.settle(message, expected, trust if said_before * (2 * value - 1) < 0 else 1.0)
        self.step_rest(message, margins, e_all, trust, share)
        if not message.is_again:
            self.n_of_class[value] += trust * share
            self.noise += s.noise_rate * (flipped - self.noise) * share
            self.noise = min(max(self.noise, 1e-4), s.noise_limit)
        return cost * share

    def factor(self, k):
        """How much larger the steps of group and personal level are in this view."""
        return self.settings.identity_factor if k == self.n_views - 1 > 0 else 1.0

    def cost(self, message, margins, lengths, e, trust):
        """How far the label's steps can move anybody's score."""
        s = self.settings
        cost = s.bias_rate * abs(e) / math.sqrt(self.bias_square + e**2)
        if message.group:
            labels = self.groups[message.group].labels
            cost += s.bias_rate * abs(e) / math.sqrt(2 + labels)
        for k, length in lengths.items():
            of_group = self.factor(k) * s.group_rate / s.shared_rate
            has_group = message.group and k >= self.first_own_view
            cost += length * (1 + of_group * bool(has_group))
        for name, margin in margins.inputs().items():
            g = e * clip(margin, 8)
            reach = LARGEST_MARGIN * (3 if isinstance(name, int) else 1)
            cost += reach * s.mixing_rate * abs(g) / math.sqrt(self.mix_square[name] + g**2)
        return cost + (LARGEST_MARGIN * trust / s.starter_labels if self.fade() else 0.0)

    def next_evidence(self, user):
        n = self.users[user].labels + 1
        return n / (n + self.settings.evidence_labels)

    def expected(self, message, said):
        """What the user will be told once this label counts as evidence, nothing else moved."""
        before, after = self.evidence(message.user), self.next_evidence(message.user)
        bias = self.users[message.user].bias
        more = (said["personal"] - bias) * (after / before - 1) if before else 0.0
        return said["blend"] + more

    def settle(self, message, expected, believed):
        """Put what is lacking into the user's own weights of the identity view."""
        k, side = self.n_views - 1, 2 * message.value - 1
        lack = self.settings.settled_margin - side * expected
        if not self.settings.settled_margin or lack <= 0 or k == 0 or not message.views[k]:
            return
        trusted = self.mix[k] * self.next_evidence(message.user)
        delta = side * min(lack / trusted, LARGEST_MARGIN) * believed
        view = message.views[k]
        roots = [math.sqrt(self.square(self.shared(k, f))) for f in view]
        total = sum(1 / root for root in roots)
        for f, root in zip(view, roots, strict=True):
            name, sign = self.own("personal", k, f, message.user)
            self.weights[name] += sign * delta * math.sqrt(len(view)) / total / root

    def step_view(self, message, k, gradient, doubts, share):
        """Step one view; return how far that moves its margin for who said so."""
        trust, heard, bound = doubts
        s, g, moved = self.settings, gradient * trust, 0.0
        word = g * heard if k == self.n_views - 2 else gradient
        has_own = k >= self.first_own_view
        trusted = self.next_evidence(message.user) if message.user else 0.0
        for f in message.views[k]:
            name = self.shared(k, f)
            root = self.grow(name, g, share)
            step = s.shared_rate * heard * bound * share * g / root
            self.weights[name] += step
            moved += step
            if message.user and has_own:
                name, sign = self.own("personal", k, f, message.user)
                step = s.personal_rate * self.factor(k) * bound * word / root
                self.weights[name] += sign * step
                moved += trusted * step
            if message.group and has_own:
                name, sign = self.own("group", k, f, message.group)
                step = s.group_rate * self.factor(k) * heard * bound * share * g / root
                self.weights[name] += sign * step
                moved += step
        return moved / math.sqrt(len(message.views[k]))

    def step_rest(self, message, margins, e_all, trust, share):
        """Step the combiner and the biases."""
        s, e = self.settings, e_all * trust
        for name, margin in margins.inputs().items():
            g = e * clip(margin, 8)
            root = math.sqrt(self.mix_square[name] + g**2)
            self.mix_square[name] += share * g**2
            least = -1.0 if isinstance(name, tuple) else 0.02
            step = share * s.mixing_rate * g / root
            self.mix[name] = min(max(self.mix[name] + step, least), 1.0)
        root = math.sqrt(self.bias_square + e**2)
        self.bias_square += share * e**2
        self.bias += share * s.bias_rate * e / root
        if message.user:
            user = self.users[message.user]
            user.labels += not message.is_again
            user.bias += s.bias_rate * e_all / math.sqrt(1 + user.labels)
        if message.group:
            group = self.groups[message.group]
            group.labels += 1
            group.bias += share * s.bias_rate * e / math.sqrt(1 + group.labels)
