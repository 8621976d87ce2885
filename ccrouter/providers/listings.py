"""Lists of models, in the shapes that the backends have for them. Pure: bytes in, `Model` values out.

A list tells names, and of some backends much more. What is said in a form that makes no sense counts as not said.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ccrouter.errors import WrongAnswer
from ccrouter.providers.provider import Model, Preset
from ccrouter.wire import json_text

#: What a model's own window is called: by Anthropic, most others, vLLM, LM Studio and Mistral, Codex and Groq.
_WINDOWS = ("max_input_tokens", "context_length", "max_model_len", "max_context_length", "context_window")


def read_models(body: bytes, preset: Preset) -> tuple[Model, ...]:
    """The models in a list as the preset's kind of backend gives it. Raises WrongAnswer for anything else."""
    value = decoded(body)
    key = "data" if preset.listing == "data" else "models"
    found: dict[str, Model] = {}
    if not isinstance(value, dict) or not isinstance(value.get(key), list):
        raise WrongAnswer("its list of models cannot be read")
    for row in rows(value, key):
        if preset.owner is not None and row.get("owned_by") != preset.owner:
            continue
        if (model := read_row(row)) is not None:
            found.setdefault(model.id, model)
    if value[key] and not found and preset.owner is not None:
        raise WrongAnswer(f"what answers there is not {preset.title}")
    return tuple(found.values())


def decoded(body: bytes) -> Any:
    """What a body of JSON says; None for anything else."""
    return json_text.loads_or_none(body, nan="null")


def rows(value: Any, key: str) -> Iterator[dict[str, Any]]:
    """The objects in a list that is a member of an object."""
    found = value.get(key) if isinstance(value, dict) else None
    return (row for row in found if isinstance(row, dict)) if isinstance(found, list) else iter(())


def read_row(row: dict[str, Any]) -> Model | None:
    """One model of a list; None for what is no model that can be talked to."""
    name = row.get("id") or row.get("slug") or row.get("model") or row.get("name")
    if not isinstance(name, str) or not name or not name.isprintable():
        return None
    if row.get("capabilities") == ["embedding"] or row.get("type") == "embeddings":
        return None
    if row.get("visibility", "list") != "list":  # Codex: not for people to choose
        return None
    title = row.get("display_name") or (row.get("name") if "id" in row else None)
    meta = member(row, "meta")  # llama.cpp
    details = member(row, "details")  # Ollama
    return Model(
        name,
        name=title if isinstance(title, str) and title.isprintable() else None,
        window=first_size(
            meta.get("n_ctx_train"), *(row.get(key) for key in _WINDOWS), details.get("context_length")
        ),
        loaded=first_size(meta.get("n_ctx"), row.get("loaded_context_length")),
        max_output=_output(row),
        vision=_vision(row),
        tools=_tools(row),
        thinking=_thinking(row),
        efforts=_efforts(row),
        remote=True if row.get("remote_host") else None,  # Ollama: a model of its cloud's
    )


def member(value: Any, key: str) -> dict[str, Any]:
    """A member that is an object; an empty one where it isn't."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def first_size(*sizes: Any) -> int | None:
    """The first that is a size; true is an int too."""
    return next((size for size in sizes if type(size) is int and size > 0), None)


def says(value: Any) -> bool | None:
    """A yes or no, plain or as Anthropic's ``{"supported": true}``."""
    found = value.get("supported") if isinstance(value, dict) else value
    return found if isinstance(found, bool) else None


def listed(names: Any, name: str) -> bool | None:
    """Whether a list of abilities has one; None where there is no list."""
    return name in names if isinstance(names, list) and names else None


def first_word(*answers: bool | None) -> bool | None:
    """The first that is one."""
    return next((answer for answer in answers if answer is not None), None)


# Where abilities are a list of words, what isn't listed is only not known: servers that imitate Ollama's list say
# ``completion`` and nothing more of any model (llama.cpp, 2026-11), LM Studio lists what a model was trained for.


def _output(row: dict[str, Any]) -> int | None:
    # Anthropic's; elsewhere the name may stand for the window.
    own = row.get("max_tokens") if row.get("type") == "model" else None
    return first_size(
        member(row, "top_provider").get("max_completion_tokens"), row.get("max_completion_tokens"), own
    )


def _vision(row: dict[str, Any]) -> bool | None:
    able = row.get("capabilities")
    return first_word(
        {"vlm": True, "llm": False}.get(str(row.get("type"))),
        listed(able, "vision") or None,
        says(member(row, "capabilities").get("vision")),
        says(member(row, "capabilities").get("image_input")),
        listed(member(row, "architecture").get("input_modalities"), "image"),
        listed(row.get("input_modalities"), "image"),
        says(row.get("supports_image_in")),
    )


def _tools(row: dict[str, Any]) -> bool | None:
    able = row.get("capabilities")
    return first_word(
        listed(able, "tools") or listed(able, "tool_use") or None,
        says(member(row, "capabilities").get("function_calling")),
        listed(row.get("supported_parameters"), "tools"),
    )


def _thinking(row: dict[str, Any]) -> bool | None:
    return first_word(
        listed(row.get("capabilities"), "thinking") or None,
        says(member(row, "capabilities").get("thinking")),
        listed(row.get("supported_parameters"), "reasoning"),
        says(row.get("supports_reasoning")),
        True if row.get("supported_reasoning_levels") else None,
    )


def _efforts(row: dict[str, Any]) -> tuple[str, ...] | None:
    found = (each.get("effort") for each in rows(row, "supported_reasoning_levels"))  # Codex
    return tuple(each for each in found if isinstance(each, str)) or None
