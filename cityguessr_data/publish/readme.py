"""README.md of an export whose form brings no card of its own; and what every README of ours holds."""

from __future__ import annotations

from typing import Any

from ..stats.page.words import many
from . import about
from .facts import Facts
from .markup import markdown, render


def values_of(facts: Facts) -> dict[str, Any]:
    """What the templates have in common."""
    contents = facts.contents
    return {
        "name": contents.name,
        "version": contents.version,
        "counts": about.count_words(facts),
        "headline": about.headline(facts),
        "removal": about.removal_words(None if facts.contact is None else markdown(facts.contact)),
        "sites": about.sites(contents),
        "gone": about.gone_words(contents),
        "licences": about.licences(contents),
        "rights": about.RIGHTS,
        "faces": about.face_words(facts),
        "review": about.review_words(facts),
        "left_out": {why: many(len(ids), "clip", "clips") for why, ids in contents.left_out.items()},
        "limits": about.limit_words(contents.dataset),
        "uses": about.USES,
        "misuses": about.MISUSES,
    }


def readme(facts: Facts, *, load: str, files: str) -> str:
    """The text.

    Args:
        load: how to open the export, as Markdown.
        files: what lies beside it, in whole sentences.
    """
    return render("readme.md.j2", {**values_of(facts), "load": load, "files": files})
