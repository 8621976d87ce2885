"""The shape of the configuration file: its tables and their keys.

Two readers share it: `structure` makes tables of what TOML gave (cattrs, every mistake with its path), and
`json_schema` tells editors. A key that a file leaves out is None here, so that the defaults stay in one place
(`routing.config`) and a provider's timeouts can take over the router's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from types import NoneType
from typing import Any, NewType, cast, get_args, get_origin, get_type_hints

from attrs import AttrsInstance, field, fields, frozen, has
from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory, is_mapping, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn

from ccrouter.providers.provider import Model, Preset, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret
from ccrouter.routing import values
from ccrouter.routing.config import Config, Demo, Server
from ccrouter.routing.spelling import spell_duration
from ccrouter.routing.values import (
    Argument,
    BaseUrl,
    Count,
    Deadline,
    EnvName,
    HeaderName,
    HostName,
    Kind,
    Name,
    Pause,
    Port,
    ProviderName,
    WireName,
)

#: The models of an alias: one name, or several in fallback order.
Fallbacks = NewType("Fallbacks", tuple[str, ...])
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
        default=None, metadata=_for("The wire to speak to it, where it has several: messages, chat or responses.")
    )
    api_key: Secret | None = field(default=None, metadata=_for("The key that is sent to it."))
    models: tuple[Model, ...] = field(
        default=(), metadata=_for("Its models; without them it is asked for its list.")
    )
    headers: dict[HeaderName, Secret] = field(factory=dict, metadata=_for("Headers to send along."))
    timeouts: TimeoutsTable = field(
        default=TimeoutsTable(), metadata=_for("Deadlines, where they differ from [server].")
    )


@frozen(kw_only=True)
class DemoTable:
    """``[demo]``."""

    pace: Pause | None = field(
        default=None, metadata=_for("The pause between two pieces of an answer; 0 for none.")
    )


@frozen(kw_only=True)
class FileTable:
    """The whole file."""

    default: Name | None = field(default=None, metadata=_for("The provider for names that nothing else claims."))
    server: ServerTable = field(default=ServerTable(), metadata=_for("The router itself."))
    providers: dict[ProviderName, ProviderTable] = field(factory=dict, metadata=_for("Backends, by name."))
    aliases: dict[Name, Fallbacks] = field(
        factory=dict, metadata=_for("Short names for models, or for several in fallback order.")
    )
    demo: DemoTable = field(default=DemoTable(), metadata=_for("The built-in demo model."))


def said(table: AttrsInstance) -> dict[str, Any]:
    """The keys that a file gave, without those it left out."""
    found = {name: getattr(table, name) for name in keys(type(table))}
    return {name: value for name, value in found.items() if value is not None}


def keys(table: type[AttrsInstance]) -> list[str]:
    """The keys that a table knows."""
    return [each.name for each in fields(table)]


def structure(table: Mapping[str, object]) -> FileTable:
    """The tables of what ``tomllib`` gave; raises cattrs' ClassValidationError, a group of every mistake."""
    return _CONVERTER.structure(table, FileTable)


# ------------------------------------------------------------------- values that are spelled in several ways

_SHAPES = 'a string, { env = "NAME" }, { file = "PATH" } or { command = ["PROGRAM", "ARGUMENT"], ttl = "1h" }'


def _secret(value: object) -> Secret:
    if isinstance(value, str):
        if re.fullmatch(values.HEADER_TEXT, value):
            return Literal(value)
        raise ValueError("is empty, has white space around it, or holds characters that no header can carry")
    if not isinstance(value, dict):
        raise ValueError(f"must be {_SHAPES}")  # noqa: TRY004  # TypeError would be a bug of ours
    match said(_CONVERTER.structure(value, SecretTable)):
        case {"env": str(name), **rest} if not rest:
            return FromEnv(name)
        case {"file": str(path), **rest} if not rest:
            return FromFile(path)
        case {"command": tuple(argv), **rest} if rest.keys() <= {"ttl"}:
            return FromCommand(argv, rest.get("ttl"))
    raise ValueError(f"must be exactly one of these: {_SHAPES}")


def _command(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and value:
        return _CONVERTER.structure(value, tuple[Argument, ...])
    raise ValueError('must be a list: a program and its arguments, such as ["op", "read", "op://work/llm/key"]')


def _model(value: object) -> Model:
    if isinstance(value, dict):
        found = said(_CONVERTER.structure(value, ModelTable))
        if "id" in found:
            return Model(**found)
    elif isinstance(value, str):
        return Model(_NAME.read(value))
    raise ValueError('must be a name, or a table such as { id = "glm-5", window = 131072, vision = false }')


def _fallbacks(value: object) -> tuple[str, ...]:
    if isinstance(value, list) and value:
        return _CONVERTER.structure(value, tuple[Name, ...])
    if isinstance(value, str):
        return (_NAME.read(value),)
    raise ValueError('must be a model such as "ollama:qwen3:8b", or a list of them in fallback order')


_NAME = values.KINDS[Name]
_KINDS: dict[Any, Kind] = values.KINDS | {
    Secret: Kind(
        _secret,
        {
            "anyOf": [
                {"type": "string", "pattern": f"^(?:{values.HEADER_TEXT})$"},
                {
                    "allOf": [{"$ref": "#/definitions/Secret"}],
                    "oneOf": [{"required": [each]} for each in ("env", "file", "command")],
                    "dependencies": {"ttl": ["command"]},
                },
            ]
        },
        (SecretTable,),
    ),
    Model: Kind(
        _model,
        {"anyOf": [_NAME.schema, {"allOf": [{"$ref": "#/definitions/Model"}], "required": ["id"]}]},
        (ModelTable,),
    ),
    Command: Kind(_command, {"type": "array", "items": values.KINDS[Argument].schema, "minItems": 1}),
    Fallbacks: Kind(
        _fallbacks, {"anyOf": [_NAME.schema, {"type": "array", "items": _NAME.schema, "minItems": 1}]}
    ),
}

# --------------------------------------------------------------------------------------------- cattrs

_Hook = Callable[[Any, Any], Any]


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)

    def only(kind: type, words: str, make: Callable[[Any, Converter], _Hook]) -> Callable[[Any], _Hook]:
        """Cattrs takes anything iterable for a list; a configuration must mean one."""

        def factory(cls: Any) -> _Hook:
            inner = make(cls, converter)

            def hook(value: object, _: Any) -> Any:
                if isinstance(value, kind):
                    return inner(value, cls)
                raise ValueError(words)

            return hook

        return factory

    def is_tuple(cls: Any) -> bool:
        return get_origin(cls) is tuple

    def is_of(kind: Any) -> Callable[[Any], bool]:
        return lambda cls: bool(_bare(cls) == kind)

    def reads(kind: Kind) -> _Hook:
        return lambda value, _: kind.read(value)

    register = converter.register_structure_hook_factory
    register(is_tuple, only(list, "must be a list, in [ ]", homogenous_tuple_structure_factory))
    register(is_mapping, only(dict, "must be a table", mapping_structure_factory))
    register(has, only(dict, "must be a table", make_dict_structure_fn))
    for cls, kind in _KINDS.items():
        converter.register_structure_hook_func(is_of(cls), reads(kind))
    return converter


def _bare(cls: Any) -> Any:
    """``X`` of ``X | None``: TOML has no null."""
    args = get_args(cls)
    return reduce(or_, (arg for arg in args if arg is not NoneType)) if NoneType in args else cls


_CONVERTER = _make_converter()

# ---------------------------------------------------------------------------------------- JSON Schema

_DEFAULTS: Mapping[type, object] = {
    FileTable: Config(),
    ServerTable: Server(),
    TimeoutsTable: Timeouts(),
    DemoTable: Demo(),
}


def json_schema(presets: Mapping[str, Preset]) -> dict[str, Any]:
    """A JSON Schema (draft 7, which every editor reads) of the file.

    Every file that `routing.load` accepts is valid by it. What only the whole file can show, such as an alias
    that leads to itself, it does not know: ``config check`` has the last word.
    """
    definitions: dict[str, Any] = {}
    top = _properties(FileTable, definitions)
    definitions["Provider"]["properties"]["preset"]["enum"] = list(presets)
    named = top["providers"]["additionalProperties"]
    top["providers"]["properties"] = {
        name: {"description": preset.title, **named} for name, preset in presets.items()
    }
    top["providers"]["additionalProperties"] = {**named, "required": ["preset"]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "ccrouter configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": top,
        "definitions": definitions,
    }


def _properties(table: type[AttrsInstance], definitions: dict[str, Any]) -> dict[str, Any]:
    kinds = get_type_hints(table)
    found: dict[str, Any] = {}
    for each in fields(table):
        found[each.name] = {
            "description": each.metadata["meaning"],
            **_schema_of(kinds[each.name], definitions),
        }
        default = getattr(_DEFAULTS.get(table), each.name, None)
        if isinstance(default, float):
            found[each.name]["default"] = spell_duration(default)
        elif isinstance(default, int | str):
            found[each.name]["default"] = default
    return found


def _schema_of(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; the tables that it needs are added to ``definitions``."""
    cls = _bare(cls)
    if cls in _KINDS:
        for each in _KINDS[cls].tables:
            _schema_of(each, definitions)
        return dict(_KINDS[cls].schema)
    if has(cls):
        name = cast("type", cls).__name__.removesuffix("Table")
        if name not in definitions:
            definitions[name] = {"type": "object", "additionalProperties": False}
            definitions[name]["properties"] = _properties(cls, definitions)
        return {"allOf": [{"$ref": f"#/definitions/{name}"}]}
    if get_origin(cls) is tuple:
        return {"type": "array", "items": _schema_of(get_args(cls)[0], definitions)}
    key, value = (_schema_of(each, definitions) for each in get_args(cls))
    return {"type": "object", "propertyNames": key, "additionalProperties": value}
