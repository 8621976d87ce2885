"""The kinds of backends that ccrouter knows, as a table.

To add a vendor that speaks the Messages API, add a row: where it is, where its key stands, which of the
optional endpoints it has, and what it refuses. Each row says when and from what its facts were taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ccrouter.providers.provider import Preset

_COUNT = "/v1/messages/count_tokens"

#: A verdict of Anthropic's own on the safety of a tool call. Nobody else can give it, and to leave the field out
#: would make the client wait for one; told that the field is unknown, it asks in ordinary requests instead.
_VERDICTS = ("safeguards",)

_ROWS = (
    Preset(
        name="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com",
        auth="client",
        key_env=("ANTHROPIC_API_KEY",),
        key_required=True,
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
        local=True,
        refuse_fields=_VERDICTS,
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
        refuse_fields=_VERDICTS,
        noted="2026-11: its documents name the bearer, clients in the wild send x-api-key",
    ),
    Preset(
        name="lmstudio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234",
        auth="bearer",
        probe=True,
        local=True,
        refuse_fields=_VERDICTS,
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
        local=True,
        refuse_fields=_VERDICTS,
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
        local=True,
        refuse_fields=_VERDICTS,
        noted="2026-11: ignores fields that it does not know; errors have an envelope of their own",
    ),
    Preset(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api",
        auth="bearer",
        key_env=("OPENROUTER_API_KEY",),
        key_required=True,
        refuse_fields=_VERDICTS,
        noted="2026-11: bearer only, an x-api-key beside it is an error",
    ),
    Preset(
        name="zai",
        title="z.ai",
        base_url="https://api.z.ai/api/anthropic",
        auth="bearer",
        key_env=("ZAI_API_KEY", "Z_AI_API_KEY"),
        key_required=True,
        models_path=None,
        refuse_fields=_VERDICTS,
        noted="2026-11: no list of models under this base; GLM names",
    ),
    Preset(
        name="minimax",
        title="MiniMax",
        base_url="https://api.minimax.io/anthropic",
        auth="bearer",
        key_env=("MINIMAX_API_KEY",),
        key_required=True,
        models_path=None,
        refuse_fields=_VERDICTS,
        noted="2026-11: api.minimaxi.com in China",
    ),
    Preset(
        name="moonshot",
        title="Moonshot",
        base_url="https://api.moonshot.ai/anthropic",
        auth="bearer",
        key_env=("MOONSHOT_API_KEY",),
        key_required=True,
        models_path=None,
        refuse_fields=_VERDICTS,
        noted="2026-11: api.moonshot.cn in China",
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
        refuse_fields=_VERDICTS,
        noted="2026-11: x-api-key on the Anthropic endpoint, a bearer on the list of models",
    ),
    Preset(
        name="litellm",
        title="LiteLLM",
        auth="bearer",
        key_env=("LITELLM_API_KEY",),
        count_path=_COUNT,
        refuse_fields=_VERDICTS,
        noted="2026-11",
    ),
    Preset(
        name="messages",
        title="Anthropic-format endpoint",
        auth="both",
        count_path=_COUNT,
        refuse_fields=_VERDICTS,
        noted="both forms of the key, as Claude Code itself does for a gateway whose kind it does not know",
    ),
    Preset(
        name="demo",
        title="ccrouter demo",
        base_url="http://demo.invalid",
        transport="demo",
        local=True,
        keep_attribution=True,
        noted="built in; answers without a network",
    ),
)

#: Name -> preset, in the order in which they are listed to users.
PRESETS: Mapping[str, Preset] = MappingProxyType({row.name: row for row in _ROWS})
