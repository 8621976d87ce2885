"""What a model is shown. What each wire makes of it stands in the tests of its requests."""

from __future__ import annotations

import pytest
from attrs import evolve

from ccrouter.providers.presets import PRESETS
from ccrouter.providers.provider import Model, Provider, Target
from ccrouter.providers.quirks import Quirks
from ccrouter.translate.changes import Changes
from ccrouter.translate.shown import Shapes, Shown, reminder
from ccrouter.translate.turns import Call, Document, Image, Mark, Text

SHAPES = Shapes(
    wire="responses",
    text=lambda words: {"text": words},
    image=lambda url: {"image": url},
    file=lambda name, data: {"file": name, "data": data},
    link=lambda name, url: {"file": name, "url": url},
)
PDF = Document("application/pdf", "a", data="JV")
LINKED = Document("application/pdf", "a", url="https://x/a.pdf")


def show(*parts, quirks=None, shapes=SHAPES, model="m", marked=True, **known):
    """The chunks, and what was changed for them."""
    row = evolve(PRESETS["chat"], quirks=quirks or Quirks())
    provider = Provider(name="there", preset=row, base_url="https://x.example", models=(Model(model, **known),))
    changes = Changes()
    return Shown(Target(provider, model), shapes, changes).chunks(parts, marked=marked), [*changes.listed()]


def test_a_model_is_shown_what_it_can_see():
    parts = (Text("t"), Image("image/png", "QQ=="), Image(None, url="https://x/i"), PDF, LINKED)
    chunks, changes = show(*parts, Call("1", "Bash", {}), quirks=Quirks(files=True))
    assert chunks == [
        {"text": "t"},
        {"image": "data:image/png;base64,QQ=="},
        {"image": "https://x/i"},
        {"file": "a.pdf", "data": "data:application/pdf;base64,JV"},
        {"file": "a.pdf", "url": "https://x/a.pdf"},
    ]
    assert changes == []


@pytest.mark.parametrize(("name", "told"), [("a", "a.pdf"), ("A.PDF", "A.PDF"), ("b.pdf", "b.pdf")])
def test_the_name_of_a_pdf_says_that_it_is_one(name, told):
    assert show(evolve(PDF, name=name), quirks=Quirks(files=True))[0][0]["file"] == told


def test_the_rest_leaves_its_place_in_words_and_a_file_its_address():
    image = Image("image/png", "QQ==")
    for quirks, known in ((Quirks(images=False), {}), (Quirks(), {"vision": False})):
        chunks, changes = show(image, image, PDF, LINKED, quirks=quirks, **known)
        assert all("omitted" in each["text"] for each in chunks)
        assert "https://x/a.pdf" in chunks[3]["text"]
        assert changes == [
            "image: left out, the model takes only text (2 times)",
            "document: left out, the backend takes no such file (2 times)",
        ]
    chunks, _ = show(LINKED, quirks=Quirks(files=True), shapes=evolve(SHAPES, wire="chat"))
    assert "https://x/a.pdf" in chunks[0]["text"]


def test_a_document_of_text_is_text():
    chunks, changes = show(Document("text/plain", "n", text="words"))
    assert chunks == [{"text": "[document: n]\nwords"}]
    assert changes == ["document: told as text"]


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        *(("gpt-5.6", True), ("gpt-5.6-sol", True), ("gpt-5.10", True), ("gpt-6", True), ("gpt-12.1", True)),
        *(("gpt-5.5", False), ("gpt-5", False), ("gpt-4o", False), ("gpt-oss-120b", False), ("o9", False)),
        *(("chatgpt-6", False), ("claude-6", False), ("gpt-" + "9" * 5_000, True), ("", False), ("gpt-", False)),
    ],
)
def test_a_version_is_this_one_or_a_later_one(model, takes):
    quirks = Quirks(cache_marks="openai", marked_models=("claude-9", "gpt-5.6+"))
    [chunk], _ = show(Text("t", Mark()), quirks=quirks, model=model)
    assert ("prompt_cache_breakpoint" in chunk) is takes


def test_marks_are_written_as_the_backend_wants_them_or_not_at_all():
    text, image = Text("t", Mark("1h")), Image(None, url="u", mark=Mark())
    point = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    openai, anthropic = Quirks(cache_marks="openai"), Quirks(cache_marks="anthropic")
    assert show(text, image, quirks=openai)[0] == [{"text": "t", **point}, {"image": "u", **point}]
    control = {"type": "ephemeral", "ttl": "1h"}
    assert show(text, image, quirks=anthropic)[0] == [{"text": "t", "cache_control": control}, {"image": "u"}]
    for quirks, marked in ((Quirks(), True), (openai, False), (anthropic, False)):
        assert show(text, image, quirks=quirks, marked=marked)[0] == [{"text": "t"}, {"image": "u"}]
    assert show(Text("t"), quirks=openai)[0] == [{"text": "t"}]


def test_a_reminder_is_said_once_and_keeps_its_mark():
    told = reminder({"type": "text", "text": "note", "cache_control": {}})
    assert told == {"type": "text", "text": "<system-reminder>\nnote\n</system-reminder>", "cache_control": {}}
    assert reminder(told) == told
    assert reminder({"image": "u"}) == {"image": "u"}
