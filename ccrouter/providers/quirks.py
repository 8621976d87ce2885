"""How a backend's wires differ from the book, as data: chat and responses, where nothing else is said. Each row of
`presets` says its own.

What is said of ``schema`` holds of its Messages endpoint too.

The names of the choices are what is sent, wherever there is such a thing.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from attrs import evolve, frozen

T = TypeVar("T")

#: How thinking is asked for: not at all; ``reasoning_effort``; ``thinking: {type}`` (DeepSeek, GLM, Kimi), with
#: ``reasoning_effort`` beside it where there are ``efforts``; ``reasoning: {effort}`` (OpenRouter);
#: Gemini's ``extra_body.google.thinking_config``.
Ask = Literal["none", "reasoning_effort", "thinking", "reasoning", "google"]

#: How a model is asked to look at the reasoning of all its earlier turns, in ``thinking``: not at all;
#: ``clear_thinking: false`` (GLM); ``keep: "all"`` (Kimi).
Keep = Literal["none", "clear_thinking", "keep"]

#: How the client's cache marks are written: not at all; OpenAI's ``prompt_cache_breakpoint``; ``cache_control`` as
#: the client says it.
Marks = Literal["none", "openai", "anthropic"]

#: What goes back of a model's own reasoning: nothing; a string field of the assistant's message; OpenRouter's
#: list as it came; Mistral's list of content; Gemini's signatures beside the calls.
Replay = Literal["none", "reasoning_content", "reasoning", "reasoning_details", "content", "google"]

#: What of JSON Schema is taken: what OpenAI's validator takes; what llama.cpp makes a grammar of; Gemini's subset.
SchemaTerms = Literal["full", "plain", "gemini"]


@frozen(kw_only=True)
class Quirks:
    """Facts about one vendor's wire. The defaults are what most compatible servers take."""

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    ask: Ask = "none"
    model_asks: tuple[tuple[str, Ask], ...] = ()
    """The same for single models, by how their names begin."""
    thinking_on: Literal["enabled", "adaptive"] = "enabled"
    """The ``type`` of ``thinking`` that is on."""
    keep_thinking: Keep = "none"
    keeping_models: tuple[str, ...] = ("",)
    """How the names of models begin that can be told so."""
    reasoning_split: bool = False
    """``reasoning_split: true`` tells reasoning apart from the text (MiniMax)."""
    efforts: tuple[str, ...] = ("low", "medium", "high")
    """The words for effort, weakest first; a stronger one than there is becomes the strongest."""
    model_efforts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """The same for single models, by how their names begin; none: they can't be asked in words."""
    levelled_models: tuple[str, ...] = ()
    """How the names of models begin that take a word for effort on Ollama's own wire; others take on and off."""
    replay: Replay = "none"
    forgetful_models: tuple[str, ...] = ()
    """How the names of models begin that are given no reasoning back: a backend's own, but of another model."""
    replay_always: bool = False
    """The field must be there on every assistant message, be it blank (400 once there are calls)."""
    system_role: Literal["system", "developer"] = "system"
    later_system: Literal["system", "developer", "user"] = "user"
    """The role of system messages in mid-conversation; ``user`` for chat templates that take one at the start. On
    the Messages wire, too, but for Claude, which takes them wherever it is served."""
    stream_options: bool = True
    """``stream_options: {include_usage: true}`` is understood."""
    images: bool = True
    result_images: bool = False
    """Tool messages may hold images; otherwise they follow in a user message."""
    files: bool = False
    """PDFs are taken as ``file`` parts."""
    file_links: bool = False
    """On the chat wire, a file's URL is taken in place of its data. Responses takes it wherever it takes files."""
    spaced_models: tuple[str, ...] = ()
    """How the names of models begin that take no user's message right behind a tool's: a short one of the
    assistant's is put between (Mistral: 400 "Unexpected role 'user' after role 'tool'", code 3230)."""
    prefix: bool = False
    """An answer that the client has begun must say ``prefix: true`` (Mistral)."""
    parallel_tool_calls: bool = True
    tool_choices: frozenset[str] = frozenset({"auto", "none", "required", "function"})
    """Which forms of ``tool_choice`` are taken."""
    tools_always: bool = False
    """``tools``, ``tool_choice`` and ``parallel_tool_calls`` must be there also where there is no tool; on the
    Responses wire."""
    strict_tools: bool = False
    """Tools may say ``strict``."""
    stops: int = 4
    """How many stop sequences are taken; 0 for none. The router cuts at the others itself."""
    response_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    cache_key: bool = False
    """``prompt_cache_key`` is understood."""
    cache_marks: Marks = "none"
    marked_models: tuple[str, ...] = ("",)
    """How the names begin of the models that take ``cache_marks``; ``gpt-5.6+``: from this version on."""
    result_marks: bool = True
    """Tool messages may hold marks."""
    session_headers: tuple[str, ...] = ()
    """Headers in which the backend wants an id of the conversation."""
    call_ids: Literal["any", "nine"] = "any"
    """Ids of calls: any up to 64 characters, or exactly nine letters and digits (Mistral)."""
    schema: SchemaTerms = "full"
    """What of JSON Schema tools and forms of answers may use."""
    sampling: bool = True
    """``temperature`` and ``top_p`` are taken."""
    reasoning_apart: bool = False
    """Reasoning tokens are counted beside ``completion_tokens``, not in them (xAI)."""

    # On the Responses wire only.

    max_output_tokens: bool = True
    """``max_output_tokens`` is understood."""
    obfuscation: bool = False
    """``stream_options: {include_obfuscation: false}`` is understood, and saves bytes."""
    web_search: bool = False
    """The backend searches the web itself, asked by a tool of the type ``web_search``."""
    search_refuses: tuple[str, ...] = ()
    """Words for effort that are refused beside a search."""
    search_sources: bool = False
    """``include: ["web_search_call.action.sources"]`` is understood."""
    plain_models: tuple[str, ...] = ()
    """How the names of models begin that refuse to be asked for reasoning; on both wires."""

    def of(self, model: str) -> Quirks:
        """As they are for one model."""
        return evolve(
            self,
            ask=_row(self.model_asks, model, self.ask),
            efforts=_row(self.model_efforts, model, self.efforts),
            keep_thinking=self.keep_thinking if model.startswith(self.keeping_models) else "none",
            replay="none" if model.startswith(self.forgetful_models) else self.replay,
        )


def _row(rows: tuple[tuple[str, T], ...], model: str, else_: T) -> T:
    """What the row with the longest beginning of a model's name says."""
    found = [row for row in rows if f"{model}-".startswith(f"{row[0]}-")]
    return max(found, key=lambda row: len(row[0]), default=(model, else_))[1]
