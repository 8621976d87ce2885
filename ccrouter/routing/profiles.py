"""What holds at one moment for one request: the configuration, a profile's changes to it, and a project's. Pure.

What is nearer to the request comes first: the project's own rules, then the profile's, then those of the file.
"""

from __future__ import annotations

from attrs import evolve, field, frozen

from ccrouter.routing.config import Config, Lent
from ccrouter.routing.rules import Rule


@frozen(kw_only=True)
class Project:
    """A project's ``.ccrouter.toml``: names and rules. It knows no providers, no secrets, no commands."""

    profile: str | None = None
    default: str | None = None
    subagent: tuple[str, ...] = ()
    aliases: dict[str, tuple[str, ...]] = field(factory=dict)
    routes: tuple[Rule, ...] = ()


@frozen(kw_only=True)
class Choice:
    """What ``ccrouter use``, ``subagent`` and ``classifier`` chose; it wins over the file.

    ``projects`` has the profiles of directories, the longest first that fits.
    """

    profile: str | None = None
    projects: tuple[tuple[str, str], ...] = ()
    subagent: str | None = None
    classifier: str | None = None

    def of(self, directory: str | None) -> str | None:
        """The profile that was chosen for a directory; None where none was."""
        if directory is not None:
            there = directory.replace("\\", "/").rstrip("/")
            for place, profile in sorted(self.projects, key=lambda each: len(each[0]), reverse=True):
                wanted = place.replace("\\", "/").rstrip("/")
                if there == wanted or there.startswith(wanted + "/"):
                    return profile
        return None


@frozen(kw_only=True)
class InForce:
    """The configuration of a request. ``problem``: why the profile that was meant is not in force."""

    config: Config
    profile: str | None = None
    problem: str | None = None


def in_force(config: Config, choice: Choice, project: Project | None, directory: str | None) -> InForce:
    """Put together what holds."""
    named = _chosen(config, choice, project, directory)
    name = next((each for each in named if each in config.profiles), None)
    problem = None
    if named and named[0] != name:
        there = ", ".join(config.profiles) or "none"
        holds = f"{name!r} is" if name is not None else "none is"
        problem = (
            f"there is no profile {named[0]!r} in the configuration (there are: {there}), so {holds} in force"
        )
    if name is not None:
        profile = config.profiles[name]
        config = evolve(
            config,
            default=profile.default or config.default,
            subagent=profile.subagent or config.subagent,
            classifier=profile.classifier or config.classifier,
            aliases=config.aliases | profile.aliases,
            routes=profile.routes + config.routes,
            off=profile.off,
        )
    if project is not None:
        config = evolve(
            config,
            default=project.default or config.default,
            subagent=project.subagent or config.subagent,
            aliases=config.aliases | project.aliases,
            routes=project.routes + config.routes,
            lent=Lent(
                aliases=frozenset(project.aliases),
                default=project.default is not None,
                subagent=bool(project.subagent) and choice.subagent is None,
            ),
            off=config.off | _off_by_the_user(config, choice, directory),
        )
    if choice.subagent is not None:
        config = evolve(config, subagent=(choice.subagent,) if choice.subagent else ())
    if choice.classifier is not None:
        config = evolve(config, classifier=(choice.classifier,) if choice.classifier else ())
    return InForce(config=config, profile=name, problem=problem)


def _off_by_the_user(config: Config, choice: Choice, directory: str | None) -> frozenset[str]:
    """What the user's own profile switches off stays off, whatever profile a repository asks for."""
    own = (choice.of(directory), choice.profile, config.profile)
    name = next((each for each in own if each in config.profiles), None)
    return frozenset() if name is None else config.profiles[name].off


def _chosen(config: Config, choice: Choice, project: Project | None, directory: str | None) -> list[str]:
    """For a directory the user's own word, then the project's; then the user's word for all, then the file's."""
    named = (choice.of(directory), None if project is None else project.profile, choice.profile, config.profile)
    return [each for each in named if each is not None]
