"""Places of aiortc beyond its public interface: each is looked at before it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from ...errors import TapError

KNOWN_VERSIONS = "1.16"


def private(owner: object, name: str, fits: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - untyped over there
    """The attribute, if ``fits`` says that it is what is expected; raises TapError."""
    value = getattr(owner, name, None)
    if not fits(value):
        raise changed(f"{type(owner).__name__}.{name.rpartition('__')[2] if '__' in name else name}")
    return value


def changed(name: str) -> TapError:
    """What to raise when ``name`` is not there any more."""
    return TapError(version("aiortc"), KNOWN_VERSIONS, name)
