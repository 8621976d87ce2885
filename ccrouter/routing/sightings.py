"""What counts as found on this machine, from look to look. Pure.

A server that loads a model, or a login that is just being written anew, does not show itself for a moment. Who
took that for its end would send a conversation to another vendor. So what was found stays found until two looks in
a row say that it is gone, and a look that says nothing (no answer in time) changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

#: What a look shows. ``silent``: somebody may be there, and did not say in time.
Sight = Literal["there", "silent", "gone"]

#: How many looks in a row must say so before what was found counts as gone: a restart takes a few seconds.
_LOOKS = 2


@frozen
class Sightings:
    """All that was ever found, with the number of looks in a row that since said that it is gone."""

    missed: Mapping[str, int] = field(factory=dict)

    @property
    def there(self) -> frozenset[str]:
        """What counts as there."""
        return frozenset(name for name, missed in self.missed.items() if missed < _LOOKS)

    @property
    def ever(self) -> frozenset[str]:
        """What was found at any time."""
        return frozenset(self.missed)

    def after(self, look: Mapping[str, Sight]) -> Sightings:
        """With what another look showed. Of whom it says nothing, nothing changes."""
        missed = dict(self.missed)
        for name, sight in look.items():
            if sight == "there":
                missed[name] = 0
            elif sight == "gone" and name in missed:
                missed[name] = min(missed[name] + 1, _LOOKS)
        return Sightings(missed)
