"""How each kind of backend is asked what its models can do, and what its answers mean. Pure.

Most tell it in their list of models (`ccrouter.providers.listings`). The servers that load models on this machine
have endpoints of their own for it, and they alone can say with which window a model is loaded now. To add a kind:
a name in `provider.FactsFrom`, its questions here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from ccrouter.providers.listings import first_size, listed, member, read_row, rows, says
from ccrouter.providers.provider import FactsFrom, Model

#: How long a model stays that would be unloaded at once, in seconds: as long as it takes to look.
_STAY = 5


@frozen
class Question:
    """A request to a backend: POST where it has a body. ``read`` makes of the JSON in the answer what it tells.

    ``then``: where to look right after, since that answer is the one that tells.
    """

    path: str
    body: bytes = b""
    read: Callable[[Any], tuple[Model, ...]] = field(eq=False, repr=False, default=lambda _: ())
    then: str = ""


def questions(kind: FactsFrom, model: str | None) -> tuple[Question, ...]:
    """What to ask about a model, the best answer first; without a model what is told of all at once."""
    show = () if model is None else (Question("/api/show", _named(model), partial(read_show, model)),)
    match kind:
        case "ollama":  # 2026-11, ollama fb30760
            return (Question("/api/ps", read=read_ps), *show)
        case "ollama-show":  # its cloud loads nothing that one could ask for
            return show
        case "lmstudio":  # 2026-11: v1 since 0.4.0; v0 is there still, and older versions have nothing else
            return Question("/api/v1/models", read=read_lmstudio), Question("/api/v0/models", read=read_listed)
        case "llamacpp":  # one model per server; a server of several answers for the one in the query only
            return () if model is None else (Question("/props", read=partial(read_props, model)),)
        case "none" | "list":
            return ()


def loading(kind: FactsFrom, model: str) -> tuple[Question, ...]:
    """What makes a backend load a model now as for a request, and then tells its window; none where that can't be.

    Where it is loaded so already nothing happens. The first says nothing of how long the model is to stay, so that
    this remains as it was; the second is for a server that unloads it at once (``OLLAMA_KEEP_ALIVE=0``), where one
    could not look otherwise.
    """
    if kind != "ollama":  # 2026-11, ollama fb30760: server/sched.go, needsReload and useLoadedRunner
        return ()
    read = partial(read_own, model)
    return tuple(
        Question("/api/generate", _named(model, **more), read, then="/api/ps")
        for more in ({}, {"keep_alive": _STAY})
    )


def read_show(model: str, value: Any) -> tuple[Model, ...]:
    """Ollama's ``/api/show``."""
    if not isinstance(value, dict):
        return ()
    info, able = member(value, "model_info"), value.get("capabilities")
    window = first_size(*(size for key, size in info.items() if key.endswith(".context_length")))
    return (
        Model(
            model,
            window=window,
            vision=listed(able, "vision"),
            tools=listed(able, "tools"),
            thinking=listed(able, "thinking"),
            remote=True if value.get("remote_host") else None,
        ),
    )


def read_ps(value: Any) -> tuple[Model, ...]:
    """Ollama's ``/api/ps``: what is loaded. A name without a tag means ``latest``, and stands for itself too."""
    found = []
    for row in rows(value, "models"):
        name, loaded = row.get("model") or row.get("name"), first_size(row.get("context_length"))
        if isinstance(name, str) and loaded is not None:
            found.append(Model(name, loaded=loaded))
            if name.endswith(":latest"):
                found.append(Model(name.removesuffix(":latest"), loaded=loaded))
    return tuple(found)


def read_own(model: str, value: Any) -> tuple[Model, ...]:
    """Ollama's ``/api/ps`` right after a model was loaded; no window where nothing at all is there any more."""
    if isinstance(value, dict) and value.get("models") == []:
        return (Model(model),)
    return tuple(each for each in read_ps(value) if each.id == model)


def read_listed(value: Any) -> tuple[Model, ...]:
    """LM Studio's ``/api/v0/models``, whose rows are those of a list."""
    return tuple(model for row in rows(value, "data") if (model := read_row(row)) is not None)


def read_lmstudio(value: Any) -> tuple[Model, ...]:
    """LM Studio's ``/api/v1/models``. Its instances are asked for by their own ids, or by the model's key.

    Of several instances behind one key the smallest window holds: which of them answers isn't known.
    """
    found = []
    for row in rows(value, "models"):
        key = row.get("key")
        if not isinstance(key, str) or row.get("type") == "embedding":
            continue
        able = member(row, "capabilities")
        model = Model(
            key,
            window=first_size(row.get("max_context_length")),
            vision=says(able.get("vision")),
            tools=says(able.get("trained_for_tool_use")) or None,  # the others are served tools too
        )
        instances = [
            (each.get("id"), size)
            for each in rows(row, "loaded_instances")
            if (size := first_size(member(each, "config").get("context_length"))) is not None
        ]
        found.append(evolve(model, loaded=min((size for _, size in instances), default=None)))
        found += [
            evolve(model, id=name, loaded=size)
            for name, size in instances
            if isinstance(name, str) and name and name != key
        ]
    return tuple(found)


def read_props(model: str, value: Any) -> tuple[Model, ...]:
    """llama.cpp's ``/props``: the window of one slot, and what else than text the server takes."""
    if not isinstance(value, dict):
        return ()
    loaded = first_size(member(value, "default_generation_settings").get("n_ctx"), value.get("n_ctx"))
    return (Model(model, loaded=loaded, vision=says(member(value, "modalities").get("vision"))),)


def _named(model: str, **more: object) -> bytes:
    return json.dumps({"model": model, "stream": False, **more}).encode()
