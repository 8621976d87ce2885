"""Who waits for a place at a provider that takes only so many requests at one time. Pure.

Fair among sessions: each time a place is free, it goes to the session that got one the longest time ago, and
within a session to who came first. So a session with twenty subagents does not keep another one's single question
waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from attrs import define, field


@define(eq=False)
class Ticket:
    """One who waits, or has a place."""

    session: Hashable
    admitted: bool = False


@define(eq=False)
class Line:
    """The line in front of one provider with ``places``, and those who have one."""

    places: int
    inside: int = 0
    _waiting: dict[Hashable, deque[Ticket]] = field(factory=dict)
    """Sessions in the order in which they are served next."""

    @property
    def waiting(self) -> int:
        """How many stand in the line."""
        return sum(map(len, self._waiting.values()))

    def enter(self, session: Hashable) -> Ticket:
        """Somebody comes; ``admitted`` says whether there is a place at once."""
        ticket = Ticket(session)
        self._waiting.setdefault(session, deque()).append(ticket)
        self.admit()
        return ticket

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """Somebody goes, from a place or from the line. Those who got a place by that."""
        if ticket.admitted:
            ticket.admitted = False
            self.inside -= 1
            return self.admit()
        queue = self._waiting.get(ticket.session)
        if queue is not None and ticket in queue:
            queue.remove(ticket)
            if not queue:
                del self._waiting[ticket.session]
        return []

    def admit(self) -> list[Ticket]:
        """Fill the places that are free. Those who got one."""
        admitted = []
        while self._waiting and self.inside < self.places:
            session = next(iter(self._waiting))
            queue = self._waiting.pop(session)
            ticket = queue.popleft()
            ticket.admitted = True
            self.inside += 1
            admitted.append(ticket)
            if queue:  # to the end of the line of sessions
                self._waiting[session] = queue
        return admitted
