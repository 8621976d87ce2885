"""All rules that hold at one moment, asked in their order. Pure, but for what it remembers.

Of fifty rules most are about the class, the agent, the model or the project, which stay what they are over a
conversation. So a rulebook sifts its rules once for each conversation (`Traits.lasting`): what remains are those
that ask for more, in front of the first that asks for nothing else. Only these are asked for each request.
"""

from __future__ import annotations

from typing import NamedTuple

from attrs import field, frozen

from ccrouter.routing.rules import Considered, Rule
from ccrouter.routing.traits import Traits

#: How many conversations are remembered.
_MOST = 256

#: How long a reason may be, in characters: it may quote a model's name, which is as long as the client likes.
_LONGEST = 200


class Answer(NamedTuple):
    """What the rules came to. ``considered`` ends at the rule that fits, if there is one."""

    considered: tuple[Considered, ...]
    rule: Rule | None


class _Sifted(NamedTuple):
    """What the rules say of a whole conversation. ``considered`` is what is told if none of ``open`` fits."""

    considered: tuple[Considered, ...]
    open: tuple[tuple[int, Rule], ...]
    rule: Rule | None


@frozen
class Rulebook:
    """Rules in their order."""

    rules: tuple[Rule, ...] = ()
    _sifted: dict[str, _Sifted] = field(factory=dict, init=False, eq=False, repr=False)

    def ask(self, traits: Traits) -> Answer:
        """The first rule that fits, and what was said of those before it."""
        sifted = self._sifted.get(traits.lasting)
        if sifted is None:
            sifted = self._sift(traits)
        said = list(sifted.considered)
        for place, rule in sifted.open:
            why = rule.passing_objection(traits)
            said[place] = Considered(rule.name, why)
            if why is None:
                return Answer(tuple(said[: place + 1]), rule)
        return Answer(tuple(said), sifted.rule)

    def _sift(self, traits: Traits) -> _Sifted:
        said: list[Considered] = []
        still_open: list[tuple[int, Rule]] = []
        fitting = None
        for place, rule in enumerate(self.rules):
            why = rule.lasting_objection(traits)
            said.append(Considered(rule.name, why if why is None else why[:_LONGEST]))
            if why is None and rule.lasting:
                fitting = rule
                break
            if why is None:
                still_open.append((place, rule))
        sifted = _Sifted(tuple(said), tuple(still_open), fitting)
        if traits.lasting:
            if len(self._sifted) >= _MOST:
                self._sifted.clear()
            self._sifted[traits.lasting] = sifted
        return sifted
