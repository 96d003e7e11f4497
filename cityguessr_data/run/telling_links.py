"""Which links tell one video of a data set from all others. A page with several videos, or a folder, tells none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .store import Store, read_part


@dataclass(frozen=True)
class TellingLinks:
    """All links but those that several videos have."""

    shared: frozenset[str] = frozenset()
    none: bool = False
    """Of an import: what stands there for a link is where the frames were found."""

    def of(self, url: str | None) -> str | None:
        """`url` where it tells its video from all others, else None."""
        return None if self.none or url in self.shared else url


def shared_links(links: Mapping[str, Sequence[Sequence[str]]]) -> frozenset[str]:
    """Links that stand for several videos, such as a page: they tell no video from another.

    Args:
        links: link that was looked up -> [[video_id, url], ...], as the plan has it.
    """
    return frozenset(url for videos in links.values() for url, n in Counter(url for _, url in videos).items() if n > 1)


def links_to_ask(store: Store) -> TellingLinks:
    """For asking tombstones: what told a video when it was removed still does, but for pages that were looked up.

    Were links that two videos have now left out, a removed video would come back beside a second id for its link.
    """
    return TellingLinks(shared_links(store.plan().get("links", {})), _is_imported(store))


def links_to_bury(store: Store) -> TellingLinks:
    """For making tombstones: a link that two videos have, by the tables or the plan, is no identity of either."""
    if _is_imported(store):
        return TellingLinks(none=True)
    plan = store.plan()
    urls = {video["video_id"]: video["url"] for video in plan.get("videos", ())}
    for path in store.parts("videos"):
        urls[path.stem] = read_part(path, ["url"])["url"][0].as_py()
    twice = {url for url, n in Counter(urls.values()).items() if n > 1}
    return TellingLinks(shared_links(plan.get("links", {})) | twice)


def _is_imported(store: Store) -> bool:
    return "imported" in (store.dataset() or {})
