"""Settings of a run as text: from a TOML file or from `--set`, and back to TOML. run_config.py says what they mean."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityguessr_data.core.errors import InputError

from .run_config import RunConfig


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a TOML file.

    Raises:
        InputError: no such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}", "Name a TOML file") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InputError(
            f"{path} is not a TOML file ({exc})", "Mend it, or start from what --show-config prints"
        ) from exc


def read_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Settings of `--set train.lr=1e-4`: a value is TOML, and a word without quotes is a text.

    Raises:
        InputError: not of the form section.name=value.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not section or (not key and name.strip() != "model"):
            raise InputError(f"--set {assignment}: expected section.name=value", "For example: --set train.lr=1e-4")
        if dot:
            settings.setdefault(section, {})[key] = _value(value.strip())
        else:
            settings[section] = _value(value.strip())
    return settings


def to_toml(config: RunConfig) -> str:
    """The whole configuration as TOML; `read_toml` of it gives the same."""
    lines = [f"model = {_toml(config.model)}"]
    for spec in dataclasses.fields(config)[1:]:
        part = getattr(config, spec.name)
        lines += ["", f"[{spec.name}]"]
        lines += [f"{s.name} = {_toml(getattr(part, s.name))}" for s in dataclasses.fields(part)]
    return "\n".join(lines) + "\n"


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = "".join(
            c if c.isprintable() else f"\\u{ord(c):04x}" for c in value.replace("\\", "\\\\").replace('"', '\\"')
        )
        return f'"{escaped}"'
    return repr(value)
