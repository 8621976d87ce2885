"""What can become of a thing: the words that a measurement gives, each with its sign in the table."""

from __future__ import annotations

from collections.abc import Mapping

SUPPORTED = "supported"
UNTOUCHED = "untouched"
AS_TEXT = "as text"
IN_WORDS = "in words"
MOVED = "moved"
REMINDER = "reminder"
BY_ROUTER = "by the router"
JSON_ONLY = "json object"
ONE_TOOL = "one tool"
FREE = "free choice"
NO_TOOLS = "no tools"
CLAMPED = "clamped"
LEAST = "least"
SWITCHED = "switched"
LEFT_OUT = "left out"
UNSAID = "unsaid"
CAPABILITY = "capability"
FIELD = "field"
BARE = "without numbers"
ANOTHERS = "another's"
NEVER = "never"
WRONG = "wrong"

#: Outcome -> its sign, and what it means.
LEGEND: Mapping[str, tuple[str, str]] = {
    UNTOUCHED: (
        "=",
        "passes as it is, member for member and byte for byte: what the backend makes of it is its own",
    ),
    SUPPORTED: ("+", "arrives in the wire's own way, or is told to the client in its own words"),
    AS_TEXT: ("t", "its whole content arrives, as text"),
    REMINDER: ("r", "arrives as a reminder in the user's message"),
    MOVED: ("m", "arrives in the user's message behind the tool's"),
    BY_ROUTER: ("c", "ccrouter does it itself: cuts at the sequence, estimates the count"),
    JSON_ONLY: ("j", "a JSON object is asked for, its schema in words"),
    ONE_TOOL: ("1", "only the forced tool is offered"),
    FREE: ("a", "the model is left to choose, and `changes` says so"),
    NO_TOOLS: ("0", "no tools are offered, and `changes` says so"),
    CLAMPED: ("k", "cut to what the model can give, and `changes` says so"),
    SWITCHED: ("s", "thinking is switched on; how much of it is left to the backend"),
    LEAST: ("l", "as little of it is asked for as there is a word for"),
    IN_WORDS: ("w", "words stand in its place, and `changes` says so"),
    LEFT_OUT: ("-", "left out, and `changes` says so"),
    UNSAID: (".", "left out without a word; only where no answer depends on it"),
    CAPABILITY: ("C", "refused, 400 `capability_rejected: CLASS …`"),
    FIELD: ("F", "refused, 400 `FIELD: Extra inputs are not permitted`"),
    BARE: ("~", "told in the client's words, but without their numbers"),
    ANOTHERS: (">", "passes as it is, though another provider made it; its maker alone can use it"),
    NEVER: ("/", "never happens there"),
    WRONG: ("!", "wrong; the message of the test tells how"),
}


def wrong(how: object) -> str:
    """What no cell may be."""
    return f"{WRONG}: {how}"


def right(promise: object, how: object = "") -> str:
    """Supported if ``promise`` holds."""
    return SUPPORTED if promise else wrong(how)


def sign(outcome: str) -> str:
    """The sign of an outcome. Raises KeyError for one that is not in the legend."""
    return LEGEND[outcome.partition(":")[0]][0]


def of_refusal(message: str) -> str:
    """The outcome of a request that ccrouter refused, by the name of its error."""
    if message.startswith("capability_rejected: "):
        return CAPABILITY
    return FIELD if ": Extra inputs are not permitted" in message else wrong(f"refused with {message!r}")
