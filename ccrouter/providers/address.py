"""Where an endpoint of a provider is. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from ccrouter.providers.provider import Provider

#: What may stand in a query as it came.
_QUERY = "!$&'()*+,;=:@/?%-._~[]"


def url(provider: Provider, path: str, query: str = "") -> str:
    """An endpoint of a provider. Characters that a URL can't carry are escaped, others kept as they came."""
    address = _joined(provider.base_url.rstrip("/"), path)
    return f"{address}?{quote(query, safe=_QUERY)}" if query else address


def _joined(base: str, path: str) -> str:
    """``path`` below ``base``. What the one ends with and the other begins with is said once.

    So it is with what stands further inside the path, if it is no single word: a vendor that has two roots for the
    same endpoints, ``/api/coding/paas/v4`` and ``/api/paas/v4``, is reached at either.
    """
    parts = path.strip("/").split("/")
    place = urlsplit(base).path
    for length in range(len(parts), 0, -1):
        for start in range(len(parts) - length + 1 if length > 1 else 1):
            if place.endswith("/" + "/".join(parts[start : start + length])):
                return "/".join([base, *parts[start + length :]])
    return base + path
