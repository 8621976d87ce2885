"""The routes of the port.

======================================  =====================================================================
``POST /v1/messages``                   to a backend, by the model's name
``POST /v1/messages/count_tokens``      to a backend that can count, else an estimate
``GET /v1/models``                      the models of all providers
``GET /status``                         what the router is at, as JSON
``GET /explain``                        what happened to the last requests, and why
``POST /explain``                       what would happen to this one, without sending it
``HEAD|GET /``, ``/api/hello``          says that a router is here; open, like the next
``GET /health``                         that it lives
======================================  =====================================================================

Everything else is a 404 in Anthropic's envelope, and every reply carries a ``request-id``. All but the open ones
ask for the router's token. Paths match whatever base path a client was given: ``/any/v1/messages`` is served too.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs

import trio

import ccrouter
from ccrouter import menu
from ccrouter.attempt.backends import Backends
from ccrouter.attempt.inbound import Inbound
from ccrouter.count import count, estimated
from ccrouter.dispatch import Chosen, Dispatcher, placed
from ccrouter.errors import ApiError, CcrouterError, ClientGone, FrameError
from ccrouter.explain import explain
from ccrouter.observe import internal_error
from ccrouter.observe.log import Done
from ccrouter.providers.provider import Target
from ccrouter.relay import Pacing, Relayed, relay
from ccrouter.routing.credentials import of_client
from ccrouter.routing.directory import Directory
from ccrouter.routing.plan import Outcome
from ccrouter.server.connection import Client, Request
from ccrouter.server.gate import Gate
from ccrouter.server.stop import cancel_when
from ccrouter.translate.dialect import Endpoint
from ccrouter.upstream.models import ModelLists
from ccrouter.wire import claude_code, envelope
from ccrouter.wire import headers as http
from ccrouter.wire.coding import coding_of
from ccrouter.wire.headers import Headers
from ccrouter.wire.messages import read_request

#: The client gives up on the list of models after 3 s.
MODELS_WITHIN = 2.0

T = TypeVar("T")

_DIGITS = 6

#: How a client comes to the router's token.
_ANEW = "; start the client with what `ccrouter env` prints, anew after each start of the router"

#: Seconds in which only one of the requests without a token is told of: a client sends the same again and again.
_STRANGERS_EACH = 60.0

_OPEN = frozenset({"/", claude_code.HELLO, "/health"})
_JSON: Headers = [(b"content-type", b"application/json")]


class Router(Protocol):
    """What the endpoints need of the running router (`ccrouter.router`)."""

    token: str
    backends: Backends
    lists: ModelLists
    ending: trio.Event
    dispatch: Dispatcher

    @property
    def gate(self) -> Gate:
        """Who may pass at this moment."""
        ...

    def log(self, line: str, /) -> None:
        """Say one line to whoever reads along."""
        ...

    async def directory(self) -> Directory:
        """The providers of this moment, configuration changes included."""
        ...

    async def looked(self) -> None:
        """Wait until somebody has looked around for what there is, which takes under 3 s."""
        ...

    def status(self) -> dict[str, Any]:
        """What ``GET /status`` tells beside the providers."""
        ...


class Endpoints:
    """Answers the requests of one router."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._stranger_due = -math.inf
        self._routes: dict[tuple[str, str], Callable[[Request, Client, str], Awaitable[None]]] = {
            ("POST", "/v1/messages"): self._messages,
            ("POST", "/v1/messages/count_tokens"): self._count,
            ("GET", "/v1/models"): self._models,
            ("GET", "/status"): self._status,
            ("GET", "/explain"): self._explain,
            ("POST", "/explain"): self._explain_one,
            ("GET", "/health"): self._health,
            ("HEAD", "/health"): self._health,
            ("GET", "/"): self._hello,
            ("HEAD", "/"): self._hello,
            ("GET", claude_code.HELLO): self._hello,
            ("HEAD", claude_code.HELLO): self._hello,
        }

    async def answer(self, request: Request, client: Client) -> None:
        """Answer one request. Raises ApiError for `refuse` to tell.

        A mistake of ours ends the one request in which it showed, and no other.
        """
        request_id = _request_id()
        try:
            await self._answer(request, client, request_id)
        except ApiError as error:
            raise _with_id(error, request_id) from error
        except Exception as error:
            if isinstance(error, CcrouterError):
                raise
            foreseen = [each for each in internal_error.leaves(error) if isinstance(each, CcrouterError)]
            if len(foreseen) == len(list(internal_error.leaves(error))):
                raise _with_id(foreseen[0], request_id) from None
            self._router.log(f"{internal_error.line(error)}; please report this line")
            client.close_after()
            headers = (("x-should-retry", "false"), ("request-id", request_id))
            raise ApiError(500, "api_error", internal_error.message(error), headers) from error

    async def _answer(self, request: Request, client: Client, request_id: str) -> None:
        self._router.gate.check_origin(request.headers)
        path = _route_path(request.path)
        if path not in _OPEN:
            _, shown = of_client(request.headers, self._router.token)
            if not shown:
                self._tell_of_stranger(request, path)
                raise _no_token()
        route = self._routes.get((request.method, path))
        if route is None:
            raise self._unknown(request, path)
        await route(request, client, request_id)

    def _tell_of_stranger(self, request: Request, path: str) -> None:
        """Say to whoever looks after the router what the client may not show. Only of what would be served."""
        now = trio.current_time()
        if now < self._stranger_due or (request.method, path) not in self._routes:
            return
        self._stranger_due = now + _STRANGERS_EACH
        self._router.log(f"refused {request.method} {path}: it does not carry this router's token{_ANEW}")

    async def refuse(self, client: Client, error: ApiError) -> None:
        """Tell the client of an ApiError."""
        request_id = next((value for name, value in error.headers if name == "request-id"), None) or _request_id()
        headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in error.headers
            if name != "request-id"
        ]
        headers.append((b"request-id", request_id.encode("latin-1", "replace")))
        await client.respond(error.status, [*_JSON, *headers], envelope.write(error, request_id))

    def _unknown(self, request: Request, path: str) -> ApiError:
        methods = sorted(method for method, known in self._routes if known == path)
        if methods:
            return ApiError(
                405,
                "invalid_request_error",
                f"{request.method} is not a method of {path}",
                (("allow", ", ".join(methods)),),
            )
        return ApiError(404, "not_found_error", f"there is nothing at {path[:200]}")

    async def _messages(self, request: Request, client: Client, request_id: str) -> None:
        router = self._router
        started = trio.current_time()
        inbound = await self._read(request, client, "messages", request_id)
        ended = Relayed(outcome=Outcome(result="failed"))
        chosen: Chosen | None = None
        try:
            await router.looked()
            chosen = await router.dispatch.choose(inbound)
            sent = placed(inbound, chosen)
            pacing = Pacing.of(chosen.in_force.config.server)
            ended = await relay(sent, client, chosen.plan, router.backends, pacing, router.ending)
        except ApiError as error:
            ended = Relayed.refused(error)
        except BaseException:  # a mistake of ours, or the end of the router: so went the last try
            if chosen is not None and chosen.plan.tries:
                ended = Relayed(outcome=chosen.plan.tries[-1].outcome, by=chosen.plan.tries[-1])
            raise
        finally:
            if chosen is not None:
                router.dispatch.settle(inbound, chosen, ended.outcome, ended.by)
            router.log(
                Done(
                    request_id=request_id,
                    what="messages",
                    model=inbound.request.model,
                    target=None if ended.by is None else ended.by.target,
                    outcome=ended.outcome,
                    seconds=trio.current_time() - started,
                ).line()
            )
        if ended.unsaid is not None:
            raise ended.unsaid

    async def _read(self, request: Request, client: Client, endpoint: Endpoint, request_id: str) -> Inbound:
        if (coding := coding_of(request.headers)) != "identity":
            raise ApiError(
                415,
                "invalid_request_error",
                f"a request body in the content coding {coding[:40]!r} is not taken; send it without one",
            )
        try:
            body = read_request(await client.body())
        except FrameError as error:
            raise ApiError(400, "invalid_request_error", str(error)) from None
        credentials, _ = of_client(request.headers, self._router.token)
        return Inbound(
            request=body,
            headers=request.headers,
            query=request.query,
            endpoint=endpoint,
            credentials=credentials,
            request_id=request_id,
        )

    async def _count(self, request: Request, client: Client, request_id: str) -> None:
        inbound = await self._read(request, client, "count_tokens", request_id)
        headers, body = await _unless_gone(client, partial(self._counted, inbound))
        await client.respond(200, [*headers, (b"request-id", request_id.encode())], body)

    async def _counted(self, inbound: Inbound) -> tuple[Headers, bytes]:
        await self._router.looked()
        chosen = await self._router.dispatch.choose(inbound)
        if not chosen.plan.targets:
            return await estimated(inbound)
        return await count(placed(inbound, chosen), chosen.plan.targets[0], self._router.backends)

    async def _models(self, request: Request, client: Client, request_id: str) -> None:
        await client.body()
        credentials, _ = of_client(request.headers, self._router.token)
        agent = (http.get_text(request.headers, b"user-agent") or "").lower()
        discovery = agent.startswith(claude_code.USER_AGENT)
        directory = await self._router.directory()
        ask = partial(
            menu.rows,
            list(directory.providers.values()),
            directory.claude,
            self._router.lists,
            self._router.backends.facts,
            credentials,
            seconds=MODELS_WITHIN - 0.3,
            discovery=discovery,
        )
        rows = await _unless_gone(client, ask)
        body = {
            "data": rows,
            "has_more": False,
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
        }
        await _respond(client, body, request_id)

    async def _status(self, request: Request, client: Client, request_id: str) -> None:
        await client.body()
        credentials, _ = of_client(request.headers, self._router.token)
        directory = await self._router.directory()
        await self._router.lists.refresh(directory.providers.values(), credentials, MODELS_WITHIN - 0.3)
        backends = self._router.backends
        providers = []
        for provider in directory.providers.values():
            listing = self._router.lists.of(provider)
            providers.append(
                {
                    "name": provider.name,
                    "preset": provider.preset.name,
                    "wire": (wire := backends.wire(Target(provider, ""))),
                    "wires": {
                        model.id: own
                        for model in provider.models
                        if (own := backends.wire(Target(provider, model.id))) != wire
                    },
                    "unsummarized": sorted(model for key, model in backends.unsummarized if key == provider.key),
                    "base_url": provider.base_url,
                    "configured": provider.configured,
                    "models": len(listing.models),
                    "problem": listing.problem,
                }
            )
        aliases = {name: list(targets) for name, targets in directory.aliases.items()}
        body = {
            **self._router.status(),
            "default": directory.default,
            "aliases": aliases,
            "providers": providers,
            **self._router.dispatch.summary(directory),
        }
        await _respond(client, body, request_id)

    async def _explain(self, request: Request, client: Client, request_id: str) -> None:
        await client.body()
        asked = parse_qs(request.query).get("last", ["1"])[-1]
        if not asked.isdecimal() or len(asked) > _DIGITS:
            raise ApiError(400, "invalid_request_error", "last: a number of requests is wanted, as in ?last=3")
        found = self._router.dispatch.trails.last(int(asked))
        await _respond(client, {"requests": [each.to_json() for each in found]}, request_id)

    async def _explain_one(self, request: Request, client: Client, request_id: str) -> None:
        inbound = await self._read(request, client, "messages", request_id)
        await self._router.looked()
        body = await _unless_gone(client, partial(explain, inbound, self._router.dispatch, self._router.backends))
        await _respond(client, body, request_id)

    async def _health(self, request: Request, client: Client, request_id: str) -> None:
        del request
        await client.body()
        await _respond(client, {"status": "ok"}, request_id)

    async def _hello(self, request: Request, client: Client, request_id: str) -> None:
        del request
        await client.body()
        await _respond(client, {"name": "ccrouter", "version": ccrouter.__version__}, request_id)


async def _respond(client: Client, body: dict[str, Any], request_id: str) -> None:
    payload = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    await client.respond(200, [*_JSON, (b"request-id", request_id.encode())], payload)


async def _unless_gone(client: Client, run: Callable[[], Awaitable[T]]) -> T:
    """What ``run`` gives; cancelled, with ClientGone, when the client hangs up before it is done."""
    results: list[T] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when, client.wait_hung_up, nursery.cancel_scope)
        results.append(await run())
        nursery.cancel_scope.cancel()
    if not results:
        raise ClientGone("the client hung up")
    return results[0]


def _route_path(path: str) -> str:
    """The part of a path that names an endpoint, whatever stands before ``/v1/``; no doubled slashes."""
    while "//" in path:
        path = path.replace("//", "/")
    position = path.find("/v1/")
    if position > 0:
        path = path[position:]
    return path.rstrip("/") or "/"


def _with_id(error: CcrouterError, request_id: str) -> CcrouterError:
    """A refusal under the name by which the log and ``explain`` tell of its request, or a backend of its own."""
    if not isinstance(error, ApiError) or any(name == "request-id" for name, _ in error.headers):
        return error
    return ApiError(error.status, error.kind, error.message, (*error.headers, ("request-id", request_id)))


def _request_id() -> str:
    return f"req_ccr_{secrets.token_hex(12)}"


def _no_token() -> ApiError:
    return ApiError(
        401,
        "authentication_error",
        f"ccrouter: this request does not carry this router's token{_ANEW}",
        (("x-should-retry", "false"),),
    )
