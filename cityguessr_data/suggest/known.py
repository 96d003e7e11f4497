"""What a data set knows of a candidate: it has it already, it has others of its channel, or it was removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..media.search import FoundVideo
from ..run.store import Store, read_part
from ..run.tombstones import Tombstones, read_tombstones, same_link

Mark = Literal["", "video", "channel", "removed"]


@dataclass(frozen=True)
class Known:
    """Videos and channels of a data set. Empty: nothing is known."""

    ids: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    """Names, case folded: the videos table has no ids of channels."""
    tombstones: Tombstones = field(default_factory=Tombstones)

    @classmethod
    def of(cls, store: Store) -> Known:
        """What is known in an output directory, whatever became of it."""
        ids, links, channels = set(), set(), set()
        for part in store.parts("videos"):
            for row in read_part(part, ["video_id", "url", "channel"]).to_pylist():
                ids.add(row["video_id"])
                links.add(same_link(row["url"]))
                channels.add((row["channel"] or "").casefold())
        return cls(frozenset(ids), frozenset(links), frozenset(channels - {""}), read_tombstones(store))

    def mark(self, video: FoundVideo) -> Mark:
        """What a person must know of a candidate; `removed` before all else."""
        if self.tombstones.of_video(video.video_id, video.url, channel=video.channel or None):
            return "removed"
        if video.video_id in self.ids or same_link(video.url) in self.links:
            return "video"
        return "channel" if video.channel.casefold() in self.channels else ""
