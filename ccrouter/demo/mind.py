"""What the demo model answers. `reply` is the whole of it: a pure function from a request to a script.

The order in which it looks at a request is the order in which Claude Code must be served: requests that the
client makes on its own (a title, a verdict, a summary) carry the user's words too, and are recognised before
the words are. After the results of its calls it answers in text, so no tool loop is without end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

from attrs import frozen

from ccrouter.demo import failures, words
from ccrouter.demo.sample import fill, sample
from ccrouter.demo.script import Block, Call, Reply, Script, Terms, Text, Thinking, compose
from ccrouter.demo.turn import Result, Tool, Turn, clean, mapping, prompts, read, strings
from ccrouter.translate.tokens import estimate
from ccrouter.wire import claude_code

#: Errand -> the tool's usual name, and the arguments that tell another tool which can do it.
_ERRANDS = {
    "run": ("bash", ("command", "cmd")),
    "read": ("read", ("file_path", "path", "filename")),
}

_SELF = "I am the demo model that is built into ccrouter: I follow a script and understand nothing."
_REAL = (
    "To get a real model, start a local server such as Ollama, or set a key such as `ANTHROPIC_API_KEY`, "
    "or name one in the file that `ccrouter config init` writes; then start ccrouter again."
)
_MORE = "Say `help` to see what I can do."
_HELP = f"""{_SELF} At the start of a prompt I know these words:

- run `ls -la` and `pwd`: calls the tool that runs commands, in parallel when there are several
- read README.md: calls the tool that reads files
- use TOOL {{"key": "value"}}, use TOOL: text, use TOOL: calls any tool that is offered
- write 50 words, count to 100: a long answer, to watch it stream
- fail WHAT: fails on purpose; WHAT is one of {failures.names()}
- help: this list

Anything else I repeat. {_REAL}"""

_FILLER = "These words come from the demo model of ccrouter and mean nothing"

_ECHO = 300
_QUOTED_LINES = 10
_QUOTED_WIDTH = 200
_SUMMED_UP = 20


@frozen
class _Wish:
    """A call before it has its id."""

    tool: Tool
    input: Mapping[str, Any]


def reply(fields: Mapping[str, Any], *, message_id: str) -> Reply:
    """The answer to a decoded Messages request, whatever its shape.

    ``message_id`` must be unique for each reply; the ids of tool calls are made from it.
    """
    turn = read(fields)
    terms = _terms(fields, message_id)
    if (answer := _on_its_own(fields, turn)) is not None:
        return compose([*_thinking(fields, turn), Text(answer)], terms)
    directive = words.parse(turn.prompt) if not turn.settled else None
    if isinstance(directive, words.Fail) and failures.known(directive):
        return _failure(fields, turn, terms, directive)
    wishes, said = _wishes(directive, turn)
    if turn.forced and turn.tools and not wishes:
        tool = turn.tools[0]
        wishes = [_Wish(tool, fill(tool.schema, {}))]
    if wishes:
        names = ", ".join(dict.fromkeys(wish.tool.name for wish in wishes))
        content: list[Block] = [Text(f"I'll use {names}."), *_calls(wishes, turn, message_id)]
    elif said is not None:
        content = [Text(said)]
    elif turn.results and not isinstance(directive, words.Help | words.Long):
        content = [Text(_told(turn.results))]
    else:
        content = [Text(_spoken(directive, turn))]
    return compose([*_thinking(fields, turn), *content], terms)


def _terms(fields: Mapping[str, Any], message_id: str) -> Terms:
    model, limit = fields.get("model"), fields.get("max_tokens")
    limited = isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
    return Terms(
        message_id=message_id,
        model=clean(model) if isinstance(model, str) and model else "demo",
        input_tokens=estimate(fields),
        max_tokens=limit if limited else None,
        stop_sequences=tuple(text for text in strings(fields.get("stop_sequences")) if text),
    )


def _on_its_own(fields: Mapping[str, Any], turn: Turn) -> str | None:
    """The answer to a request that the client makes for itself; None for a turn of the user."""
    output = mapping(mapping(fields.get("output_config")).get("format")) or mapping(fields.get("output_format"))
    if output.get("type") == "json_schema":
        return _json(sample(output.get("schema"), "ccrouter demo"))
    # Claude Code's safety classifier: it reads a verdict from tags, so not even an echo may carry them.
    stops = strings(fields.get("stop_sequences"))
    judges = any(text.startswith(claude_code.TRANSCRIPT) for text in turn.texts)
    if judges or not claude_code.CHECK_STOPS.isdisjoint(stops):
        return "The demo model of ccrouter gives no verdicts."
    if turn.prompt.startswith(claude_code.RESUMPTION):
        return "My answer broke off, and your client asked for the rest. This is the rest."
    if turn.prompt.startswith(claude_code.COMPACTION):
        earlier = [_short(text, 200) for text in prompts(fields)[:-1]][-_SUMMED_UP:]
        listed = "\n".join(f"- {text}" for text in earlier) or "- nothing yet"
        listed = listed.replace("<", "&lt;")
        opens, closes = claude_code.SUMMARY_MARKS
        return f"{opens}\n{_SELF} The user wrote:\n{listed}\n{closes}"
    return None


def _thinking(fields: Mapping[str, Any], turn: Turn) -> list[Block]:
    thinking = mapping(fields.get("thinking"))
    if thinking.get("type") not in ("enabled", "adaptive"):
        return []
    seen = f"{len(turn.results)} results of tools" if turn.settled else f"a prompt of {len(turn.prompt)} letters"
    offered = f"{len(turn.tools)} tools to call"
    text = f"A real model would think here. I see {seen} and {offered}, and look up what my script says."
    return [Thinking(text, shown=thinking.get("display") != "omitted")]


def _failure(fields: Mapping[str, Any], turn: Turn, terms: Terms, wish: words.Fail) -> Reply:
    if (refused := failures.refusal(wish, terms.input_tokens)) is not None:
        return refused
    streamed = fields.get("stream") is True
    if wish.what in failures.STREAMS and streamed:
        said = f"You asked for a stream in which {failures.STREAMS[wish.what]}. This is how far it comes:"
        said = f"{said} {_filler(40)}"
    elif wish.what in failures.STREAMS:
        said = "Without a stream there is nothing to break: this is the answer to the request made again."
    else:
        said = "You asked for an answer that comes late. Here it is."
    script: Script = compose([*_thinking(fields, turn), Text(said)], terms)
    return failures.spoil(script, wish, streamed=streamed)


def _wishes(directive: words.Directive | None, turn: Turn) -> tuple[list[_Wish], str | None]:
    """The calls that the user asked for; where they cannot be made, why."""
    match directive:
        case words.Errand(kind, items):
            name, arguments = _ERRANDS[kind]
            able = [tool for tool in turn.tools if any(key in tool.properties for key in arguments)]
            able.sort(key=lambda tool: tool.name.lower() != name)
            if not able:
                return [], f"I can't {kind} anything: no tool for it is offered in this request."
            key = next(key for key in arguments if key in able[0].properties)
            return [_Wish(able[0], fill(able[0].schema, {key: item})) for item in items], None
        case words.Use(name, given, text):
            tool = next((tool for tool in turn.tools if tool.name.lower() == name.lower()), None)
            if tool is None:
                offered = ", ".join(tool.name for tool in turn.tools) or "none"
                return [], f"No tool named {name} is offered in this request. Offered: {offered}."
            if given is None:
                given = fill(tool.schema, {} if text is None else {_main_argument(tool): text})
            return [_Wish(tool, given)], None
    return [], None


def _main_argument(tool: Tool) -> str:
    usual = [key for _, arguments in _ERRANDS.values() for key in arguments if key in tool.properties]
    return next(iter([*usual, *tool.required, *tool.properties]), "input")


def _calls(wishes: Sequence[_Wish], turn: Turn, message_id: str) -> list[Call]:
    stem = message_id.removeprefix("msg_")
    made = [
        Call(f"toolu_{stem}_{number}", wish.tool.name, _json(wish.input)) for number, wish in enumerate(wishes)
    ]
    return made if turn.parallel else made[:1]


def _json(value: object) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):  # a schema's own default can be what JSON cannot say
        return "{}"


def _told(results: Sequence[Result]) -> str:
    parts = []
    for result in results:
        head = f"{result.tool} {'reports an error' if result.failed else 'answered'}"
        lines = result.text.splitlines()
        if not lines:
            parts.append(f"{head}, without a word.")
            continue
        # Indented, not fenced: whatever the result holds cannot end the quotation.
        body = "\n".join(f"    {_cut(line, _QUOTED_WIDTH)}" for line in lines[:_QUOTED_LINES])
        left = len(lines) - _QUOTED_LINES
        parts.append(f"{head}:\n\n{body}" + (f"\n\n({left} more lines)" if left > 0 else ""))
    return "\n\n".join([*parts, "That is all I can say of it: I am the demo model of ccrouter."])


def _spoken(directive: words.Directive | None, turn: Turn) -> str:
    match directive:
        case words.Help():
            return _HELP
        case words.Long("words", count):
            return _filler(count)
        case words.Long(_, count):
            return " ".join(str(number) for number in range(1, count + 1)) or "0"
        case words.Fail():
            return f"I don't know that failure. What can follow `fail`: {failures.names()}."
    said = f"You said: {_short(turn.prompt, _ECHO)}" if turn.prompt else "You said nothing."
    hint = f"{directive.hint}. " if isinstance(directive, words.Unclear) else ""
    return f"{said}\n\n{hint}{_SELF} {_REAL}\n\n{_MORE}"


def _filler(count: int) -> str:
    return " ".join(islice(cycle(_FILLER.split()), count)) or "None."


def _short(text: str, limit: int) -> str:
    return _cut(" ".join(text.split()), limit)


def _cut(line: str, limit: int) -> str:
    return line if len(line) <= limit else f"{line[:limit]}…"
