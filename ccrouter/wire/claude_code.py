"""Claude Code's own spellings: what its requests are known by, and the words of a refusal on which it acts. Data.

They are in no contract, and any version may have others: then they change here, since no other module spells them
(tests/wire/test_claude_code.py). Seen with 2.1.197 and 2.1.329, 2026-11; where only one of the two has something,
it says which. The program holds nearly all of them as plain text, so to search it is a quick way to see what a
newer version has changed. A sign that fails must cost little: see `ccrouter.routing.caller`.

What is Anthropic's API (fields, types of blocks and of errors) stands where it is read. What else is the client's:
its variables and settings stand in `ccrouter.cli.environment`, `settings` and `claude`, the place of its login in
`ccrouter.upstream.subscription`.
"""

from __future__ import annotations

import re
from typing import Literal

# Headers

#: Of every request, and of those of agents.
SESSION_HEADER = b"x-claude-code-session-id"
AGENT_ID_HEADER = b"x-claude-code-agent-id"

#: With ``CLAUDE_CODE_GATEWAY_HINT_HEADERS=1``, from 2.1.273 on: the kind of a request, and the type of an agent.
CLASS_HEADER = b"x-claude-code-request-class"
AGENT_TYPE_HEADER = b"x-claude-code-agent-type"

RequestClass = Literal["main", "subagent", "workflow", "compaction", "auxiliary", "side_reply"]

#: How its ``user-agent`` begins, in small letters: ``claude-cli/2.1.329``.
USER_AGENT = "claude"

#: What some versions ask for when they start, to see whether there is somebody.
HELLO = "/api/hello"

#: Of which account its login is, in the object that ``metadata.user_id`` spells as JSON.
ACCOUNT = "account_uuid"

# Models

#: Its words for models, besides the names of their families.
MODEL_WORDS = ("best", "default", "opusplan")

#: Stands behind the name of a model that is to have its long window.
LONG_CONTEXT = "[1m]"

# The system prompt

#: How the first block begins, which speaks of its version and of billing. Anthropic strips it; to everybody else
#: it would be a line that no model should see, and that spoils prompt caches.
ATTRIBUTION = "x-anthropic-billing-header:"

#: What that block says of an agent's request.
OF_SUBAGENT = "cc_is_subagent=true"

#: How the prompts of its own agents begin. The prompt of an agent that its user made is the text of its file, and
#: no version says its name: all of those are ``custom``, as newer clients call them.
AGENTS = (
    ("Explore", "You are a file search specialist for Claude Code"),
    ("Plan", "You are a software architect and planning specialist for Claude Code"),
    ("general-purpose", "You are an agent for Claude Code, Anthropic's official CLI for Claude."),
    ("statusline-setup", "You are a status line setup agent for Claude Code."),
    ("claude", "This session is a background job. The user may be live or away"),
    ("claude-code-guide", "You are the Claude guide agent."),
    ("workflow-subagent", "You are a subagent spawned by a workflow orchestration script."),
)
CUSTOM = "custom"

#: How the prompt of its safety checks begins.
CHECK = "You are a security monitor for autonomous AI coding agents"

#: Where their answers are to stop: a verdict ends so. The second is 2.1.329's. A second stage does without.
CHECK_STOPS = frozenset({"</block>", "</severity>"})

#: How the text begins that they are to judge.
TRANSCRIPT = "<transcript>"

#: A line that names its directory, in the description of its surroundings.
DIRECTORY = re.compile(r"(?: - )?(?:Primary working|Working) directory: (.+)")
#: What is in such a line, and hardly elsewhere: to search for it is far quicker than to look at each line.
IN_DIRECTORY = "orking directory: "

#: How that description begins, in the main conversation, and in agents of 2.1.197; and its headings alone.
SURROUNDINGS = (
    "# Environment\nYou have been invoked in the following environment",
    "Here is useful information about the environment you are running in:\n<env>\n",
)
SURROUNDINGS_HEADINGS = ("# Environment\n", "<env>\n")

# Messages

#: The tag between whose marks it puts its own notes into the user's text. Both marks may carry an id.
REMINDER = "system-reminder"

#: How the description of its surroundings begins where a model takes no system role in messages.
SURROUNDINGS_REMINDER = "<system-reminder>\n# Environment\n"

#: How the last text begins of a request for a summary of the conversation, and what it needs around that.
COMPACTION = "CRITICAL: Respond with TEXT ONLY"
SUMMARY_MARKS = ("<summary>", "</summary>")

#: How the text begins with which it asks for the rest of a stream that broke (2.1.329).
RESUMPTION = "Your response above was cut off mid-stream"

#: What the schema of an answer has, all of it, in a question for the title of a session.
TITLE = ("title",)

#: How it tells of a task in the background that ended, what of it, and whether that failed.
TASK_ENDED = "<task-notification>"
TASK_RESULT = ("<result>", "</result>")
TASK_FAILED = "<status>failed</status>"

# Tools

#: Stands in for tools not loaded yet, so that Anthropic has one to defer. Never to be called (2.1.329).
PLACEHOLDER = "DeferredToolPlaceholder"

# Refusals: it looks for these words in the message of an error, whatever else stands there

#: It compacts the conversation and goes on. From the numbers it computes how much to cut.
PROMPT_TOO_LONG = "prompt is too long"
PROMPT_TOO_LONG_BY = "prompt is too long: {tokens} tokens > {window} maximum"

#: It asks again for less output.
OUTPUT_TOO_LONG = "input length and `max_tokens` exceed context limit"

#: It asks again without thinking, without pictures, without documents.
SIGNATURE_REFUSED = "Invalid `signature` in `thinking` block"
IMAGE_REFUSED = "Could not process image"
DOCUMENT_REFUSED = "Could not process PDF"
#: The three of them as others may have said them.
PART_REFUSED = re.compile(r"could not process (?:image|pdf)|signature`? in `?thinking`? block", re.IGNORECASE)

#: In front of the class of what a backend can't do: for those that it knows it asks again without. Behind the
#: class, a colon would be a part of its name (2.1.329; to 2.1.197 it is an error like any).
CAPABILITY_REJECTED = "capability_rejected: "
NO_STRUCTURED_OUTPUTS = "capability_rejected: structured_outputs_unsupported"

#: It takes every error that names this header for a login that is missing: it shows "Not logged in · Please run
#: /login", and of the message nothing.
LOGIN_MISSING = "x-api-key"
