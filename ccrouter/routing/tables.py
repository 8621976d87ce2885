"""The tables of the configuration file and their keys, as they stand in it.

A key that a file leaves out is None here, so that the defaults stay in one place (`routing.config`) and a
provider's timeouts can take over the router's. ``class_`` is the key ``class``, which is a word of Python's own.
"""

from __future__ import annotations

from typing import NewType

from attrs import field, frozen

from ccrouter.providers.provider import Model, Price
from ccrouter.providers.secret import Secret
from ccrouter.routing.values import (
    Argument,
    BaseUrl,
    Count,
    Deadline,
    Dollars,
    EffortName,
    EnvName,
    HeaderName,
    HintName,
    HostName,
    Hours,
    Name,
    Pause,
    Percent,
    Port,
    ProviderName,
    SlotsName,
    Stay,
    WireName,
)

#: The models of an alias: one name, or several in fallback order.
Fallbacks = NewType("Fallbacks", tuple[str, ...])
#: One name or pattern, or several of which one must fit.
Patterns = NewType("Patterns", tuple[str, ...])
#: One word, or several of which one must fit; parts, all of which must be there.
Classes = NewType("Classes", tuple[str, ...])
Parts = NewType("Parts", tuple[str, ...])
Days = NewType("Days", tuple[str, ...])
#: A program and its arguments.
Command = NewType("Command", tuple[str, ...])


def _for(meaning: str) -> dict[str, str]:
    """The metadata of a key: what editors show."""
    return {"meaning": meaning}


@frozen(kw_only=True)
class TimeoutsTable:
    """``timeouts`` of ``[server]`` and of a provider."""

    connect: Deadline | None = field(default=None, metadata=_for("Until a connection to the backend stands."))
    first_byte: Deadline | None = field(default=None, metadata=_for("Until the backend begins to answer."))
    idle: Deadline | None = field(default=None, metadata=_for("Silence in mid-stream."))
    total: Deadline | None = field(default=None, metadata=_for("The whole request."))


@frozen(kw_only=True)
class ServerTable:
    """``[server]``."""

    host: HostName | None = field(
        default=None, metadata=_for("The address to listen on. Beyond loopback a token is needed.")
    )
    port: Port | None = field(default=None, metadata=_for("The port to listen on; 0 takes a free one."))
    token: Secret | None = field(
        default=None, metadata=_for("What clients must show. Without it: a random one for each start.")
    )
    hosts: tuple[HostName, ...] = field(
        default=(), metadata=_for("Further names under which clients reach the router.")
    )
    drain: Pause | None = field(default=None, metadata=_for("How long a stop waits for running streams."))
    ping: Deadline | None = field(default=None, metadata=_for("A ping whenever a stream was silent for so long."))
    commit_after: Pause | None = field(
        default=None, metadata=_for("How long a slow backend may still be answered for with an error status.")
    )
    max_connections: Count | None = field(
        default=None, metadata=_for("Connections at one time; a further one is answered with 529.")
    )
    timeouts: TimeoutsTable = field(
        default=TimeoutsTable(), metadata=_for("Deadlines of a request, for every provider.")
    )
    tries: Count | None = field(
        default=None, metadata=_for("How often one request is tried in all, before anything of a reply came.")
    )
    patience: Pause | None = field(
        default=None, metadata=_for("No further try begins when a request has taken this long.")
    )


@frozen(kw_only=True)
class SecretTable:
    """A secret that is not written in the file; exactly one of the first three keys."""

    env: EnvName | None = field(default=None, metadata=_for("The environment variable that holds it."))
    file: Argument | None = field(default=None, metadata=_for("The file that holds it; ~ is the home directory."))
    command: Command | None = field(
        default=None, metadata=_for("The program that prints it, with its arguments; no shell.")
    )
    ttl: Deadline | None = field(
        default=None, metadata=_for("How long what the command printed is kept; without it until the end.")
    )


@frozen(kw_only=True)
class PriceTable:
    """What a model costs, in US dollars for a million tokens."""

    input: Dollars | None = field(default=None, metadata=_for("Of the prompt, as far as it is not cached."))
    output: Dollars | None = field(default=None, metadata=_for("Of the answer, its reasoning included."))
    cache_read: Dollars | None = field(default=None, metadata=_for("Read from a cache; without it: as input."))
    cache_write: Dollars | None = field(default=None, metadata=_for("Written to a cache; without it: as input."))


@frozen(kw_only=True)
class BudgetTable:
    """What a provider may use up before its requests are refused, or go to the next of a list."""

    tokens_per_day: Count | None = field(default=None, metadata=_for("Tokens of prompts and answers in a day."))
    tokens_per_month: Count | None = field(default=None, metadata=_for("The same in a calendar month."))
    dollars_per_day: Dollars | None = field(
        default=None, metadata=_for("US dollars in a day, by the `price` of its models.")
    )
    dollars_per_month: Dollars | None = field(default=None, metadata=_for("The same in a calendar month."))


@frozen(kw_only=True)
class ModelTable:
    """A model of a provider; ``id`` must be there."""

    id: Name | None = field(default=None, metadata=_for("The name that the provider knows it by."))
    name: Name | None = field(default=None, metadata=_for("The name to show."))
    window: Count | None = field(default=None, metadata=_for("Tokens of context, prompt and answer together."))
    vision: bool | None = field(default=None, metadata=_for("Whether it sees images."))
    tools: bool | None = field(default=None, metadata=_for("Whether it can call tools."))
    thinking: bool | None = field(default=None, metadata=_for("Whether it can be asked to think."))
    max_output: Count | None = field(
        default=None, metadata=_for("The most tokens of one answer; a request for more is cut to it.")
    )
    num_ctx: Count | None = field(
        default=None,
        metadata=_for("The window that Ollama is to load it with, in tokens. Its wire is Ollama's own then."),
    )
    keep_alive: Stay | None = field(
        default=None,
        metadata=_for("How long Ollama is to keep it loaded behind a request. Its wire is Ollama's own then."),
    )
    price: Price | None = field(
        default=None, metadata=_for("What it costs, in US dollars for a million tokens; for budgets.")
    )


@frozen(kw_only=True)
class ProviderTable:
    """``[providers.NAME]``."""

    preset: Name | None = field(
        default=None, metadata=_for("The kind of backend; not needed where the provider's name says it.")
    )
    base_url: BaseUrl | None = field(
        default=None, metadata=_for("Where it is: http(s)://…, without /v1/messages.")
    )
    wire: WireName | None = field(
        default=None,
        metadata=_for("The wire to speak to it, where it has several: messages, chat, responses or ollama."),
    )
    api_key: Secret | None = field(default=None, metadata=_for("The key that is sent to it."))
    models: tuple[Model, ...] = field(
        default=(), metadata=_for("Its models; without them it is asked for its list.")
    )
    headers: dict[HeaderName, Secret] = field(factory=dict, metadata=_for("Headers to send along."))
    timeouts: TimeoutsTable = field(
        default=TimeoutsTable(), metadata=_for("Deadlines, where they differ from [server].")
    )
    max_concurrent: Count | None = field(
        default=None, metadata=_for("Requests at one time; further ones wait their turn.")
    )
    budget: BudgetTable = field(default=BudgetTable(), metadata=_for("What it may use up in a day or a month."))


@frozen(kw_only=True)
class DemoTable:
    """``[demo]``."""

    pace: Pause | None = field(
        default=None, metadata=_for("The pause between two pieces of an answer; 0 for none.")
    )


@frozen(kw_only=True)
class WhenTable:
    """Conditions on a request; all that are given must hold."""

    class_: Classes | None = field(
        default=None, metadata=_for("What it is for: main, subagent, compaction, …; one, or several.")
    )
    agent: Patterns | None = field(
        default=None, metadata=_for("The type of the agent that asks, such as Explore; * stands for anything.")
    )
    model: Patterns | None = field(
        default=None, metadata=_for("The model's name as the client says it; * stands for anything.")
    )
    tokens_over: Count | None = field(default=None, metadata=_for("The prompt has more tokens than this."))
    tokens_under: Count | None = field(default=None, metadata=_for("The prompt has fewer tokens than this."))
    has: Parts | None = field(
        default=None, metadata=_for("It has images, documents, tools or thinking; of several all.")
    )
    server_tool: Patterns | None = field(
        default=None, metadata=_for("It has a tool that the backend runs itself, such as web_search.")
    )
    effort: EffortName | None = field(default=None, metadata=_for("It asks for this effort at least."))
    headers: dict[HintName, Name] = field(
        factory=dict, metadata=_for("Headers that it carries, with their values; * stands for anything.")
    )
    project: Patterns | None = field(
        default=None, metadata=_for("The client's directory is this one or below it; ~ is the home directory.")
    )
    hours: Hours | None = field(default=None, metadata=_for('The time of day, such as "22:00-06:00".'))
    days: Days | None = field(default=None, metadata=_for("The day of the week: mon, tue, …; one, or several."))
    profile: Patterns | None = field(default=None, metadata=_for("The profile that is in force."))
    quota_over: dict[ProviderName, Percent] = field(
        factory=dict, metadata=_for("A provider's plan is used up by more than this percentage.")
    )


@frozen(kw_only=True)
class RouteTable:
    """``[[routes]]``: the first whose conditions hold decides."""

    name: Name | None = field(default=None, metadata=_for("What `explain` calls it."))
    when: WhenTable = field(default=WhenTable(), metadata=_for("Conditions; all of them must hold."))
    use: Fallbacks | None = field(
        default=None,
        metadata=_for("The model to use, or several in fallback order; {model} is the one asked for."),
    )


@frozen(kw_only=True)
class ProfileTable:
    """``[profiles.NAME]``: what differs from the rest of the file while the profile is in force."""

    default: Name | None = field(default=None, metadata=_for("The provider for names that nothing else claims."))
    subagent: Fallbacks | None = field(default=None, metadata=_for("The model for subagents."))
    classifier: Fallbacks | None = field(default=None, metadata=_for("The model for the safety checks."))
    aliases: dict[Name, Fallbacks] = field(factory=dict, metadata=_for("Further aliases, or other ones."))
    routes: tuple[RouteTable, ...] = field(default=(), metadata=_for("Rules that come before all others."))
    providers: dict[ProviderName, bool] = field(
        factory=dict, metadata=_for("Providers that are switched off (false).")
    )


@frozen(kw_only=True)
class ExplainTable:
    """``[explain]``."""

    keep: Count | None = field(default=None, metadata=_for("How many requests are remembered, in memory only."))
    prompts: bool | None = field(
        default=None,
        metadata=_for("Whether the last 400 characters of each one's prompt are remembered too."),
    )


@frozen(kw_only=True)
class ProjectTable:
    """A project's own ``.ccrouter.toml``: names and rules; nothing that leads a request or a secret astray."""

    profile: Name | None = field(default=None, metadata=_for("The profile to use in this project."))
    default: Name | None = field(default=None, metadata=_for("The provider for names that nothing else claims."))
    subagent: Fallbacks | None = field(default=None, metadata=_for("The model for subagents."))
    aliases: dict[Name, Fallbacks] = field(factory=dict, metadata=_for("Further aliases, or other ones."))
    routes: tuple[RouteTable, ...] = field(default=(), metadata=_for("Rules that come before the user's own."))


@frozen(kw_only=True)
class FileTable:
    """The whole file."""

    default: Name | None = field(default=None, metadata=_for("The provider for names that nothing else claims."))
    server: ServerTable = field(default=ServerTable(), metadata=_for("The router itself."))
    providers: dict[ProviderName, ProviderTable] = field(factory=dict, metadata=_for("Backends, by name."))
    aliases: dict[Name, Fallbacks] = field(
        factory=dict, metadata=_for("Short names for models, or for several in fallback order.")
    )
    routes: tuple[RouteTable, ...] = field(default=(), metadata=_for("Rules; the first that fits decides."))
    profile: Name | None = field(
        default=None, metadata=_for("The profile to use unless `ccrouter use` chose another.")
    )
    profiles: dict[Name, ProfileTable] = field(factory=dict, metadata=_for("Profiles, by name."))
    subagent: Fallbacks | None = field(default=None, metadata=_for("The model for subagents."))
    classifier: Fallbacks | None = field(default=None, metadata=_for("The model for the safety checks."))
    slots: SlotsName | None = field(
        default=None, metadata=_for("Which of the client's own names `run` gives to other models.")
    )
    explain: ExplainTable = field(default=ExplainTable(), metadata=_for("What `ccrouter explain` can tell."))
    demo: DemoTable = field(default=DemoTable(), metadata=_for("The built-in demo model."))
