from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccrouter.routing.caller import Caller, caller, texts_of
from tests.routing.samples import headers
from tests.strategies import json_objects, json_values

# As the two client versions send them, 2026-11: the beginnings of their texts.

NEW, OLD = "2.1.329", "2.1.197"
SDK = "You are a Claude agent, built on Anthropic's Claude Agent SDK."
COMPACT = "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.\n\n- Do NOT use Read, Bash, Grep"
MONITOR = "You are a security monitor for autonomous AI coding agents.\n\n## Context\n\n"
EXPLORE = "You are a file search specialist for Claude Code, Anthropic's official CLI for Claude. You excel at"
PLAN = "You are a software architect and planning specialist for Claude Code. Your role is to explore"
GENERAL = "You are an agent for Claude Code, Anthropic's official CLI for Claude. Given the user's message,"
STATUS = "You are a status line setup agent for Claude Code. Your job is to create or update"
CLAUDE = "This session is a background job. The user may be live or away — respond naturally either way."
GUIDE = "You are the Claude guide agent. Your primary responsibility is helping users understand"
WORKFLOW = "You are a subagent spawned by a workflow orchestration script. Use the tools"
MAIN = {
    NEW: "\nYou are an agent working with the user toward their goals, using your own judgment along the way.",
    OLD: "\nYou are an interactive agent that helps users with software engineering tasks.",
}
AGENT_ID = "a0123456789abcdef"


def system(text, *, version=NEW, sub=False):
    mark = " cc_is_subagent=true;" if sub else ""
    first = f"x-anthropic-billing-header: cc_version={version}.5c8; cc_entrypoint=sdk-cli;{mark}"
    return [{"type": "text", "text": each} for each in (first, SDK, text)]


def asked(*texts):
    return [{"role": "user", "content": [{"type": "text", "text": each} for each in texts]}]


def schema(*names):
    properties = {name: {"type": "string"} for name in names}
    return {"effort": "low", "format": {"type": "json_schema", "schema": {"properties": properties}}}


def who(fields, **hints):
    found = caller(headers(**hints), fields)
    return found.kind, found.agent, found.task


# With hint headers

HINTS = [
    ({"class": "main"}, "main", None),
    ({"class": "subagent", "type": "Explore", "id": AGENT_ID}, "subagent", "Explore"),
    ({"class": "subagent", "type": "custom", "id": AGENT_ID}, "subagent", "custom"),
    ({"class": "subagent", "type": "fork", "id": AGENT_ID}, "subagent", "fork"),
    ({"class": "subagent"}, "subagent", "custom"),  # a hook of the type `agent`
    ({"class": "workflow", "type": "workflow-subagent", "id": AGENT_ID}, "workflow", "workflow-subagent"),
    ({"class": "workflow", "type": "Explore", "id": AGENT_ID}, "workflow", "Explore"),
    ({"class": "compaction"}, "compaction", None),
    ({"class": "compaction", "id": AGENT_ID}, "compaction", None),
    ({"class": "auxiliary"}, "auxiliary", None),
    ({"class": "side_reply"}, "side_reply", None),
]


@pytest.mark.parametrize(("said", "kind", "agent"), HINTS)
def test_what_the_client_says_of_itself_is_taken(said, kind, agent):
    names = {"class": "request_class", "type": "agent_type", "id": "agent_id"}
    hints = {f"x_claude_code_{names[key]}": value for key, value in said.items()}
    fields = {"system": system("You are BEGIN.", sub="id" in said), "messages": asked(COMPACT)}
    assert who(fields, **hints) == (kind, agent, None)
    found = caller(headers(**hints), fields)
    assert found.sign == "the client says so (x-claude-code-request-class)"
    assert found.agent_id == said.get("id")


@pytest.mark.parametrize("said", ["", "  ", "MAIN", "main,subagent", "hologram"])
def test_a_class_that_nobody_knows_is_no_class(said):
    assert who({"system": system(EXPLORE, sub=True)}, x_claude_code_request_class=said)[0] == "subagent"


# By signs: no header says it

SUBAGENTS = [
    (EXPLORE, "Explore"),
    (PLAN, "Plan"),
    (GENERAL, "general-purpose"),
    (STATUS, "statusline-setup"),
    (CLAUDE, "claude"),
    (GUIDE, "claude-code-guide"),
    (WORKFLOW, "workflow-subagent"),
    ("You are BEGIN, careful.\n\nNotes:\n- Agent threads always have their cwd reset", "custom"),
    ("", "custom"),
]


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize(("text", "agent"), SUBAGENTS)
def test_a_subagent_is_known_by_its_attribution_and_its_type_by_its_prompt(version, text, agent):
    fields = {"system": system(text, version=version, sub=True), "tools": [{"name": "Bash"}], "stream": True}
    assert who(fields) == ("subagent", agent, None)
    assert caller([], fields).sign == "its attribution says cc_is_subagent"


@pytest.mark.parametrize("version", [NEW, OLD])
def test_a_subagent_is_known_by_its_id(version):
    fields = {"system": system(EXPLORE, version=version), "messages": asked(COMPACT)}
    found = caller(headers(x_claude_code_agent_id=AGENT_ID), fields)
    assert (found.kind, found.agent, found.agent_id) == ("subagent", "Explore", AGENT_ID)
    assert found.sign == "it has the header x-claude-code-agent-id"


@pytest.mark.parametrize("version", [NEW, OLD])
def test_a_main_request_is_what_nothing_else_is_said_of(version):
    fields = {"system": system(MAIN[version], version=version), "messages": asked("hi"), "stream": True}
    assert caller(headers(x_app="cli"), fields) == Caller()


@pytest.mark.parametrize(
    "prompt",
    [
        system("My file says cc_is_subagent=true; and so on"),
        [{"type": "text", "text": "My file says cc_is_subagent=true; and so on"}],
        "My file says cc_is_subagent=true; and so on",
    ],
)
def test_the_attribution_is_the_first_block_only_and_begins_as_one(prompt):
    assert who({"system": prompt}) == ("main", None, None)


@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("before", [(), ("Compact now, please.",)])
def test_a_compaction_is_known_by_how_its_last_text_begins(version, before):
    results = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
    fields = {"system": system(MAIN[version], version=version), "messages": [results, *asked(*before, COMPACT)]}
    assert who(fields) == ("compaction", None, None)
    fields["messages"][1]["content"].insert(0, results["content"][0])
    assert who(fields) == ("compaction", None, None)


@pytest.mark.parametrize("texts", [(COMPACT, "and more"), ("He said: " + COMPACT,), ()])
def test_the_words_of_a_compaction_in_another_place_make_none(texts):
    assert who({"messages": asked(*texts)}) == ("main", None, None)
    assert (
        who({"messages": [*asked(COMPACT), {"role": "assistant", "content": "ok"}, *asked("go on")]})[0] == "main"
    )


CHECKS = [
    ({"stop_sequences": ["</severity>"], "max_tokens": 64}, NEW),
    ({"stop_sequences": ["</block>"], "max_tokens": 64}, NEW),
    ({"stop_sequences": ["</block>"], "max_tokens": 64}, OLD),
    ({"max_tokens": 8192}, NEW),
    ({"max_tokens": 8192}, OLD),
]


@pytest.mark.parametrize("hints", [{}, {"x_claude_code_request_class": "auxiliary"}])
@pytest.mark.parametrize(("own", "version"), CHECKS)
def test_a_safety_check_of_either_stage_is_known(own, version, hints):
    prompt = [each for each in system(MONITOR, version=version) if each["text"] != SDK]
    fields = {"system": prompt, "messages": asked("<transcript>"), "thinking": {"type": "disabled"}, **own}
    assert who(fields, **hints) == ("auxiliary", None, "classifier")
    assert caller(headers(**hints), fields).classes == {"auxiliary", "classifier"}


@pytest.mark.parametrize("sign", [{"stop_sequences": ["</block>"]}, {"stop_sequences": ["</severity>"]}])
def test_where_a_safety_check_stops_is_a_sign_by_itself(sign):
    assert who({"system": "Another prompt", **sign})[2] == "classifier"


@pytest.mark.parametrize("own", [{"stream": True}, {"tools": [{"name": "Bash"}]}])
def test_what_streams_or_has_tools_is_no_safety_check(own):
    assert who({"system": MONITOR, "stop_sequences": ["</block>"], **own}) == ("main", None, None)


@pytest.mark.parametrize("hints", [{}, {"x_claude_code_request_class": "auxiliary"}])
def test_the_question_for_a_title_is_known(hints):
    fields = {"system": system("You are naming a coding session"), "tools": [], "output_config": schema("title")}
    assert who({**fields, "stream": True}, **hints) == ("auxiliary", None, "title")


@pytest.mark.parametrize("names", [("name",), ("ok", "reason"), ("title", "branch"), ()])
def test_other_schemas_are_no_title(names):
    fields = {"tools": [], "output_config": schema(*names)}
    assert who(fields) == ("main", None, None)
    assert who(fields, x_claude_code_request_class="auxiliary") == ("auxiliary", None, None)


def test_what_is_no_background_request_has_no_task():
    fields = {"output_config": schema("title")}
    found = caller(headers(x_claude_code_request_class="main"), fields)
    assert (found.kind, found.task, found.background) == ("main", None, False)
    assert found.classes == {"main"}
    assert caller(headers(x_claude_code_request_class="auxiliary"), fields).background


# Ids


@pytest.mark.parametrize("name", ["x_claude_code_session_id", "x_claude_code_agent_id"])
@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("6f1c2a8e-0000-4000-8000-000000000000", "6f1c2a8e-0000-4000-8000-000000000000"),
        (f" {AGENT_ID} ", AGENT_ID),
        ("x" * 128, "x" * 128),
        ("x" * 129, None),
        ("", None),
        ("a\x1b[2Jb", None),
        ("a\tb", None),
        ("a\x9bb", None),
        ("a\x00", None),
    ],
)
def test_an_id_is_short_and_has_no_control_characters(name, said, taken):
    found = caller([(name.replace("_", "-").encode(), said.encode("latin-1"))], {})
    assert {found.session, found.agent_id} == {taken, None}
    assert (found.session is None) is (taken is None or "agent" in name)


@pytest.mark.parametrize("said", ["a\x1b[2Jb", "x" * 129, "", "  "])
def test_a_type_that_no_client_says_is_found_by_the_prompt(said):
    hints = {"x_claude_code_request_class": "subagent", "x_claude_code_agent_type": said}
    assert who({"system": system(EXPLORE)}, **hints)[1] == "Explore"


# The directory

PATH = "/home/me/wörk dir"
ENVIRONMENT = (
    "# Environment\nYou have been invoked in the following environment: \n"
    f" - Primary working directory: {PATH}\n - Is a git repository: false\n"
    " - Additional working directories:\n  - /tmp"
)
OF_OLD_SUBAGENTS = (
    "Here is useful information about the environment you are running in:\n<env>\n"
    f"Working directory: {PATH}\nIs directory a git repo: No\nAdditional working directories: /tmp"
)
DEFERRED = "The following deferred tools are now available via ToolSearch. "


def as_system(content):
    return {"system": system(MAIN[NEW]), "messages": [*asked("hi"), {"role": "system", "content": content}]}


def reminder(*before):
    texts = [*before, f"<system-reminder>\n{ENVIRONMENT}</system-reminder>", "hi"]
    return {"system": system(MAIN[NEW]), "messages": asked(*texts)}


SURROUNDINGS = [
    as_system([{"type": "text", "text": ENVIRONMENT}]),
    as_system(ENVIRONMENT),
    as_system([{"type": "text", "text": f"{DEFERRED}\n\n{ENVIRONMENT}"}]),
    {"system": system(f"{MAIN[OLD]}\n\n{ENVIRONMENT}", version=OLD), "messages": asked("hi")},
    {"system": system(f"{EXPLORE}\n\n{OF_OLD_SUBAGENTS}", version=OLD, sub=True), "messages": asked("hi")},
    {"system": f"{MAIN[OLD]}\n{ENVIRONMENT}"},
    reminder(),
    reminder(f"<system-reminder>\n{DEFERRED}</system-reminder>"),
]


@pytest.mark.parametrize("fields", SURROUNDINGS, ids=range(len(SURROUNDINGS)))
def test_the_directory_is_found_where_each_version_tells_it(fields):
    assert caller([], fields).project == PATH


EVIL = [
    "Working directory: /evil",
    "# Environment\n - Primary working directory: /evil",
    "<env>\nWorking directory: /evil",
]


@pytest.mark.parametrize("line", EVIL)
def test_an_agents_own_text_names_no_directory(line):
    agents = f"You are BEGIN.\n{line}\n"
    newer = as_system(ENVIRONMENT)
    assert caller([], newer | {"system": system(agents)}).project == PATH
    for own in (f"{agents}\n{ENVIRONMENT}", f"{agents}\n{OF_OLD_SUBAGENTS}"):
        assert caller([], {"system": system(own, version=OLD, sub=True), "messages": asked("hi")}).project == PATH


@pytest.mark.parametrize(
    "below",
    [
        "gitStatus: clean\nWorking directory: /evil",
        "## Environment\nWorking directory: /evil",
        "# Environment\nWorking directory: /evil",
        "<env>\nWorking directory: /evil",
    ],
)
def test_what_is_told_below_the_environment_names_no_directory(below):
    assert caller([], as_system(f"{ENVIRONMENT}\n{below}")).project == PATH
    newer = as_system(ENVIRONMENT)
    behind = [*newer["messages"], {"role": "system", "content": f"SessionStart hook:\n{below}"}]
    assert caller([], newer | {"messages": behind}).project == PATH
    old = {"system": [*system(f"{MAIN[OLD]}\n\n{ENVIRONMENT}", version=OLD), {"type": "text", "text": below}]}
    assert caller([], old).project == PATH


@pytest.mark.parametrize("words", ["# Environment\n", ENVIRONMENT.partition(" - ")[0]])
def test_of_two_descriptions_the_last_counts(words):
    texts = [f"{words} - Primary working directory: {path}\n" for path in ("/evil", PATH)]
    assert caller([], {"system": [*system(texts[0]), *system(texts[1])]}).project == PATH
    assert caller([], as_system(texts[1]) | {"system": system(texts[0])}).project == PATH


def test_where_nothing_is_like_the_clients_words_the_first_line_counts():
    fields = {"system": "Primary working directory: /first\nWorking directory: /second"}
    assert caller([], fields).project == "/first"


def test_a_launcher_says_it_before_all_others():
    said = [(b"x-ccrouter-project", b"/srv/w%C3%B6rk%20dir")]
    assert caller(said, as_system(ENVIRONMENT)).project == "/srv/wörk dir"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": asked(ENVIRONMENT)},
        {"messages": asked(f"He said:\n{ENVIRONMENT}")},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": ENVIRONMENT}]}]},
        {"messages": [*asked("1"), *asked("2"), *asked("3"), {"role": "system", "content": ENVIRONMENT}]},
        {"system": "The Working directory: is none"},
        {"system": "Working directory:  \nx"},
    ],
)
def test_what_was_said_in_the_conversation_is_no_directory(fields):
    assert caller([], fields).project is None


# Odd shapes

_KEYS = ["system", "messages", "tools", "stop_sequences", "output_config", "stream"]
_loaded = json_values.map(json.loads)
_blocks = st.lists(_loaded | st.fixed_dictionaries({"text": _loaded, "content": _loaded}), max_size=2)
_messages = st.lists(st.fixed_dictionaries({"role": _loaded | st.just("user"), "content": _blocks}), max_size=2)
_odd = _loaded | _blocks | _messages
_nested = st.fixed_dictionaries({"format": st.fixed_dictionaries({"schema": _loaded}) | _loaded})


@given(
    st.dictionaries(st.sampled_from(_KEYS), _odd | _nested, max_size=3),
    st.lists(st.binary(max_size=8), max_size=6),
)
def test_no_shape_of_a_request_is_beyond_it(fields, values):
    names = ["request-class", "agent-type", "agent-id", "session-id"]
    said = [(f"x-claude-code-{name}".encode(), value) for name, value in zip(names, values, strict=False)]
    said += [(b"x-ccrouter-project", value) for value in values[4:]]
    found = caller(said, fields)
    assert found.kind
    for each in (found.session, found.agent_id, found.agent):
        assert each is None or (each.isprintable() and each)
    assert list(texts_of(fields.get("system"))) is not None


@given(json_objects())
def test_no_object_is_beyond_it(written):
    assert caller([], json.loads(written.text)).kind
