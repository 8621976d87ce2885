"""The kinds of backends that ccrouter knows, as a table.

To add a vendor that speaks the Messages API, add a row: where it is, where its key stands, which of the
optional endpoints it has, and what it refuses. Each row says when and from what its facts were taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ccrouter.providers.openai_format import CHAT, OPENAI_FORMAT, VERDICTS
from ccrouter.providers.provider import Preset
from ccrouter.providers.quirks import Quirks

#: docs.z.ai, "Errors", 2026-11. Resets are told without a time zone, so that no ``retry-after`` comes of them.
_GLM_CODES = (
    *((code, 401) for code in ("1000", "1001", "1002", "1003", "1004")),
    *((code, 403) for code in ("1110", "1111", "1112", "1121", "1220", "1311", "1313")),
    *((code, 402) for code in ("1113", "1304", "1308", "1309", "1310")),
    *((code, 400) for code in ("1210", "1212", "1213", "1214", "1215", "1300", "1301")),
    *((code, 404) for code in ("1211", "1221", "1222")),
    ("1261", 413),
    *((code, 429) for code in ("1302", "1303", "1305")),
    ("1312", 529),
)

#: platform.minimax.io, "Error Codes", 2026-11; 1039 is told as "token limit, retry later", a rate of tokens.
_MINIMAX_CODES = (
    *((code, 500) for code in ("1000", "1024", "1033")),
    ("1001", 504),
    *((code, 429) for code in ("1002", "1039", "1041", "2045")),
    *((code, 401) for code in ("1004", "2049")),
    *((code, 402) for code in ("1008", "2056")),
    *((code, 400) for code in ("1026", "1027", "1042", "2013")),
)

#: Blocks of Messages that everybody takes who speaks it at all.
_SPOKEN = frozenset({"text", "image", "tool_use", "tool_result", "thinking"})
_SEARCHED = _SPOKEN | {"server_tool_use", "web_search_tool_result"}
#: Of a vendor whose documents don't tell: all but what only Anthropic itself can do anything with, such as
#: containers, compaction and redacted thinking (2026-11).
_COMMON = _SEARCHED | {"document", "search_result", "tool_reference"}

_V1_CHAT = "/v1/chat/completions"
_COUNT = "/v1/messages/count_tokens"

_OLLAMA_CHAT = "/api/chat"
#: anthropic.go, convertTool, 2026-11: any other becomes a function without parameters.
_OLLAMA_RUNS = ("web_search",)
#: On its own wire a word for effort is an error of every model but gpt-oss (0.14; later ones take it, 2026-11).
#: A ``true`` among the properties is no ``ToolProperty``: can1357/oh-my-pi#4488 (2026-07).
_OLLAMA = Quirks(ask="reasoning_effort", replay="reasoning", levelled_models=("gpt-oss",), schema="plain")

_ROWS = (
    Preset(
        name="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com",
        plan="unified",
        auth="client",
        key_env=("ANTHROPIC_API_KEY",),
        key_required=True,
        log_in="the Claude login or key was refused: run `claude /login`",
        count_path=_COUNT,
        first_party=True,
        keep_attribution=True,
        noted="2026-11, platform.claude.com",
    ),
    Preset(
        name="foundry",
        title="Claude in Azure AI Foundry",
        auth="x-api-key",
        key_env=("ANTHROPIC_FOUNDRY_API_KEY",),
        key_required=True,
        count_path=_COUNT,
        models_path=None,
        first_party=True,
        keep_attribution=True,
        noted="2026-11, anthropic SDK 2.11.0; Claude Code sends it the attribution block too; no list of models",
    ),
    Preset(
        name="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434",
        auth="bearer",
        models_path="/api/tags",
        listing="ollama",
        probe=True,
        blocks=_SEARCHED,
        image_links=False,
        # anthropic.go of its first versions (fe9298a); of later ones the same prompt comes either way.
        results_last=True,
        server_tools=_OLLAMA_RUNS,
        refuse_fields=VERDICTS,
        facts_from="ollama",
        overflow="truncates",
        widen="set its num_ctx in the configuration, or OLLAMA_CONTEXT_LENGTH where `ollama serve` runs",
        chat_path=_V1_CHAT,
        ollama_path=_OLLAMA_CHAT,
        quirks=_OLLAMA,
        noted="2026-11, ollama fb30760: /v1/messages since 0.14, no count_tokens; a bearer for proxies in front",
    ),
    Preset(
        name="ollama-cloud",
        title="Ollama Cloud",
        base_url="https://ollama.com",
        auth="both",
        key_env=("OLLAMA_API_KEY",),
        key_required=True,
        models_path="/api/tags",
        listing="ollama",
        blocks=_SEARCHED,
        image_links=False,
        server_tools=_OLLAMA_RUNS,
        refuse_fields=VERDICTS,
        facts_from="ollama-show",
        overflow="truncates",
        chat_path=_V1_CHAT,
        ollama_path=_OLLAMA_CHAT,
        quirks=_OLLAMA,
        noted="2026-11: its documents name the bearer, clients in the wild send x-api-key",
    ),
    Preset(
        name="lmstudio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234",
        auth="bearer",
        probe=True,
        blocks=_COMMON,
        refuse_fields=VERDICTS,
        facts_from="lmstudio",
        overflow="fails",
        widen="load it with a larger context length",
        chat_path=_V1_CHAT,
        responses_path="/v1/responses",
        quirks=Quirks(schema="plain"),  # its engine is llama.cpp: codefuturist/email-mcp#58 (2026-07)
        noted="2026-11: /v1/messages since 0.4.1; a token is optional",
    ),
    Preset(
        name="vllm",
        title="vLLM",
        base_url="http://127.0.0.1:8000",
        auth="bearer",
        key_env=("VLLM_API_KEY",),
        count_path=_COUNT,
        probe=True,
        owner="vllm",
        blocks=_SPOKEN | {"tool_reference", "redacted_thinking"},
        refuse_fields=VERDICTS,
        facts_from="list",
        chat_path=_V1_CHAT,
        # Mistral's own tokenizer checks the roles there, too: mistralai/mistral-vibe#578 (2026-04).
        quirks=Quirks(ask="reasoning_effort", replay="reasoning", spaced_models=("mistralai/",)),
        noted="2026-11, vLLM 0.32: ignores fields that it does not know",
    ),
    Preset(
        name="llamacpp",
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080",
        auth="bearer",
        key_env=("LLAMA_API_KEY",),
        count_path=_COUNT,
        probe=True,
        owner="llamacpp",
        blocks=_SPOKEN,
        # server-common.cpp, convert_anthropic_to_oai, 2026-11: a template then sees calls without results.
        results_last=True,
        server_tools=(),  # there, too: a function without parameters comes of any
        refuse_fields=VERDICTS,
        facts_from="llamacpp",
        overflow="fails",
        widen="start the server with a larger --ctx-size",
        chat_path=_V1_CHAT,
        responses_path="/v1/responses",
        # mezmo/aura#358, ggml-org/llama.cpp#26930 (2026-08): no grammar of ``true``, nor of most patterns.
        quirks=Quirks(result_images=True, replay="reasoning_content", schema="plain"),
        noted="2026-11: ignores fields that it does not know; errors have an envelope of their own",
    ),
    Preset(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api",
        auth="bearer",
        key_env=("OPENROUTER_API_KEY",),
        key_required=True,
        relays=("anthropic/", "~anthropic/", "claude"),
        refuse_fields=VERDICTS,
        facts_from="list",
        chat_path=_V1_CHAT,
        quirks=Quirks(
            ask="reasoning",
            replay="reasoning_details",
            files=True,
            file_links=True,
            spaced_models=("mistralai/",),  # zed-industries/zed#37021 (2025-08 to 2026-04)
            cache_marks="anthropic",
            marked_models=("anthropic/", "google/gemini-", "openai/gpt-5.6+"),
        ),
        noted="2026-11: bearer only, an x-api-key beside it is an error; it translates cache_control itself",
    ),
    Preset(
        name="zai",
        title="z.ai",
        base_url="https://api.z.ai",
        auth="bearer",
        key_env=("ZAI_API_KEY", "Z_AI_API_KEY"),
        key_required=True,
        codes=_GLM_CODES,
        messages_path="/api/anthropic/v1/messages",
        models_path=None,
        blocks=_COMMON,
        refuse_fields=VERDICTS,
        chat_path="/api/coding/paas/v4/chat/completions",
        quirks=Quirks(
            ask="thinking",
            efforts=(),
            keep_thinking="clear_thinking",
            replay="reasoning_content",
            tool_choices=frozenset({"auto"}),
            parallel_tool_calls=False,
            stops=1,
            stream_options=False,
            response_format="json_object",
        ),
        noted="2026-11: GLM names, no list of models; without the coding plan base_url is https://api.z.ai/api/paas/v4",
    ),
    Preset(
        name="minimax",
        title="MiniMax",
        base_url="https://api.minimax.io",
        auth="bearer",
        key_env=("MINIMAX_API_KEY",),
        key_required=True,
        codes=_MINIMAX_CODES,
        messages_path="/anthropic/v1/messages",
        models_path=None,
        blocks=_COMMON,
        refuse_fields=VERDICTS,
        chat_path=_V1_CHAT,
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            ask="thinking",
            thinking_on="adaptive",
            efforts=(),
            reasoning_split=True,
            replay="reasoning_details",
            tool_choices=frozenset(),
            parallel_tool_calls=False,
            response_format="none",
        ),
        noted="2026-11: api.minimaxi.com in China; M2 thinks always; tool_choice and response_format undocumented",
    ),
    Preset(
        name="moonshot",
        title="Moonshot",
        base_url="https://api.moonshot.ai",
        auth="bearer",
        key_env=("MOONSHOT_API_KEY",),
        key_required=True,
        messages_path="/anthropic/v1/messages",
        blocks=_COMMON,
        # 2026: claudian#759 on this endpoint; llmgateway#2093, pi#4178 on the chat wire.
        thinks_at_calls=True,
        refuse_fields=VERDICTS,
        facts_from="list",
        chat_path=_V1_CHAT,
        quirks=Quirks(
            max_tokens="max_completion_tokens",
            ask="thinking",
            efforts=(),
            # platform.kimi.ai, "Reasoning Effort", 2026-08, as told in theopenco/llmgateway#3378 and
            # NousResearch/hermes-agent#69648: in place of the switch, which it no longer takes.
            model_asks=(("kimi-k3", "reasoning_effort"),),
            model_efforts=(("kimi-k3", ("low", "high", "max")),),
            # Its "Using Thinking Models", 2026-06: else what comes back is not read. Of this model alone:
            # openclaw/openclaw#68816 (2026-04), can1357/oh-my-pi#1839 (2026-06), rikkahub/rikkahub#1593 (2026-07).
            keep_thinking="keep",
            keeping_models=("kimi-k2.6",),
            plain_models=("kimi-k2.7-code", "moonshot-v1"),
            replay="reasoning_content",
            replay_always=True,
            tool_choices=frozenset({"auto", "none"}),
            parallel_tool_calls=False,
            response_format="json_object",
            sampling=False,
        ),
        noted="2026-11: api.moonshot.cn in China; k2.7-code and k3 think always, Kimi's sampling is fixed",
    ),
    Preset(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        auth="both",
        key_env=("DEEPSEEK_API_KEY",),
        key_required=True,
        messages_path="/anthropic/v1/messages",
        models_path="/models",
        # api-docs.deepseek.com, "Messages API", 2026-11: calls whose thinking it can't restore are refused.
        blocks=_SEARCHED,
        thinks_at_calls=True,
        refuse_fields=VERDICTS,
        chat_path=CHAT,
        quirks=Quirks(
            ask="thinking",
            efforts=("low", "high", "max"),
            replay="reasoning_content",
            replay_always=True,
            images=False,
            tool_choices=frozenset({"auto", "none"}),
            response_format="json_object",
        ),
        noted="2026-11: x-api-key on the Anthropic endpoint, a bearer on the list of models",
    ),
    Preset(
        name="litellm",
        title="LiteLLM",
        auth="bearer",
        key_env=("LITELLM_API_KEY",),
        count_path=_COUNT,
        relays=("claude", "anthropic/", "bedrock/anthropic", "vertex_ai/claude"),
        refuse_fields=VERDICTS,
        chat_path=_V1_CHAT,
        responses_path="/v1/responses",
        quirks=Quirks(
            cache_marks="anthropic",
            marked_models=("claude", "anthropic/", "bedrock/anthropic", "vertex_ai/claude"),
            result_marks=False,
        ),
        noted="2026-11: said to copy a tool message's cache mark into a result's content, which Anthropic refuses",
    ),
    Preset(
        name="messages",
        title="Anthropic-format endpoint",
        auth="both",
        count_path=_COUNT,
        # Nobody knows what is behind it: to take it for Anthropic is safe, but where chat templates fail at that.
        relays=("",),
        relayed_names=("claude", "opus", "sonnet", "haiku", "fable"),
        refuse_fields=VERDICTS,
        noted="both forms of the key, as Claude Code itself does for a gateway whose kind it does not know",
    ),
    *OPENAI_FORMAT,
    Preset(
        name="demo",
        title="ccrouter demo",
        base_url="http://demo.invalid",
        transport="demo",
        keep_attribution=True,
        quirks=Quirks(later_system="system"),
        noted="built in; answers without a network",
    ),
)

#: Name -> preset, in the order in which they are listed to users.
PRESETS: Mapping[str, Preset] = MappingProxyType({row.name: row for row in _ROWS})
