"""How many new videos each city gets: pure. One after the other goes to the city that has least by then."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def allocate(
    n_clips: Sequence[float], n_videos: int, clips_per_video: float, most_per_city: int | None = None
) -> list[int]:
    """Divide `n_videos` among cities so that the Gini coefficient of their clips becomes as low as it can.

    Every video is taken to bring the same number of clips. Filling the lowest first gives, of all divisions, the one
    whose counts every other majorises (Marshall, Olkin and Arnold, Inequalities, chapter 5): it has the lowest Gini,
    and the lowest of any measure that a transfer to a smaller city lowers. A limit per city does not change that.

    Args:
        n_clips: that each city has now. Of equal ones the first is filled first.
        clips_per_video: over 0.
        most_per_city: None for no limit.
    Returns:
        Videos for each city; fewer than `n_videos` in all where every city is at its limit.
    Raises:
        ValueError: a number that makes no sense.
    """
    if n_videos < 0 or not clips_per_video > 0 or (most_per_city is not None and most_per_city < 0):
        raise ValueError(f"expected counts of 0 or more, got {n_videos}, {clips_per_video}, {most_per_city}")
    given = [0] * len(n_clips)
    if most_per_city == 0:
        return given
    waiting = [(float(has), place) for place, has in enumerate(n_clips)]
    heapq.heapify(waiting)
    for _ in range(n_videos):
        if not waiting:
            break
        _, place = heapq.heappop(waiting)
        given[place] += 1
        if given[place] != most_per_city:
            # Multiplied, not added up: equal counts must stay equal
            heapq.heappush(waiting, (n_clips[place] + given[place] * clips_per_video, place))
    return given
