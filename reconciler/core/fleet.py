"""All nodes as one plan sees them. Every node of the site works this out alike, from the same facts, without messages.

Thousands of projects may wait for the same few kinds of things: how each node suits a kind is worked out once, and
again only for nodes on which the plan itself takes or keeps something.
"""

import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from reconciler.core.desired import Desired, NodePolicy, Requires, Strategy
from reconciler.core.fitting import Need, Offer, busy, empty, keeping, never, offer, taking
from reconciler.core.gpus import kind, of_kind
from reconciler.core.names import NodeName
from reconciler.core.nodes import Gpu, Node
from reconciler.core.score import Score, compared, score
from reconciler.core.used import Used

NAMED = 4
"""So many nodes of which the same is true are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Nodes that can take it now, best first; and for all others why not."""

    ranked: tuple[NodeName, ...] = ()
    refused: Mapping[NodeName, str] = field(default_factory=dict)
    ever: bool = True  # would any node do, were it idle and alive?
    why: str = ""  # ``refused`` in one line
    hint: str = ""  # what the best of them would lack
    behind: Mapping[NodeName, str] = field(default_factory=dict)  # what makes it worse than the first; "": nothing

    def by_node(self) -> Mapping[NodeName, str]:
        """Of each node its rank, and what makes it worse than the first; or why it is refused."""
        ranks = {name: f"rank {rank}" for rank, name in enumerate(self.ranked)}
        told = {name: f"{rank}: {self.behind[name]}" if self.behind.get(name) else rank for name, rank in ranks.items()}
        return {**self.refused, **told}


def refusals(refused: Mapping[NodeName, str]) -> str:
    """In one line: what is true of many nodes is said once."""
    alike: dict[str, list[NodeName]] = {}
    for name in sorted(refused):
        alike.setdefault(refused[name], []).append(name)
    return "; ".join(f"{_some(names)}: {reason}" for reason, names in alike.items())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


class Fleet:
    def __init__(self, nodes: Sequence[Node], desired: Desired, used: Mapping[NodeName, Used], *, ttl: float) -> None:
        self._strategy = desired.site.strategy
        usual, nothing = NodePolicy(), Used()
        self._offers = {
            node.name: offer(node, desired.nodes.get(node.name, usual), used.get(node.name, nothing), ttl=ttl)
            for node in nodes
        }
        self.keepers: dict[str, frozenset[NodeName]] = {}  # run -> the nodes that say they keep themselves free for it
        for node in nodes:
            if run := node.availability.reserved:
                self.keepers[run] = self.keepers.get(run, frozenset()) | {node.name}
        self._changed: list[NodeName] = []
        self._views: dict[object, _View] = {}
        self._asked: tuple[Need, _View] | None = None  # a stage that waits is asked about several times in a row

    def __contains__(self, node: NodeName) -> bool:
        return node in self._offers

    def offer(self, node: NodeName) -> Offer:
        return self._offers[node]

    def take(self, node: NodeName, requires: Requires, gpus: tuple[str, ...]) -> None:
        self._change(node, taking(self._offers[node], requires, gpus))

    def keep(self, node: NodeName, requires: Requires, run: str) -> None:
        """From here on the node takes only what fits beside that run."""
        self._change(node, keeping(self._offers[node], requires, run))

    def rank(self, need: Need, node: NodeName) -> int | None:
        """How many nodes go first; None: it does not fit."""
        view = self._view(need)
        mine = view.scores.get(node)
        if mine is None:
            return None
        if need.near == node:
            return view.before(_near(mine))
        near = view.scores.get(need.near) if need.near is not None else None
        beside = need.near if near == mine else None
        overtakes = near is not None and (near >= mine > _near(near))
        return view.before(mine) + overtakes + view.turn(node, mine, _hash(need.seed), beside)

    def first(self, need: Need) -> NodeName | None:
        """The best node; None: none fits now."""
        view = self._view(need)
        if not view.order:
            return None
        best = view.first(_hash(need.seed))
        near = need.near if need.near in view.scores else None
        return near if near is not None and _near(view.scores[near]) < view.scores[best] else best

    def nobody(self, need: Need) -> Placement:
        """Of each node why it can't take it; for all that need the same, so not in which order."""
        return self._view(need).nobody()

    def has_room(self, need: Need) -> bool:
        """Would a node take it that is alive and not drained, were it idle?"""
        return bool(self._view(need).roomy)

    def placement(self, need: Need) -> Placement:
        """All of it in words, for people: of one run."""
        view, start = self._view(need), _hash(need.seed)
        scores = {name: _near(one) if name == need.near else one for name, one in view.scores.items()}
        equals = groupby(sorted(scores, key=lambda name: (scores[name], name)), key=lambda name: scores[name])
        ranked = [name for _, names in equals for name in _rotated(list(names), start)]
        behind = {name: compared(scores[name], scores[ranked[0]], self._strategy) for name in ranked}
        nobody = view.nobody()
        return replace(nobody, ranked=tuple(ranked), behind=behind)

    def keeper(self, need: Need, among: Iterable[NodeName]) -> NodeName | None:
        """The node to keep free: the one that would be wasted least. The same for all who look, whatever runs now."""
        idle = {name: empty(self._offers[name]) for name in among if name in self._view(need).roomy}
        worth = {}
        for name, found in idle.items():
            fitting = of_kind(found.capacity.gpus, need.requires.gpus)
            if not busy(need, found, fitting):
                one = score(need, found, fitting, Strategy.SPREAD)
                worth[name] = (one.idle_gpus, one.gpu_memory, one.fullness)
        return min(worth, key=lambda name: (worth[name], _hash(f"{need.seed}/{name}")), default=None)

    def _change(self, node: NodeName, found: Offer) -> None:
        self._offers[node] = found
        self._changed.append(node)

    def _view(self, need: Need) -> "_View":
        if self._asked is not None and self._asked[0] is need and self._asked[1].seen == len(self._changed):
            return self._asked[1]
        alike = _alike(need)
        view = self._views.get(alike)
        if view is None:
            view = self._views[alike] = _View(need, self._strategy)
            view.look(self._offers.values())
        elif view.seen < len(self._changed):
            view.look([self._offers[name] for name in set(self._changed[view.seen :])])
        view.seen = len(self._changed)
        self._asked = (need, view)
        return view


class _View:
    """How all nodes suit one kind of need."""

    def __init__(self, need: Need, strategy: Strategy) -> None:
        self._need, self._strategy = need, strategy
        self.scores: dict[NodeName, Score] = {}
        self.refused: dict[NodeName, str] = {}
        self.order: list[tuple[Score, NodeName]] = []  # best first; each run takes equals in another order
        self.roomy: set[NodeName] = set()
        self.seen = 0  # of the fleet's changes
        self._ever = False
        self._most_gpus = 0
        self._nobody: Placement | None = None

    def look(self, offers: Iterable[Offer]) -> None:
        is_first = not self.scores and not self.refused
        for found in offers:
            name = found.node.name
            self._nobody = None
            if (before := self.scores.pop(name, None)) is not None:
                del self.order[bisect_left(self.order, (before, name))]
            fitting = of_kind(found.capacity.gpus, self._need.requires.gpus)
            if why := self._refusal(found, fitting):
                self.refused[name] = why
                continue
            self.refused.pop(name, None)
            self.scores[name] = score(self._need, found, fitting, self._strategy)
            entry = (self.scores[name], name)
            self.order.append(entry) if is_first else insort(self.order, entry)
        if is_first:
            self.order.sort()

    def before(self, mine: Score) -> int:
        """How many nodes are better."""
        return bisect_left(self.order, (mine,))

    def turn(self, node: NodeName, mine: Score, start: int, beside: NodeName | None) -> int:
        """How many of its equals go first: each run begins with another one. ``beside`` does not count."""
        low, high = self.before(mine), self._after(mine)
        size, here = high - low, bisect_left(self.order, (mine, node)) - low
        if beside is not None:
            size, here = size - 1, here - (beside < node)
        return (here - start) % size

    def first(self, start: int) -> NodeName:
        size = self._after(self.order[0][0])
        return self.order[start % size][1]

    def _after(self, mine: Score) -> int:
        return bisect_right(self.order, mine, key=lambda entry: entry[0])

    def nobody(self) -> Placement:
        if self._nobody is None:
            wanted, most = self._need.requires.gpus, self._most_gpus
            has_too_many = wanted.count > most > 0
            hint = (
                f"it asks for {wanted.count} GPUs ({kind(wanted)}), and the largest node has {most}"
                if has_too_many
                else ""
            )
            refused = dict(self.refused)
            self._nobody = Placement(refused=refused, ever=self._ever, why=refusals(refused), hint=hint)
        return self._nobody

    def _refusal(self, found: Offer, fitting: Sequence[Gpu]) -> str:
        self._most_gpus = max(self._most_gpus, len(fitting))
        if why := never(self._need, found, fitting):
            return why
        self._ever = True
        if found.unavailable:
            return found.unavailable
        if not busy(self._need, empty(found), fitting):  # faulty devices make no room
            self.roomy.add(found.node.name)
        return busy(self._need, found, fitting)


def _alike(need: Need) -> object:
    """The same for all needs that every node suits equally, but for where their workspace was made."""
    requires = need.requires
    return (
        requires.cpus,
        requires.memory,
        requires.disk,
        requires.gpus,
        tuple(sorted(requires.labels.items())) if requires.labels else (),
        need.image,
        need.has_process_command,
    )


def _near(found: Score) -> Score:
    return found._replace(away=0)


def _rotated(names: list[NodeName], start: int) -> list[NodeName]:
    begin = start % len(names)
    return names[begin:] + names[:begin]


def _hash(text: str) -> int:
    """The same on all nodes, of whatever version of Python."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
