"""A router of a command's own, for as long as its question takes: on a free port, and found by nobody."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from ccrouter.errors import CcrouterError

if TYPE_CHECKING:
    from ccrouter.service import Running


@contextlib.asynccontextmanager
async def serving(config: Path | None) -> AsyncIterator[Running]:
    """A router that serves while the block runs. Raises what `ccrouter.service.serve` raises, in no group."""
    import trio  # what serves takes long to import

    from ccrouter.service import Options, serve

    failure: CcrouterError | None = None
    async with trio.open_nursery() as nursery:
        try:
            running = await nursery.start(serve, Options(config=config, host="127.0.0.1", port=0))
            yield running
            running.end()
        except CcrouterError as error:  # raised here it would arrive in a group
            failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
