"""All rules that hold at one moment, asked in their order. Pure, but for what it remembers.

Of fifty rules most object to one request for the same reasons as to the one before. So a rulebook sifts its rules
in the stages of `routing.rules`, and remembers what came of it: for a conversation, by `Traits.lasting`, which
rules are still open; of these, by what they look at, which are open for such a request. What is left wants to know
how long the prompt is, and is asked each time. A rule that fits and asks for nothing more ends the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from attrs import field, frozen

from ccrouter.routing.rules import Considered, Rule
from ccrouter.routing.traits import Look, Traits

#: How many conversations are remembered, and of each how many kinds of requests.
_MOST = 256
_MOST_KINDS = 64

#: How long a reason may be, in characters: it may quote a model's name, which is as long as the client likes.
_LONGEST = 200

#: How long what is seen in a request may be to be remembered, in characters.
_SHORT = 1_000


class Answer(NamedTuple):
    """What the rules came to. ``considered`` ends at the rule that fits, if there is one."""

    considered: tuple[Considered, ...]
    rule: Rule | None


@frozen
class _Sifted:
    """What is known after a stage. ``answer`` is the whole if none of ``open`` fits, by its place in the list."""

    answer: Answer
    open: tuple[tuple[int, Rule], ...] = ()
    looks: tuple[Look, ...] = ()
    """What the open ones look at."""
    kinds: dict[tuple[Any, ...], _Sifted] = field(factory=dict, eq=False, repr=False)
    """What the next stage came to, by what was seen."""


@frozen
class Rulebook:
    """Rules in their order."""

    rules: tuple[Rule, ...] = ()
    _conversations: dict[str, _Sifted] = field(factory=dict, init=False, eq=False, repr=False)

    def ask(self, traits: Traits) -> Answer:
        """The first rule that fits, and what was said of those before it."""
        sifted = self._conversations.get(traits.lasting)
        if sifted is None:
            sifted = self._of_conversation(traits)
        if sifted.open:
            sifted = _of_kind(sifted, traits)
        if sifted.open:
            sifted = _sift(2, sifted, traits)
        return sifted.answer

    def _of_conversation(self, traits: Traits) -> _Sifted:
        considered = tuple(Considered(each.name, None) for each in self.rules)
        sifted = _sift(0, _Sifted(Answer(considered, None), tuple(enumerate(self.rules))), traits)
        if traits.lasting:
            if len(self._conversations) >= _MOST:
                self._conversations.clear()
            self._conversations[traits.lasting] = sifted
        return sifted


def _of_kind(before: _Sifted, traits: Traits) -> _Sifted:
    seen = tuple([traits.seen(look) for look in before.looks])
    known = before.kinds.get(seen)
    if known is not None:
        return known
    sifted = _sift(1, before, traits)
    if len(str(seen)) <= _SHORT:
        if len(before.kinds) >= _MOST_KINDS:
            before.kinds.clear()
        before.kinds[seen] = sifted
    return sifted


def _sift(stage: int, before: _Sifted, traits: Traits) -> _Sifted:
    """Ask the open rules what they ask at one stage."""
    said = list(before.answer.considered)
    still_open: list[tuple[int, Rule]] = []
    for place, rule in before.open:
        why = rule.objection_at(stage, traits)
        said[place] = Considered(rule.name, why if why is None else why[:_LONGEST])
        if why is None and rule.last_stage <= stage:
            return _sifted(Answer(tuple(said[: place + 1]), rule), still_open)
        if why is None:
            still_open.append((place, rule))
    return _sifted(Answer(tuple(said), before.answer.rule), still_open)


def _sifted(answer: Answer, still_open: Sequence[tuple[int, Rule]]) -> _Sifted:
    looks = sorted({look for _, rule in still_open for look in rule.looks})
    return _Sifted(answer, tuple(still_open), tuple(looks))
