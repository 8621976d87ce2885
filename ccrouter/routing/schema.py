"""The shape of the configuration file, from its tables (`routing.tables`).

Two readers share it: `structure` makes tables of what TOML gave (cattrs, every mistake with its path), and
`json_schema` tells editors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from attrs import AttrsInstance, fields, has
from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory, is_mapping, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from ccrouter.providers.provider import Model, Preset, Price, Timeouts
from ccrouter.providers.secret import FromCommand, FromEnv, FromFile, Literal, Secret
from ccrouter.routing import values
from ccrouter.routing.config import Config, Demo, Explain, Server
from ccrouter.routing.spelling import spell_duration
from ccrouter.routing.tables import (
    BudgetTable,
    Classes,
    Command,
    Days,
    DemoTable,
    ExplainTable,
    Fallbacks,
    FileTable,
    ModelTable,
    Parts,
    Patterns,
    PriceTable,
    ProfileTable,
    ProjectTable,
    ProviderTable,
    RouteTable,
    SecretTable,
    ServerTable,
    TimeoutsTable,
    WhenTable,
)
from ccrouter.routing.values import (
    Argument,
    ClassName,
    DayName,
    HeaderName,
    HintName,
    Kind,
    Name,
    Part,
    Percent,
    ProviderName,
)

T = TypeVar("T", FileTable, ProjectTable)


def said(table: AttrsInstance) -> dict[str, Any]:
    """The keys that a file gave, without those it left out."""
    found = {key(each.name): getattr(table, each.name) for each in fields(type(table))}
    return {name: value for name, value in found.items() if value is not None}


def keys(table: type[AttrsInstance]) -> list[str]:
    """The keys that a table knows."""
    return [key(each.name) for each in fields(table)]


def key(attribute: str) -> str:
    """A table's key, by the name of its attribute."""
    return attribute.removesuffix("_")


def structure(table: Mapping[str, object], shape: type[T]) -> T:
    """The tables of what ``tomllib`` gave; raises cattrs' ClassValidationError, a group of every mistake."""
    return _CONVERTER.structure(table, shape)


#: How a table is written, for who wrote something else.
EXAMPLES: Mapping[Any, str] = {
    ServerTable: '{ port = 11436, drain = "10s" }',
    TimeoutsTable: '{ connect = "10s", idle = "5m" }',
    ProviderTable: '{ base_url = "http://192.168.1.50:11434" }',
    BudgetTable: "{ dollars_per_month = 20 }",
    RouteTable: '{ use = "ollama:qwen3:8b" }',
    WhenTable: '{ class = "subagent" }',
    ProfileTable: '{ default = "ollama:qwen3:8b" }',
    ExplainTable: "{ keep = 200 }",
    DemoTable: '{ pace = "20ms" }',
    dict[ProviderName, ProviderTable]: '{ ollama = { base_url = "http://192.168.1.50:11434" } }',
    dict[Name, ProfileTable]: '{ local = { default = "ollama:qwen3:8b" } }',
    dict[Name, Fallbacks]: '{ big = "ollama:qwen3:8b" }',
    dict[HeaderName, Secret]: '{ x-team = "core" }',
    dict[HintName, Name]: '{ x-team = "core*" }',
    dict[ProviderName, Percent]: "{ anthropic = 80 }",
    dict[ProviderName, bool]: "{ anthropic = false }",
}

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


def _price(value: object) -> Price:
    if isinstance(value, dict):
        found = said(_CONVERTER.structure(value, PriceTable))
        if {"input", "output"} <= found.keys():
            return Price(**found)
    raise ValueError("must be a table such as { input = 3, output = 15 }: US dollars for a million tokens")


def _one_or_more(kind: Any, words: str) -> Kind:
    """One value, or a list of them that is not empty."""
    each = values.KINDS[kind]

    def read(value: object) -> tuple[str, ...]:
        if isinstance(value, list):
            if value:
                return _CONVERTER.structure(value, tuple[kind, ...])
            raise ValueError(words)
        return (each.read(value),)

    return Kind(read, {"anyOf": [each.schema, {"type": "array", "items": each.schema, "minItems": 1}]})


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
    Price: Kind(
        _price, {"allOf": [{"$ref": "#/definitions/Price"}], "required": ["input", "output"]}, (PriceTable,)
    ),
    Patterns: _one_or_more(Name, "must be a name, or a list of them"),
    Classes: _one_or_more(ClassName, 'must be a class such as "subagent", or a list of them'),
    Parts: _one_or_more(Part, 'must be a part such as "images", or a list of them'),
    Days: _one_or_more(DayName, 'must be a day such as "mon", or a list of them'),
    Command: Kind(_command, {"type": "array", "items": values.KINDS[Argument].schema, "minItems": 1}),
    Fallbacks: Kind(
        _fallbacks, {"anyOf": [_NAME.schema, {"type": "array", "items": _NAME.schema, "minItems": 1}]}
    ),
}

# --------------------------------------------------------------------------------------------- cattrs

_Hook = Callable[[Any, Any], Any]


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)

    def only(
        kind: type, tell: Callable[[Any], str], make: Callable[[Any, Converter], _Hook]
    ) -> Callable[[Any], _Hook]:
        """Cattrs takes anything iterable for a list; a configuration must mean one."""

        def factory(cls: Any) -> _Hook:
            inner, words = make(cls, converter), tell(cls)

            def hook(value: object, _: Any) -> Any:
                if isinstance(value, kind):
                    return inner(value, cls)
                raise ValueError(words)

            return hook

        return factory

    def make_table(cls: Any, converter: Converter) -> _Hook:
        renamed: dict[str, Any] = {each.name: override(rename=key(each.name)) for each in fields(cls)}
        made: _Hook = make_dict_structure_fn(cls, converter, **renamed)
        return made

    def is_tuple(cls: Any) -> bool:
        return get_origin(cls) is tuple

    def is_of(kind: Any) -> Callable[[Any], bool]:
        return lambda cls: bool(_bare(cls) == kind)

    def reads(kind: Kind) -> _Hook:
        return lambda value, _: kind.read(value)

    register = converter.register_structure_hook_factory

    def no_table(cls: Any) -> str:
        example = EXAMPLES.get(cls)
        return "must be a table" if example is None else f"must be a table such as {example}"

    register(is_tuple, only(list, lambda _: "must be a list, in [ ]", homogenous_tuple_structure_factory))
    register(is_mapping, only(dict, no_table, mapping_structure_factory))
    register(has, only(dict, no_table, make_table))
    for cls, kind in _KINDS.items():
        converter.register_structure_hook_func(is_of(cls), reads(kind))
    # Cattrs has a rule of its own for what is nothing but a bool, which anything can be.
    converter.register_structure_hook(bool, reads(_KINDS[bool]))
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
    ExplainTable: Explain(),
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
        found[key(each.name)] = described = {
            "description": each.metadata["meaning"],
            **_schema_of(kinds[each.name], definitions),
        }
        default = getattr(_DEFAULTS.get(table), each.name, None)
        if isinstance(default, float):
            described["default"] = spell_duration(default)
        elif isinstance(default, int | str):
            described["default"] = default
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
