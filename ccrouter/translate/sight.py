"""What a target is shown of pictures, files and thinking: the rest costs it nothing but a few words.

By the rules of the wire that is spoken. Those who write the request ask here, and so do those who tell its size
before it is written: a PDF of which a model gets one line must not fill its window.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from ccrouter.providers.provider import Target, Wire
from ccrouter.translate import provenance

#: Where a picture or a file is, in the words of its ``source``; None: wherever it may be.
Places = frozenset[str] | None

_NOWHERE: frozenset[str] = frozenset()

#: Whose thinking is shown that has no signature of ours: what may be Claude's, all others', nobody's.
Unsigned = Literal["claudes", "others", "nobodys"]


@frozen
class Sight:
    """What a target is shown."""

    images: Places
    files: Places
    """Only such as have no text: everybody is told that."""
    unsigned: Unsigned
    provider: str | None
    """Whose thinking is shown that has our signature; None: nobody's."""

    def shows_image(self, place: object) -> bool:
        """Whether an image is seen that is there."""
        return self.images is None or (isinstance(place, str) and place in self.images)

    def shows_file(self, place: object) -> bool:
        """Whether a file is read that is there."""
        return self.files is None or (isinstance(place, str) and place in self.files)

    def shows_thinking(self, signature: object) -> bool:
        """Whether thinking may come back to the target; False only where it certainly doesn't."""
        if provenance.is_ours(signature):
            origin = provenance.read(signature)
            return origin is not None and origin.provider == self.provider
        return self.unsigned != "nobodys" and not is_anothers(signature, strict=self.unsigned == "claudes")


def is_strict(target: Target) -> bool:
    """Whether a target's Messages endpoint is Anthropic's, or passes on to it."""
    preset = target.provider.preset
    return preset.first_party or target.model.startswith(preset.relays)


def hears_system(target: Target) -> bool:
    """Whether a target's model is told by the system what that says in mid-conversation.

    Only Anthropic's are sure to take that: see `ccrouter.translate.messages.history_system`.
    """
    preset = target.provider.preset
    if preset.quirks.later_system != "user":
        return True
    name = target.model.lower()
    return is_strict(target) and (not preset.relayed_names or any(each in name for each in preset.relayed_names))


def is_anothers(signature: object, *, strict: bool) -> bool:
    """Whether a signature that isn't ours certainly isn't the target's.

    Who checks them gets none that Anthropic can't have made, everybody else none that it made.
    """
    if not isinstance(signature, str) or not signature:
        return strict
    return not provenance.may_be_anthropics(signature) if strict else provenance.is_anthropics(signature)


def of(target: Target, wire: Wire | None = None) -> Sight:
    """What ``target`` is shown on a wire; None: the one that is spoken to it."""
    wire = wire or target.wire
    preset, provider = target.provider.preset, target.provider.name
    sees = target.known.vision is not False
    if wire == "messages":
        if is_strict(target):
            return Sight(None if sees else _NOWHERE, None, "claudes", provider)
        blocks = preset.blocks
        sees = sees and (blocks is None or "image" in blocks)
        files = _places(blocks is None or "document" in blocks, links=True)
        return Sight(_places(sees, links=preset.image_links), files, "others", provider)
    quirks = target.quirks
    plain = wire == "ollama"  # which has a place for the bytes of pictures, and for nothing else
    images = _places(sees and quirks.images, links=not plain)
    files = _places(quirks.files and not plain, links=wire == "responses" or quirks.file_links)
    takes_back = wire != "chat" or quirks.replay != "none"
    return Sight(images, files, "nobodys", provider if takes_back else None)


def _places(taken: bool, *, links: bool) -> frozenset[str]:
    return frozenset({"base64", "url"} if links else {"base64"}) if taken else _NOWHERE
