"""What an export says of itself, in facts and sentences that its data card and its croissant.json share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..review.progress import ReviewProgress
from ..review.recall_report import RecallReport, read_report
from ..stats.page.words import many, percent, plain
from .contents import Contents
from .gate import is_reviewed

NOT_STATED = "not stated"
RIGHTS = (
    "The pictures belong to whoever filmed them. Each video keeps the licence that its source gives it (column "
    "`license` of the videos table); this data set grants no right to the pictures."
)
NO_CONTACT = (
    "No contact was given when this was exported. Whoever publishes it must name one here: without it nobody can "
    "ask for a removal."
)
USES = (
    "Research on geo-localisation of video at the level of cities and above: training and comparing models, measuring "
    "how even and how hard a data set is.",
)
MISUSES = (
    "Finding out where a person is or was, or who they are: it shows people who were never asked.",
    "Undoing the blur, or training models to.",
    "Surveillance, or any decision about single people.",
)


def licences(contents: Contents) -> dict[str, int]:
    """Videos by licence, commonest first; NOT_STATED for those whose source gives none."""
    told = contents.videos["license"].to_pylist()
    return dict(Counter(plain(text, 200) if text else NOT_STATED for text in told).most_common())


def sites(contents: Contents) -> dict[str, int]:
    """Videos by the site they come from, most first."""
    return dict(Counter(_site(url) for url in contents.videos["url"].to_pylist()).most_common())


def _site(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if host:
        return host.removeprefix("www.")
    return "files of the publisher" if url.startswith("local:") else NOT_STATED


def blur_words(dataset: Mapping[str, Any]) -> list[str]:
    """How faces were found and blurred, by dataset.json."""
    config = dataset.get("config", {}).get("anonymise", {})
    if not config:
        return ["Faces were blurred before a frame was written; with which settings is not recorded."]
    detector, blur = config.get("detector", {}), config.get("blur", {})
    weights = dataset.get("models", {}).get("detector", {})
    files = ", ".join(f"`{plain(name).replace('`', '')}`, SHA-256 {digest}" for name, digest in weights.items())
    found = f"Faces were found by RetinaFace ({detector.get('name', 'unknown')}{'; ' + files if files else ''})"
    words = [f"{found}; those of score {config.get('conf', 0.5):g} and over were blurred before a frame was written."]
    if blur.get("mode") == "strict":
        words.append("Blur `strict`: a margin round each box, and a blur whose width follows the size of the face.")
    else:
        kernel, sigma = blur.get("kernel_px", 63), blur.get("sigma_px", 21)
        words.append(f"Blur `paper`: a Gaussian of {kernel} px with a sigma of {sigma:g} px over each box.")
    return words


def limit_words(dataset: Mapping[str, Any]) -> list[str]:
    """What blurring does not do, and what else a user must know."""
    words = ["No detector finds every face: small, turned, covered or badly lit ones remain, in some frames at least."]
    blur = dataset.get("config", {}).get("anonymise", {}).get("blur", {})
    if blur.get("mode", "paper") == "paper":
        words.append(
            "Blur `paper` has a width in pixels, so it hides small faces and not large ones: what is left of a face "
            "correlates with it (at 12 x 12 pixels) by 0.22 at 24 px, 0.86 at 120 px and 0.98 at 400 px."
        )
    return [
        *words,
        "People can be known by more than their face: gait, clothes, company, time and place. Number plates, house "
        "numbers and shop signs are not blurred.",
        "Labels come from the table of sources, a city a video or span; nobody has checked every frame.",
        "Cities are as even as people who film them: see the counts and the Lorenz curve.",
    ]


def review_words(review: ReviewProgress, recall: RecallReport | None) -> list[str]:
    """How far people have looked, and what they measured."""
    n = review.n_clips
    clips = many(n, "clip", "clips")
    if is_reviewed(review):
        words = [f"The review is finished: of {clips}, the first frame with a blurred face was looked at in each."]
        if review.n_needless:
            words.append(f"{many(review.n_needless, 'clip', 'clips')} without a detected face needed nobody.")
    else:
        words = ["**Exported without a finished review.**"]
        if review.unfinished:
            left = len(review.unfinished)
            words.append(f"Nobody has looked at {left:,} of {clips} ({percent(left, n)}) that ask for a person.")
        if review.unapplied:
            sources = many(len(review.unapplied), "source", "sources")
            words.append(f"What reviewers decided about {sources} is not carried out in these frames.")
    return [*words, _recall_words(recall)]


def _recall_words(report: RecallReport | None) -> str:
    if report is None or report.measured is None:
        return "How many faces were missed was not measured on this footage."
    share = report.measured.all.recall
    if share.value is None:
        return f"In {many(report.n_looked, 'random frame', 'random frames')} people saw no face at all."
    between = "" if share.low is None or share.high is None else f" (95 % interval {share.low:.1%} to {share.high:.1%})"
    return (
        f"Measured on {many(report.n_looked, 'random frame', 'random frames')}: of {share.n:,} faces that people drew, "
        f"{share.value:.1%}{between} had been found and blurred by the build."
    )


def recall_of(contents: Contents) -> RecallReport | None:
    """The newest measurement of a person; None where there is none."""
    return read_report(contents.store)
