"""What is changed of a request on its way, counted: one entry for each kind of change, with its number.

Whoever changes something notes it, in words that name what is changed and never quote it; the same words are the
same kind. Kinds are told in the order in which they came up first, so that a request always tells the same.
"""

from __future__ import annotations

#: In every dialect, of the attribution block.
ATTRIBUTION_DROPPED = "system: attribution block dropped"

#: In every dialect, of thinking that the target can't use.
ANOTHERS_THINKING = "thinking: of another model, left out"


class Changes:
    """The changes of one request: `note` each of them, `listed` gives them all."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, what: str) -> None:
        """One more of a kind."""
        self._counts[what] = self._counts.get(what, 0) + 1

    def listed(self) -> tuple[str, ...]:
        """One entry for each kind, for people."""
        return tuple(what if count == 1 else f"{what} ({count} times)" for what, count in self._counts.items())
