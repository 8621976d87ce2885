import json
import tomllib

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from ccrouter.errors import ConfigError
from ccrouter.providers import presets
from ccrouter.providers.address import url
from ccrouter.providers.provider import Model, Preset, Target, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal
from ccrouter.routing.config import Config, Profile
from ccrouter.routing.load import parse, project
from ccrouter.routing.profiles import Project
from ccrouter.routing.rules import Rule, When

PRESETS = {
    preset.name: preset
    for preset in (
        Preset(name="anthropic", title="A", base_url="https://api.anthropic.com", auth="client", key_required=True),
        Preset(name="ollama", title="O", base_url="http://127.0.0.1:11434", auth="bearer", ollama_path="/api/chat"),
        Preset(name="deepseek", title="D", base_url="https://d.example", auth="both", messages_path="/anthropic/v1/messages"),
        Preset(name="openrouter", title="R", base_url="https://r.example/api", auth="bearer", key_required=True),
        Preset(name="messages", title="M", auth="both"),
        Preset(name="plain", title="P", base_url="https://p.example/v1", messages_path="/messages"),
        Preset(name="both", title="B", chat_path="/v1/chat/completions"),
        Preset(name="demo", title="demo", base_url="http://demo.invalid", transport="demo"),
    )
}  # fmt: skip


def load(text):
    return parse(text, where="config.toml", presets=PRESETS)


def complaint(text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.__cause__ is None
    return str(caught.value)


def provider(body, name="work"):
    return load(f"[providers.{name}]\n{body}").providers[name]


# ------------------------------------------------------------------------------------------- what is accepted


def test_an_empty_file_is_the_configuration_of_defaults():
    assert load("") == Config()


def test_a_wire_is_the_presets_unless_another_one_is_said():
    url = 'base_url = "https://llm.example/v1/chat/completions"'
    assert provider(f'preset = "messages"\n{url}').spoken == "messages"
    chosen = provider(f'preset = "both"\nwire = "chat"\n{url}')
    assert (chosen.wire, chosen.spoken, chosen.base_url) == ("chat", "chat", "https://llm.example")


def test_how_a_model_is_loaded_decides_the_wire_of_that_model_alone():
    found = provider(
        'models = ["plain", { id = "wide", num_ctx = 65536 }, { id = "kept", keep_alive = "forever" }]', "ollama"
    )
    assert found.models[1:] == (Model("wide", num_ctx=65_536), Model("kept", keep_alive=float("inf")))
    assert [Target(found, name).wire for name in ("plain", "wide", "kept", "other")] == [
        "messages",
        "ollama",
        "ollama",
        "messages",
    ]
    own = provider('wire = "ollama"\nbase_url = "http://192.168.1.50:11434/api/chat"', "ollama")
    assert (own.spoken, own.base_url) == ("ollama", "http://192.168.1.50:11434")


@pytest.mark.parametrize("key", ["num_ctx = 1", "keep_alive = 0"])
@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ("vllm", "it is said by Ollama's own API only, which `vllm` does not speak; leave it out"),
        ("ollama-cloud", "the models of `ollama-cloud` are loaded by whoever runs them; leave it out"),
    ],
)
def test_how_a_model_is_loaded_can_be_said_to_one_kind_of_server(preset, words, key):
    text = f"[providers.{preset}]\nmodels = [\n'a',\n{{ id = 'b', {key} }}]"
    with pytest.raises(ConfigError) as caught:
        parse(text, where="config.toml", presets=presets.PRESETS)
    where = f"config.toml:4: providers.{preset}.models[1].{key.split()[0]}"
    assert str(caught.value) == f"{where}: {words}"


def test_a_wire_that_is_not_spoken_is_refused_with_those_that_are():
    words = complaint('[providers.ollama]\nwire = "responses"')
    assert words.startswith("config.toml:2: providers.ollama.wire: ")
    assert "messages" in words
    assert "there are: messages, chat, responses, ollama" in complaint('[providers.ollama]\nwire = "grpc"')


def test_every_key_of_the_contract_reaches_its_place():
    config = load("""
        default = "ollama"
        [server]
        host = "0.0.0.0"
        port = 0
        token = { env = "CCROUTER_TOKEN" }
        hosts = ["Router.lan"]
        drain = "0s"
        ping = 5
        commit_after = "250ms"
        max_connections = 7
        timeouts = { connect = "1s", first_byte = "1.5m", idle = 60.5, total = "1h" }
        [providers.anthropic]
        [providers.work]
        preset = "messages"
        timeouts = { idle = "90s" }
        base_url = "https://llm.example.com/base/"
        api_key = { command = ["op", "read", "op://x"], ttl = "1h" }
        models = ["qwen3-coder", { id = "glm-5", name = "GLM", window = 131072, vision = false }]
        headers = { "X-Team" = "core", "x-key" = { file = "~/key" } }
        [aliases]
        big = "openai:gpt-5.1"
        haiku = ["ollama:qwen3:8b", "big"]
        [demo]
        pace = 0
    """)
    server = config.server
    assert (config.default, server.host, server.port, server.token) == (
        "ollama",
        "0.0.0.0",
        0,
        FromEnv("CCROUTER_TOKEN"),
    )
    assert (server.hosts, server.drain, server.ping, server.commit_after) == (("router.lan",), 0, 5, 0.25)
    assert (server.max_connections, server.timeouts) == (7, Timeouts(1, 90, 60.5, 3600))
    assert list(config.providers) == ["anthropic", "work"]
    work = config.providers["work"]
    assert (work.preset, work.base_url) == (PRESETS["messages"], "https://llm.example.com/base")
    assert work.api_key == FromCommand(("op", "read", "op://x"), 3600)
    assert work.models == (Model("qwen3-coder"), Model("glm-5", "GLM", 131072, False))
    assert work.headers == (("x-team", Literal("core")), ("x-key", FromFile("~/key")))
    assert work.configured
    assert config.aliases == {"big": ("openai:gpt-5.1",), "haiku": ("ollama:qwen3:8b", "big")}
    assert config.demo.pace == 0


def test_a_name_that_is_a_preset_needs_nothing_more():
    assert provider("", "ollama").base_url == "http://127.0.0.1:11434"


def test_a_provider_takes_over_the_routers_timeouts_field_by_field():
    config = load("""
        [server.timeouts]
        connect = "1s"
        idle = "2s"
        [providers.ollama.timeouts]
        idle = "3s"
    """)
    assert config.providers["ollama"].timeouts == evolve(Timeouts(), connect=1, idle=3)


@pytest.mark.parametrize(
    ("preset", "written", "kept"),
    [
        ("messages", "https://x.example/", "https://x.example"),
        ("messages", "https://x.example/v1", "https://x.example"),
        ("messages", "https://x.example/v1/messages/", "https://x.example"),
        ("messages", "https://x.example/api/v1/v1/messages", "https://x.example/api"),
        ("messages", "https://x.example/av1", "https://x.example/av1"),
        ("messages", "https://v1", "https://v1"),
        ("messages", "HTTPS://X.Example:8443/Base", "https://x.example:8443/Base"),
        ("messages", "http://[::1]:8080", "http://[::1]:8080"),
        ("deepseek", "https://x.example/anthropic", "https://x.example"),
        ("both", "https://x.example/v1/chat/completions", "https://x.example"),
        ("both", "https://x.example/v1/messages", "https://x.example"),
        ("plain", "https://x.example/v1/messages", "https://x.example/v1"),
        ("plain", "https://x.example/v1", "https://x.example/v1"),
    ],
)
def test_a_base_url_that_says_too_much_is_trimmed_to_what_the_router_adds_to(preset, written, kept):
    assert provider(f'preset = "{preset}"\nbase_url = "{written}"').base_url == kept


@pytest.mark.parametrize(
    ("preset", "base_url", "wire", "address"),
    [
        (
            "deepseek",
            "https://api.deepseek.com/anthropic",
            "messages",
            "https://api.deepseek.com/anthropic/v1/messages",
        ),
        ("deepseek", "https://api.deepseek.com/anthropic", "chat", "https://api.deepseek.com/chat/completions"),
        ("deepseek", "https://api.deepseek.com/v1", "chat", "https://api.deepseek.com/v1/chat/completions"),
        (
            "moonshot",
            "https://api.moonshot.cn/anthropic",
            "messages",
            "https://api.moonshot.cn/anthropic/v1/messages",
        ),
        ("moonshot", "https://api.moonshot.cn/anthropic", "chat", "https://api.moonshot.cn/v1/chat/completions"),
        ("moonshot", "https://api.moonshot.cn/v1", "chat", "https://api.moonshot.cn/v1/chat/completions"),
        ("moonshot", "https://api.moonshot.cn/v1", "messages", "https://api.moonshot.cn/anthropic/v1/messages"),
        ("minimax", "https://api.minimaxi.com/anthropic", "chat", "https://api.minimaxi.com/v1/chat/completions"),
        ("zai", "https://api.z.ai/api/anthropic", "messages", "https://api.z.ai/api/anthropic/v1/messages"),
        ("zai", "https://api.z.ai/api/anthropic", "chat", "https://api.z.ai/api/coding/paas/v4/chat/completions"),
        (
            "zai",
            "https://api.z.ai/api/coding/paas/v4",
            "chat",
            "https://api.z.ai/api/coding/paas/v4/chat/completions",
        ),
        ("zai", "https://api.z.ai/api/paas/v4", "chat", "https://api.z.ai/api/paas/v4/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1", "chat", "https://openrouter.ai/api/v1/chat/completions"),
        ("openrouter", "https://openrouter.ai/api", "messages", "https://openrouter.ai/api/v1/messages"),
        ("vllm", "http://127.0.0.1:8000/v1", "messages", "http://127.0.0.1:8000/v1/messages"),
        ("openai", "https://api.openai.com/v1", "responses", "https://api.openai.com/v1/responses"),
    ],
)
def test_the_urls_that_vendors_document_lead_to_each_of_their_wires(preset, base_url, wire, address):
    text = f'[providers.{preset}]\nbase_url = "{base_url}"\nwire = "{wire}"'
    there = parse(text, where="config.toml", presets=presets.PRESETS).providers[preset]
    assert url(there, there.preset.path(there.spoken) or "") == address


def test_the_base_url_of_a_preset_stays_as_it_is():
    assert provider("", "plain").base_url == "https://p.example/v1"


@pytest.mark.parametrize("default", ["ollama", "work", "openrouter", "big", "ollama:qwen3:8b", "chain"])
def test_the_default_may_be_a_provider_a_preset_a_model_of_one_or_an_alias_for_that(default):
    text = f"""
        default = "{default}"
        [providers.work]
        preset = "messages"
        base_url = "https://x.example"
        [aliases]
        big = ["ollama:a", "work/b"]
        chain = "big"
    """
    assert load(text).default == default


# -------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server]\nprot = 1", "config.toml:2: server.prot: unknown key `prot`; did you mean `port`?"),
        ("\nport = 1", "config.toml:2: port: unknown key `port` here; it belongs into [server]"),
        ("[[routes]]\nuze = 'x'", "config.toml:2: routes[0].uze: unknown key `uze`; did you mean `use`?"),
        ("[profiles.x]\nroute = []", "config.toml:2: profiles.x.route: unknown key `route`; did you mean `routes`?"),
        ("[demo]\nx.y = 1", "config.toml:2: demo.x: unknown key `x`; known here: pace"),
        ("[server]\ntimeouts = { conect = 1 }", "config.toml:2: server.timeouts.conect: unknown key `conect`; did you mean `connect`?"),
        ("[server]\ntoken = { evn = 'X' }", "config.toml:2: server.token.evn: unknown key `evn`; did you mean `env`?"),
        ("[providers.ollama]\nmodels = [\n'a',\n{ id = 'b', windwo = 1 }]", "config.toml:4: providers.ollama.models[1].windwo: unknown key `windwo`; did you mean `window`?"),
        ("[server]\nport = '1'", "config.toml:2: server.port: must be a whole number from 0 to 65535, without quotes"),
        ("[server]\nport = true", "server.port: must be a whole number"),
        ("[server]\nport = 65536", "server.port: must be a whole number"),
        ("[server]\nmax_connections = 0", "must be a whole number from 1 to"),
        ("[server]\nping = 0", 'config.toml:2: server.ping: must be a duration such as "10s"'),
        ("[server]\nping = '10'", "must be a duration"),
        ("[server]\ndrain = -1", "must be a duration"),
        ("[server]\ndrain = nan", "must be a duration"),
        ("[server]\ndrain = inf", "must be a duration"),
        (f"[server]\ndrain = 1{'0' * 400}", "must be a duration"),
        ("[server]\ndrain = true", "must be a duration"),
        ("[server]\nhosts = 'a.lan'", "server.hosts: must be a list"),
        ("[server]\nhosts = ['a.lan', 'http://b.lan']", "server.hosts[1]: must be an address or a name"),
        ("server = 3", "config.toml:1: server: must be a table"),
        ("[[server]]", "config.toml:1: server: must be a table"),
        ("[server]\ntoken = 3", "server.token: must be a string, { env"),
        ("[server]\ntoken = ' x'", "server.token: is empty, has white space around it"),
        ("[server]\ntoken = {}", "server.token: must be exactly one of these"),
        ("[server]\ntoken = { env = 'A', file = 'b' }", "server.token: must be exactly one of these"),
        ("[server]\ntoken = { env = 'A', ttl = '1h' }", "server.token: must be exactly one of these"),
        ("[server]\ntoken = { ttl = '1h' }", "server.token: must be exactly one of these"),
        ("[server]\ntoken = { command = [] }", "server.token.command: must be a list: a program and its arguments"),
        ("[server]\ntoken = { command = 'op read' }", "server.token.command: must be a list"),
        ("[server]\ntoken = { env = 'sk-ant-1' }", "server.token.env: must be the name of an environment variable, not its value"),
        ("[providers.'a b']", 'config.toml:1: providers."a b": is no name for a provider'),
        ("[providers.olama]", "config.toml:1: providers.olama: `olama` is not the name of a preset, so it needs `preset`; did you mean `ollama`?"),
        ("[providers.w]\npreset = 'mesages'", "config.toml:2: providers.w.preset: there is no preset `mesages`; did you mean `messages`? There are: anthropic, "),
        ("[providers.messages]", "config.toml:1: providers.messages: needs `base_url`"),
        ("[providers.ollama]\nmodels = ['a', 'b',\n 'a']", "config.toml:3: providers.ollama.models[2]: `a` stands here twice"),
        ("[providers.ollama]\nmodels = [{ id = 'b', keep_alive = '1d' }]", 'config.toml:2: providers.ollama.models[0].keep_alive: must be a duration such as "30m"'),
        ("[providers.ollama]\nmodels = [{ window = 1 }]", "providers.ollama.models[0]: must be a name, or a table"),
        ("[providers.ollama]\nheaders = { Host = 'x' }", "providers.ollama.headers.Host: is a header that only the router itself may send"),
        ("[providers.ollama]\nheaders = { 'a b' = 'x' }", 'providers.ollama.headers."a b": is no name for a header'),
        ("[providers.ollama.headers]\nx-a = 'x'\nX-A = 'y'", "config.toml:3: providers.ollama.headers.X-A: `x-a` stands here twice"),
        ("[providers.demo]\nbase_url = 'http://x.example'", "providers.demo.base_url: the demo is built in"),
        ("[providers.demo]\napi_key = 'x'", "providers.demo.api_key: the preset `demo` takes no key"),
        ("[aliases]\na = []", "aliases.a: must be a model such as"),
        ("[aliases]\na = ['x', '']", "aliases.a[1]: must be a string"),
        ("[aliases]\n'' = 'x'", 'aliases."": must be a string'),
        ("[aliases]\nopus = 'opus'", "config.toml:2: aliases.opus: leads back to itself; to mean the model of that name, name its provider too: `PROVIDER:opus`"),
        ("[aliases]\na = 'b'\nb = ['x', 'a[1m]']", "config.toml:2: aliases.a: leads back to itself"),
        ("[aliases]\na = 'b'\nb = 'c'\nc = 'x'", "config.toml:2: aliases.a: leads through `b` to `c`, a third alias"),
        ("[aliases]\nhaiku = 'claude-haiku-5-5'", "config.toml:2: aliases.haiku: leads back to itself; to mean the model of that name, name its provider too: `PROVIDER:claude-haiku-5-5`"),
        ("default = 'olama'", "config.toml:1: default: `olama` is no provider, preset or alias; did you mean `ollama`?"),
        ("default = 'messages'", "config.toml:1: default: the preset `messages` does not know where it is; add [providers.messages]"),
        ("default = 'both'", "default: the preset `both` does not know where it is; add [providers.both] with base_url = "),
        ("default = 'messages:gpt-x'", "default: the preset `messages` does not know where it is; add [providers.messages] with base_url = "),
        ("default = 'a'\n[aliases]\na = ['ollama:x', 'both:y']", "default: by way of the alias `a`: the preset `both` does not"),
        ("default = 'ollama:'", "default: `ollama:` is no provider"),
        ("default = 'a'\n[aliases]\na = ['ollama:x', 'b']\nb = 'bare'", "default: the alias `a` leads to names without a provider"),
        ("a = 1\nb = [1,,]", "config.toml:2:8: Invalid value"),
        ("a = 1\nb = [", "config.toml:2: Invalid value, at the end of the file"),
        ("a = " + "[" * 9999, "config.toml: is nested too deeply to be read"),
        ("a = " + "1" * 9999, "config.toml: holds a number that is too long to be read"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_with_line_key_and_cure(text, words):
    told = complaint(text)
    assert words in told
    assert all(line.startswith("config.toml:") for line in told.split("\n"))


@pytest.mark.parametrize(
    "url",
    [
        "", "x.example", "//x.example", "ftp://x.example", "http://", "http:///v1", "http://x.example:0",
        "http://x.example:99999", "http://[::1", "https://user:pw@x.example", "https://x.example?key=1",
        "https://x.example/#a", "https://x.example\\@evil.example", "https://x .example", "https://bücher.example",
        "https://x.example\n", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_base_url_is_absolute_http_without_credentials_and_is_never_repeated(url):
    told = complaint(f'[providers.work]\npreset = "messages"\nbase_url = {json.dumps(url)}')
    assert told.startswith("config.toml:3: providers.work.base_url: must ")
    assert "pw" not in told
    assert "key=1" not in told


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines():
    told = complaint("[server]\nport = 'x'\nhots = 1\n[demo]\npace = 'x'\n[providers.a.b]\n").split("\n")
    assert [line.split(": ")[:2] for line in told] == [
        ["config.toml:2", "server.port"],
        ["config.toml:3", "server.hots"],
        ["config.toml:5", "demo.pace"],
        ["config.toml:6", "providers.a.b"],
    ]


def test_routes_and_profiles_of_the_contract_reach_their_places():
    config = load("""
        [providers.ollama]
        [[routes]]
        when = { class = "subagent", agent = "Explore" }
        use = "ollama:qwen3-coder:30b"
        [[routes]]
        when = { tokens_over = 150000 }
        use = ["openrouter:google/gemini-3-pro", "anthropic:claude-sonnet-5-5[1m]"]
        [profiles.local]
        default = "ollama"
        subagent = "ollama:qwen3:8b"
    """)
    first, second = config.routes
    assert (first.name, first.when, first.use) == (
        "1",
        When(classes=("subagent",), agent=("Explore",)),
        ("ollama:qwen3-coder:30b",),
    )
    assert (second.name, second.when) == ("2", When(tokens_over=150_000))
    assert second.use == ("openrouter:google/gemini-3-pro", "anthropic:claude-sonnet-5-5[1m]")
    assert config.profiles == {"local": Profile(default="ollama", subagent=("ollama:qwen3:8b",))}


# ------------------------------------------------------------------------------------------- a project's own file

PROJECT = """
profile = "local"
default = "ollama"
subagent = ["ollama:qwen3:8b", "big"]
[aliases]
big = "ollama:qwen3-coder:30b"
[[routes]]
name = "search"
when = { class = "subagent", agent = "Explore" }
use = "big"
"""


def test_a_projects_file_is_names_and_rules():
    assert project(PROJECT) == Project(
        profile="local",
        default="ollama",
        subagent=("ollama:qwen3:8b", "big"),
        aliases={"big": ("ollama:qwen3-coder:30b",)},
        routes=(
            Rule(name="search", when=When(classes=("subagent",), agent=("Explore",)), use=("big",), lent=True),
        ),
    )
    assert project("") == Project()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[providers.x]\nbase_url = 'https://evil.example'", "providers"),
        ("[server]\nport = 1", "server"),
        ("classifier = 'ollama:tiny'", "classifier"),
        ("[profiles.local]\ndefault = 'ollama'", "profiles"),
        ("slots = 'aggressive'", "slots"),
        ("explain = { prompts = true }", "explain"),
        ("[demo]\npace = 0", "demo"),
    ],
)
def test_a_project_may_not_say_where_models_are_or_who_checks_for_safety(text, key):
    found = project(f"profile = 'local'\n{text}")
    assert isinstance(found, tuple)
    (mistake,) = found
    assert (mistake.line, mistake.path) == (2, (key,))
    assert mistake.told(".ccrouter.toml") == (
        f".ccrouter.toml:2: {key}: `{key}` has no place in a project's file, only in your own configuration;"
        " a project may name models, but not say where they are, by which key, or who checks for safety"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profil = 'x'", "f:1: profil: unknown key `profil`; did you mean `profile`?"),
        ("zzz = 1", "f:1: zzz: unknown key `zzz`; known here: profile, default, subagent, aliases, routes"),
        ("[[routes]]\nname = 'x'", "f:1: routes[0]: needs `use`"),
        ("a = [", "f:1: Invalid value, at the end of the file"),
        ("[[routes]]\nuse = 'x'\nwhen = { class = 'x' }", "f:3: routes[0].when.class: is no class of requests"),
        (
            "[[routes]]\nuse = 'x'\nwhen = { headers = { authorization = '*' } }",
            "f:3: routes[0].when.headers.authorization: carries a credential",
        ),
    ],
)
def test_each_mistake_of_a_projects_file_is_told_too(text, words):
    found = project(text)
    assert isinstance(found, tuple)
    assert found[0].told("f").startswith(words)


# ---------------------------------------------------------------------------------- where credentials would go


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://gateway.example", "http://127.0.0.1.evil.example"])
def test_the_claude_login_is_not_sent_in_the_clear(url):
    told = complaint(f'[providers.anthropic]\nbase_url = "{url}"')
    assert told.startswith(
        "config.toml:2: providers.anthropic.base_url: a Claude login travels by https or within"
    )


@pytest.mark.parametrize(
    "url", ["https://gateway.example", "http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"]
)
def test_the_claude_login_may_go_by_https_or_within_the_machine(url):
    assert provider(f'base_url = "{url}"', "anthropic").base_url == url


def test_another_name_for_anthropic_does_not_get_the_login():
    body = 'preset = "anthropic"\nbase_url = "https://x.example"\n'
    assert complaint(f"[providers.work]\n{body}").startswith("config.toml:1: providers.work: needs `api_key`")
    assert provider(f'{body}api_key = "k"').api_key == Literal("k")
    assert provider(f'{body}headers = {{ Authorization = "Bearer k" }}').headers


# ------------------------------------------------------------------------------------------------- properties

SECRET = "SeKrIt-0123456789"

WHOLE = f"""\
default = "ollama"   # comment

[server]
port = 11436
token = "{SECRET}"
hosts = ["router.lan"]
timeouts = {{ connect = "10s" }}

[providers.ollama]
base_url = "http://192.168.1.50:11434"
[providers.work]
preset = "messages"
base_url = "https://llm.example.com/v1"
api_key = "{SECRET}"
models = ["qwen3-coder",
  {{ id = "glm-5", window = 131072 }}]
headers = {{ "x-team" = "{SECRET}", other = {{ command = ["a", "b"], ttl = "1h" }} }}

[providers.work.timeouts]
idle = "90s"

[aliases]
big = "ollama:x"

[demo]
pace = "20ms"
"""

words = st.sampled_from(
    ["default", "server", "port", "token", "hosts", "timeouts", "connect", "providers", "ollama", "work", "preset",
     "base_url", "api_key", "models", "headers", "aliases", "demo", "pace", "env", "file", "command", "ttl", "id", "x",
     "routes", "profiles", "profile", "use", "when", "class", "budget", "price", "quota_over", "hours", "subagent"]
)  # fmt: skip
scalars = st.one_of(
    st.booleans(), st.integers(), st.floats(), words, st.text(max_size=8),
    st.sampled_from(["10s", "http://x.example", "messages", "anthropic", "a:b"]),
)  # fmt: skip
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def inline(value):
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{inline(key)} = {inline(each)}" for key, each in value.items()) + "}"
        case _:
            return repr(value)


def message(text):
    """What is wrong with a text; empty when nothing is. Any other exception is a failure of the test."""
    try:
        load(text)
    except ConfigError as error:
        return str(error)
    return ""


def is_told_by_lines(told):
    return not told or all(line.startswith("config.toml") and line.isprintable() for line in told.split("\n"))


@given(st.text() | st.text(alphabet="[]{}=.,\"'\n #ab1", max_size=40))
@example("\ud800")
@example('"\\u001b[2J" = 1')
def test_any_text_is_a_configuration_or_a_config_error(text):
    assert is_told_by_lines(message(text))


@given(st.dictionaries(words, trees, max_size=5))
def test_any_tables_are_a_configuration_or_a_config_error(tree):
    text = "\n".join(f"{key} = {inline(value)}" for key, value in tree.items())
    tomllib.loads(text)
    assert is_told_by_lines(message(text))


@given(st.dictionaries(words, trees, max_size=4))
def test_any_tables_are_a_project_or_mistakes(tree):
    found = project("\n".join(f"{key} = {inline(value)}" for key, value in tree.items()))
    assert isinstance(found, Project) or is_told_by_lines("\n".join(each.told("config.toml") for each in found))


@given(st.integers(0, len(WHOLE)), st.integers(0, 30), st.text(alphabet="[]{}=.,\"'\n #a1\\", max_size=3))
def test_no_damage_to_a_file_brings_its_secrets_into_a_message(place, size, inserted):
    assert SECRET not in message(WHOLE[:place] + inserted + WHOLE[place + size :])


@given(st.sampled_from(["env", "file", "command", "ttl", "base_url", "preset2", "models"]), trees)
def test_no_mistake_beside_a_secret_brings_it_into_a_message(key, value):
    table = {"base_url": "https://x.example", "preset": "messages", "api_key": SECRET, key: value}
    for text in (inline(table), inline({**table, "api_key": {"env": SECRET, key: value}}), inline([SECRET])):
        assert SECRET not in message(f"providers.work = {text}")


def test_the_repr_of_a_configuration_holds_no_secret():
    assert SECRET not in repr(load(WHOLE))


@given(st.data())
def test_an_unknown_key_at_any_place_is_told_with_its_line(data):
    source = WHOLE.split("\n")
    places = [place for place, line in enumerate(source) if not line.startswith("  {") and place > 0]
    place = data.draw(st.sampled_from(places))
    noise = data.draw(st.lists(st.sampled_from(["", "# [x]", "#'''"]), max_size=3))
    written = data.draw(st.sampled_from(["zzz = 1", "'zzz' = '''\n\n'''", '"z\\u007Az".a = [\n1]']))
    text = "\n".join([*source[:place], *noise, written, *source[place:]])
    tomllib.loads(text)
    (told,) = complaint(text).split("\n")
    table = next((line.strip("[]") for line in reversed(source[:place]) if line.startswith("[")), "")
    key = f"{table}.zzz" if table else "zzz"
    assert told.startswith(f"config.toml:{place + len(noise) + 1}: {key}: ")


def test_unknown_keys_within_inline_tables_are_told_with_their_line():
    for place, line in enumerate(WHOLE.split("\n")):
        if "{ " not in line:
            continue
        source = WHOLE.split("\n")
        source[place] = line[::-1].replace("} ", "} 1 = zzz ,", 1)[::-1]
        (told,) = complaint("\n".join(source)).split("\n")
        assert told.startswith(f"config.toml:{place + 1}: ")
        assert "zzz" in told
