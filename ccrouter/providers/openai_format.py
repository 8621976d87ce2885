"""The kinds of backends that speak OpenAI's formats, Chat Completions or Responses: rows of `presets`.

To add a vendor that is compatible, add a row. What differs from the book is said in its `Quirks`.
"""

from __future__ import annotations

from functools import partial

from ccrouter.providers.provider import Preset
from ccrouter.providers.quirks import Quirks

#: OpenAI's base URL ends in a version; those that copied it expect users to give theirs so.
CHAT = "/chat/completions"

#: The release of Codex whose requests ours are like (2026-11); the list of models hides what is newer.
CODEX_RELEASE = "0.169.0"

#: A verdict of Anthropic's own on the safety of a tool call. Nobody else can give it, and to leave the field out
#: would make the client wait for one; told that the field is unknown, it asks in ordinary requests instead.
VERDICTS = ("safeguards",)

_LOW_TO_HIGH = ("low", "medium", "high")
_LOW_TO_XHIGH = (*_LOW_TO_HIGH, "xhigh")

#: Which words for effort OpenAI's models take; another one is a 400 that names them (``unsupported_value``). From
#: those errors as people reported them and from the models' pages, 2025-09 to 2026-11: openai/codex#6647 for
#: gpt-5.1-codex, openai/openai-agents-python#2089 for gpt-5.1, and so on. Newer models than these: all words.
_OPENAI_EFFORTS = (
    *((name, _LOW_TO_HIGH) for name in ("o1", "o3", "o4-mini")),
    ("gpt-5", ("minimal", *_LOW_TO_HIGH)),
    ("gpt-5-pro", ("high",)),
    ("gpt-5-codex", _LOW_TO_HIGH),
    ("gpt-5.1", ("none", *_LOW_TO_HIGH)),
    ("gpt-5.1-codex", _LOW_TO_HIGH),
    ("gpt-5.1-codex-mini", ("medium", "high")),
    ("gpt-5.1-codex-max", _LOW_TO_XHIGH),
    *((f"gpt-5.{minor}-codex", _LOW_TO_XHIGH) for minor in (2, 3)),
    *((f"gpt-5.{minor}", ("none", *_LOW_TO_XHIGH)) for minor in (2, 4, 5)),
    *((f"gpt-5.{minor}-pro", ("medium", "high", "xhigh")) for minor in (2, 4, 5)),
    *((f"gpt-5.{minor}-chat", ("medium",)) for minor in (1, 2, 3)),
    ("gpt-5.6", ("none", *_LOW_TO_XHIGH, "max")),
)

#: The same of xAI's: most of its models think, and refuse any word for how much. NousResearch/hermes-agent#23435,
#: tried there against the vendor on 2026-05-10; chenyme/grok2api#814 (2026-07); docs.x.ai, "Reasoning", 2026-08.
_XAI_EFFORTS = (
    *((name, ()) for name in ("grok-3", "grok-4", "grok-4.1", "grok-4.20", "grok-code-fast")),
    ("grok-3-mini", ("low", "high")),
    ("grok-4.20-multi-agent", _LOW_TO_XHIGH),
    ("grok-4.3", ("none", *_LOW_TO_HIGH)),
    ("grok-4.5", _LOW_TO_HIGH),
    ("grok-4.6", _LOW_TO_XHIGH),
)

#: The same of Mistral's: a switch rather than a measure, of the models that can think; any other refuses it (400,
#: code 3051). docs.mistral.ai, "Adjustable reasoning", 2026; tried against the vendor in anomalyco/models.dev#1986
#: (2026-06), withceleste/celeste-python#311 (2026-07). What mistral-medium-latest means changed between the two.
_MISTRAL_EFFORTS = tuple(
    (name, ("none", "high"))
    for name in (
        "mistral-small-latest",
        "mistral-small-2603",
        "mistral-medium-3-5",
        "mistral-medium-2604",
        "magistral-small-latest",
    )
)

#: A hosted vendor that is compatible, with a key of its own.
_vendor = partial(
    Preset,
    auth="bearer",
    key_required=True,
    wire="chat",
    messages_path=None,
    chat_path=CHAT,
    models_path="/models",
    refuse_fields=VERDICTS,
)

# Who searches the web by Responses' ``web_search``, and since when that is documented:
#
# openai      OpenAI, "Web search"; refused beside the effort ``minimal`` (2025-08)
# codex       on by default in its own client since 2026-01-28 (openai/codex#8575), by the same tool
# azure       learn.microsoft.com, "Web search" of its Responses API (2026); an admin can block it
# xai         docs.x.ai, "Web Search" (2026-04): on Responses only, Chat Completions has none any more
#
# All others are refused a search, since none takes it in this form (2026-11): there is no common one on the chat
# wire (OpenRouter's plugins, GLM's and Kimi's tools of their own types, Groq's for single models), Gemini's and
# Mistral's chat wires have none at all, and local servers and gateways run no tools unless somebody adds them.

OPENAI_FORMAT = (
    Preset(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        auth="bearer",
        key_env=("OPENAI_API_KEY",),
        key_required=True,
        wire="responses",
        messages_path=None,
        chat_path=CHAT,
        responses_path="/responses",
        responses_count_path="/responses/input_tokens",
        models_path="/models",
        refuse_fields=VERDICTS,
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            ask="reasoning_effort",
            efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
            model_efforts=_OPENAI_EFFORTS,
            system_role="developer",
            later_system="developer",
            files=True,
            strict_tools=True,
            stops=0,
            cache_key=True,
            cache_marks="openai",
            marked_models=("gpt-5.6+",),
            sampling=False,
            obfuscation=True,
            web_search=True,
            search_refuses=("minimal",),
            search_sources=True,
            plain_models=("gpt-4", "gpt-3.5", "chatgpt-", "gpt-5-chat"),
        ),
        noted="2026-11, openai SDK 3.52.0, the count from its resources; gpt-5 and o-series: no stop, no sampling",
    ),
    Preset(
        name="codex",
        title="ChatGPT subscription (Codex login)",
        base_url="https://chatgpt.com/backend-api/codex",
        auth="codex",
        plan="codex",
        log_in="the Codex login was refused: run `codex login`",
        wire="responses",
        messages_path=None,
        responses_path="/responses",
        models_path=f"/models?client_version={CODEX_RELEASE}",
        listing="codex",
        refuse_fields=VERDICTS,
        quirks=Quirks(
            ask="reasoning_effort",
            efforts=(*_LOW_TO_XHIGH, "max"),
            # Its own list of models says better; it never names ``none``.
            model_efforts=tuple(
                (name, tuple(word for word in words if word != "none")) for name, words in _OPENAI_EFFORTS
            ),
            system_role="developer",
            later_system="developer",
            stops=0,
            files=True,
            tool_choices=frozenset({"auto"}),
            cache_key=True,
            session_headers=("session-id", "thread-id", "x-client-request-id"),
            sampling=False,
            max_output_tokens=False,
            tools_always=True,
            web_search=True,
            search_refuses=("minimal",),
        ),
        noted="2026-11: refuses limits, sampling, cache marks; an old client_version hides models",
    ),
    _vendor(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_env=("MISTRAL_API_KEY",),
        facts_from="list",
        # The order of roles: avante-corp/avante.nvim#2695 (2025-09), datapizza-labs/datapizza-ai#98 (2025-12),
        # NousResearch/hermes-agent#20154 (2026-05).
        quirks=Quirks(
            ask="reasoning_effort",
            efforts=(),
            model_efforts=_MISTRAL_EFFORTS,
            replay="content",
            stream_options=False,
            call_ids="nine",
            strict_tools=True,
            spaced_models=("",),
            prefix=True,
        ),
        noted="2026-11: refuses fields that it does not know; roles stand in a strict order",
    ),
    _vendor(
        name="gemini",
        title="Gemini API",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        quirks=Quirks(ask="google", replay="google", schema="gemini"),
        noted="2026-11: its OpenAI form; a call of another model needs the word that skips its validator",
    ),
    _vendor(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        key_env=("XAI_API_KEY",),
        responses_path="/responses",
        quirks=Quirks(
            ask="reasoning_effort",
            model_efforts=_XAI_EFFORTS,
            reasoning_apart=True,
            replay="reasoning_content",
            stops=0,
            web_search=True,
        ),
        noted="2026-11: reasoning tokens stand beside completion_tokens; its Anthropic layer is deprecated",
    ),
    _vendor(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_env=("GROQ_API_KEY",),
        facts_from="list",
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            ask="reasoning_effort",
            plain_models=("qwen/", "llama", "meta-llama/", "moonshotai/"),
            replay="reasoning",
            # "reasoning is not supported with this model": vercel/ai#8056 (2025-08),
            # musistudio/claude-code-router#1204 (2026-02).
            forgetful_models=("llama", "meta-llama/", "moonshotai/"),
        ),
        # The model slipped in writing a call: sst/opencode#1018, pydantic/pydantic-ai#2774. Asking anew helps.
        codes=(("tool_use_failed", 502),),
        noted="2026-11: usage also in x_groq; Qwen's efforts are none and default, Llama and Kimi refuse any",
    ),
    _vendor(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_env=("CEREBRAS_API_KEY",),
        quirks=Quirks(
            max_tokens="max_completion_tokens", ask="reasoning_effort", images=False, replay="reasoning"
        ),
        noted="2026-11: text only",
    ),
    Preset(
        name="azure",
        title="Azure OpenAI",
        auth="bearer",
        key_env=("AZURE_OPENAI_API_KEY",),
        key_required=True,
        wire="responses",
        messages_path=None,
        chat_path=CHAT,
        responses_path="/responses",
        models_path=None,
        refuse_fields=VERDICTS,
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            ask="reasoning_effort",
            model_efforts=_OPENAI_EFFORTS,
            system_role="developer",
            later_system="developer",
            stops=0,
            sampling=False,
            web_search=True,
            search_refuses=("minimal",),
            plain_models=("gpt-4", "gpt-35", "gpt-3.5", "gpt-5-chat"),
        ),
        noted="2026-11: base_url https://RESOURCE.openai.azure.com/openai/v1, the model is the deployment's name",
    ),
    Preset(
        name="chat",
        title="OpenAI-format endpoint",
        auth="bearer",
        wire="chat",
        messages_path=None,
        chat_path=CHAT,
        models_path="/models",
        refuse_fields=VERDICTS,
        noted="what most servers that speak Chat Completions take",
    ),
    Preset(
        name="responses",
        title="Responses endpoint",
        auth="bearer",
        wire="responses",
        messages_path=None,
        chat_path=CHAT,
        responses_path="/responses",
        falls_back=True,
        models_path="/models",
        refuse_fields=VERDICTS,
        noted="what servers that speak Responses take; many of that name speak Chat Completions only",
    ),
)
