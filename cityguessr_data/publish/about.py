"""What an export says of itself, in facts and sentences that its data card and its croissant.json share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..core.types import LEVELS
from ..review.recall import Clusters
from ..review.recall_report import RecallReport
from ..stats.page.words import listing, many, plain
from .contents import Contents
from .faces import FaceCounts
from .facts import Facts
from .gate import is_reviewed

NOT_STATED = "not stated"
RIGHTS = (
    "The pictures belong to whoever filmed them. Each video keeps the licence that its source gives it "
    "(`license`); this data set grants no right to the pictures."
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


_NAMED = 5
_CLASSES = {
    "city": ("city", "cities"), "state": ("state", "states"), "country": ("country", "countries"),
    "continent": ("continent", "continents"),
}  # fmt: skip
_CLUSTERS: dict[Clusters, str] = {
    "video": "for other videos of the same kind; that faces of one video may be found or missed together is estimated",
    "city": "for other cities of the same kind; that faces of one city may be found or missed together is estimated",
    "frame": "for other frames of this one video, and of other videos it says nothing",
    "none": "",
}
"""What the interval of a recall is of."""


def count_words(facts: Facts) -> str:
    """Clips, frames, videos and classes."""
    contents = facts.contents
    frames = "no frames" if facts.to == "links" else many(contents.n_frames, "frame", "frames")
    videos = many(contents.videos.num_rows, "source video", "source videos")
    classes = listing([many(facts.classes[level], *_CLASSES[level]) for level in LEVELS])
    return f"{many(len(contents.clips), 'clip', 'clips')} ({frames}) of {videos}, from {classes}"


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


def gone_words(contents: Contents) -> str:
    """Which videos their sites do not show any more; empty where none is known to be gone."""
    if not contents.gone:
        return ""
    are = "source video was" if len(contents.gone) == 1 else "source videos were"
    its = "its site" if len(contents.gone) == 1 else "their sites"
    return f"{len(contents.gone):,} {are} gone from {its} when last asked for: {named(contents.gone)}."


def named(ids: tuple[str, ...]) -> str:
    """The first few ids."""
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return ", ".join(plain(one, 200) for one in ids[:_NAMED]) + more


def removal_words(contact: str | None) -> str:
    """Who to ask, and what to say."""
    if contact is None:
        return f"**{NO_CONTACT}**"
    return (
        f"Write to {contact} with the link of the video, or its `video_id`, and why. You need not prove who you are to "
        "have a picture of yourself taken out."
    )


def headline(facts: Facts) -> str:
    """What became of faces, in one sentence."""
    conf = facts.contents.dataset.get("config", {}).get("anonymise", {}).get("conf")
    score = "of the threshold and over (it is not recorded)" if conf is None else f"of {conf:g} and over"
    where = " in the frames of the data set" if facts.to == "links" else ""
    return f"Faces that were found with a score {score} were blurred{where}, unless a reviewer said that they are none."


def face_words(facts: Facts) -> list[str]:
    """How faces were found and blurred, by dataset.json; and how many were, and were not."""
    config = facts.contents.dataset.get("config", {}).get("anonymise", {})
    words = [*_blur_words(facts.contents.dataset, config), headline(facts), *_count_words(facts.faces)]
    if facts.to == "links":
        words.append(
            "A build from the links finds and blurs faces by itself; what reviewers drew, took for faces or rejected "
            "does not come back with it."
        )
    return words


def _count_words(faces: FaceCounts) -> list[str]:
    said = [f"{many(faces.drawn, 'was', 'were')} drawn by hand"] if faces.drawn else []
    if faces.taken:
        said.append(f"{many(faces.taken, 'was left', 'were left')} by the build and taken for a face by a reviewer")
    of_them = f", of which {listing(said)}" if said else ""
    words = [f"{many(faces.blurred, 'box is', 'boxes are')} blurred{of_them}."]
    if faces.rejected:
        words.append(f"{many(faces.rejected, 'box is', 'boxes are')} not, for reviewers saw no face there.")
    if faces.under:
        were = many(faces.under, "detection under the threshold was", "detections under the threshold were")
        words.append(f"{were} left unblurred; some of them may be faces.")
    if faces.left:
        words.append("Where those lie is not published.")
    return words


def _blur_words(dataset: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    if not config:
        return ["With which settings faces were blurred is not recorded."]
    detector, blur = config.get("detector", {}), config.get("blur", {})
    weights = dataset.get("models", {}).get("detector", {})
    files = ", ".join(f"`{plain(name).replace('`', '')}`, SHA-256 {digest}" for name, digest in weights.items())
    words = [f"Faces were found by RetinaFace ({detector.get('name', 'unknown')}{'; ' + files if files else ''})."]
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
        "Cities are there as often as people film them, some far more than others.",
    ]


def review_words(facts: Facts) -> list[str]:
    """How far people have looked, and what they measured."""
    review = facts.review
    asked = review.n_clips - review.n_needless
    looked = asked - len(review.unfinished)
    words = ["The review is finished." if is_reviewed(review) else "**Exported without a finished review.**"]
    said = []
    if asked:
        clips, were = many(asked, "clip", "clips"), "was" if looked == 1 else "were"
        said.append(f"{looked:,} of the {clips} with a blurred face {were} looked at, in the first such frame")
    if review.n_needless:
        clips = many(review.n_needless, "clip", "clips")
        said.append(f"{clips} without {'one' if asked else 'a blurred face'} may have been seen by nobody")
    return [*words, f"{'; '.join(said)}.", _recall_words(facts.recall)]


def _recall_words(report: RecallReport | None) -> str:
    if report is None or report.measured is None:
        return "How many faces were missed was not measured on this footage."
    frames = many(report.n_looked, "random frame", "random frames")
    share = report.measured.all.recall
    if share.value is None:
        return f"In {frames} people saw no face at all."
    between = " (without an interval: too little is known of which faces are found or missed together)"
    if share.low is not None and share.high is not None:
        of_what = _CLUSTERS[report.measured.clusters]
        between = f" (95 % interval {share.low:.1%} to {share.high:.1%}: {of_what})"
    return (
        f"Measured on {frames}: of {share.n:,} faces that people drew, {share.value:.1%} had been found and blurred by "
        f"the build{between}."
    )
