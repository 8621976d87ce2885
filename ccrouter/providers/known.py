"""What is known of a model, put together from every source, fact by fact, the best source first.

The configuration wins, since its writer can know better than anybody; then what the backend says; then a small
table of hosted models, whose rows are dated; last a guess from the name. A guess is never a reason to refuse or to
leave out: it says that a model has something, never that it lacks it, and no window that is a guess is held to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from attrs import evolve

from ccrouter.providers.provider import Model, Provider, Source

_FACTS = (
    "name",
    "window",
    "vision",
    "max_output",
    "tools",
    "thinking",
    "efforts",
    "loaded",
    "price",
    "num_ctx",
    "keep_alive",
    "remote",
)

_gpt5 = partial(Model, window=400_000, max_output=128_000, vision=True, tools=True, thinking=True)
_glm5 = partial(Model, max_output=131_072, vision=False, tools=True, thinking=True)

#: Hosted models whose vendors' lists say nothing of this, by the beginnings of their names. What sources disagree
#: on, or what nobody says, is left out.
TABLE = (
    # platform.openai.com, the models' pages as several catalogues have them, 2026-11. Of the 400 000 a prompt may
    # take 272 000, which the vendor itself refuses in words that are understood.
    _gpt5("gpt-5"),
    _gpt5("gpt-5.1"),
    _gpt5("gpt-5.2"),
    _gpt5("gpt-5.4", window=1_050_000),
    _gpt5("gpt-5.5", window=1_050_000),
    *(Model(f"{each}-chat", window=128_000, max_output=16_384) for each in ("gpt-5", "gpt-5.1", "gpt-5.2")),
    # api-docs.deepseek.com, "Models & Pricing", 2026-11: 1M and 384K; "K" may be 1000 there or 1024, this is safe.
    Model("deepseek-flash", window=1_000_000, max_output=384_000, vision=True, tools=True, thinking=True),
    Model("deepseek-v4-pro", window=1_000_000, max_output=384_000, vision=False, tools=True, thinking=True),
    # docs.z.ai and two catalogues, 2026-11.
    _glm5("glm-5", window=200_000),
    _glm5("glm-5.1", window=200_000),
    _glm5("glm-5.2", window=1_000_000),
    # platform.minimax.io and two catalogues, 2026-11. On the window and the eyes of M3 the sources disagree.
    Model("minimax-m2", window=204_800, max_output=131_072, vision=False, tools=True, thinking=True),
    Model("minimax-m2.1", window=204_800, max_output=131_072, vision=False, tools=True, thinking=True),
    Model("minimax-m2.5", window=204_800, max_output=131_072, vision=False, tools=True, thinking=True),
)

_SEES = re.compile(r"(?:^|[-/:.])(?:vl|vision|llava|pixtral)(?:$|[-/:.\d])")
_THINKS = re.compile(r"(?:^|[-/:])(?:thinking|reasoner|reasoning)(?:$|[-/:])")
_SIZE = re.compile(r"(?:^|[-/:])(\d{1,4})k(?:$|[-/:])")


def known(provider: Provider, model: str, told: Iterable[Model] = ()) -> Model:
    """Everything about one model. ``told``: what its backend said of it, the best first."""
    layers: list[tuple[Source, Model]] = []
    if (said := provider.configured_model(model)) is not None:
        layers.append(("configuration", said))
    layers += [("backend", each) for each in told]
    if provider.preset.hosted and (row := tabled(model)) is not None:
        layers.append(("table", row))
    layers.append(("guess", guessed(model)))
    found = merged(model, layers)
    return evolve(found, local=provider.local and not found.remote)


def merged(model: str, layers: Iterable[tuple[Source, Model]]) -> Model:
    """The first word on each fact, and whose it is."""
    facts: dict[str, object] = {}
    sources: dict[str, Source] = {}
    for source, layer in layers:
        for fact in _FACTS:
            value = getattr(layer, fact)
            if value is not None and fact not in facts:
                facts[fact], sources[fact] = value, source
    return Model(model, sources=sources, **facts)  # type: ignore[arg-type]  # each is what it was in its layer


def tabled(model: str) -> Model | None:
    """The row for a model, by the longest name that it begins with, behind a vendor's and a slash if need be."""
    name = model.lower().rpartition("/")[2]
    rows = [row for row in TABLE if re.fullmatch(rf"{re.escape(row.id)}(?:[-:@\[].*)?", name)]
    return max(rows, key=lambda row: len(row.id), default=None)


def guessed(model: str) -> Model:
    """What a model's name says of it."""
    name = model.lower()
    size = _SIZE.search(name)
    return Model(
        model,
        window=int(size[1]) * 1024 if size else None,
        vision=True if _SEES.search(name) else None,
        thinking=True if _THINKS.search(name) else None,
    )
