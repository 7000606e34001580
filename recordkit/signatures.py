"""Arguments by their names: what a function or a dataclass takes, and what is said to a name that is not there."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, TypeVar

from .errors import SettingsError
from .values import Setting

C = TypeVar("C", bound=Callable[..., Any])

_SAME = {"fps": "frame_rate", "frame_rate": "fps", "duration": "seconds"}
"""What has one name in one place and another in the next."""


def named(made: C) -> C:
    """Refuse names that ``made``, a function or a dataclass, does not have, and suggest the one that was meant.

    Names that begin with ``_`` are taken and told to nobody: tests steer by them.
    """
    return _checked(made, {})


def named_with(options: type, settings: type, **other_defaults: object) -> Callable[[C], C]:
    """``named`` for what takes ``**settings: Unpack[options]``, a TypedDict of arguments of ``settings``.

    They are in its signature one by one, with their defaults, for ``help`` and completion;
    ``other_defaults`` are those that it has itself.
    """
    defaults = {name: one.default for name, one in inspect.signature(settings).parameters.items()} | other_defaults
    return functools.partial(
        _checked,
        further={
            name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind)
            for name, kind in typing.get_type_hints(options).items()
            if not name.startswith("_")
        },
    )


def _checked(made: C, further: dict[str, inspect.Parameter]) -> C:
    target: Callable[..., Any] = getattr(made, "__init__") if isinstance(made, type) else made  # noqa: B009 - mypy
    signature = _signature(target, made, further)

    @functools.wraps(target)
    def checked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the function itself
        for name, value in kwargs.items():
            if name not in signature.parameters and not name.startswith("_"):
                raise unknown(name, value, signature.parameters, _inside(signature, name))
        return target(*args, **kwargs)

    checked.__signature__ = signature  # type: ignore[attr-defined]
    if isinstance(made, type):
        made.__init__ = checked  # type: ignore[misc]
        return made
    return typing.cast("C", checked)


def unknown(
    name: str, value: object, known: typing.Iterable[str], inside: typing.Iterable[str] = ()
) -> SettingsError:
    """The error for a name that is not one of ``known``, with the one that was probably meant.

    ``inside`` are settings that are given as one, such as ``video=VideoSettings(...)``, and have the name.
    """
    there = [one for one in known if one not in ("self", "settings")]
    close = get_close_matches(name, there, 1, 0.6)
    if _SAME.get(name) in there:
        advice = f"{_SAME[name]}?"
    elif found := " or ".join(inside):
        advice = f"give {found}"
    else:
        advice = f"{close[0]}?" if close else f"there are {', '.join(sorted(there))}"
    return SettingsError(name, value, f"there is no such setting: {advice}")


def _inside(signature: inspect.Signature, name: str) -> list[str]:
    """How ``name`` is given by way of a parameter that is a dataclass of settings."""
    found = []
    for outer in signature.parameters.values():
        for kind in _kinds(outer.annotation):
            fields = {one.name for one in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
            if (inner := name if name in fields else _SAME.get(name)) in fields:
                found.append(f"{outer.name}={kind.__name__}({inner}=...)")
    return list(dict.fromkeys(found))


def _kinds(annotation: Any) -> list[type]:  # noqa: ANN401 - whatever stands there
    """The classes of an annotation, those of its parts too."""
    kinds = [annotation] if isinstance(annotation, type) else []
    return kinds + [kind for part in typing.get_args(annotation) for kind in _kinds(part)]


def _signature(target: Any, made: Any, further: dict[str, inspect.Parameter]) -> inspect.Signature:  # noqa: ANN401
    hints = typing.get_type_hints(made) if dataclasses.is_dataclass(made) else {}
    signature = inspect.signature(target)
    kept = [
        one.replace(annotation=hints[one.name].__args__[0])
        if getattr(hints.get(one.name), "__origin__", None) is Setting
        else one
        for one in signature.parameters.values()
        if not one.name.startswith("_") and one.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    more = [parameter for name, parameter in further.items() if name not in signature.parameters]
    return signature.replace(parameters=[*kept, *more])
