"""A procedural world of streets, with known cities and scenes: structure tells the city, colour does not.

config -> style (what a city is) + look (what a video adds) + route (scenes along the way)
       -> walls, ground, scenery, sky (textures) -> render (frames) -> encode, world (videos, sources.csv, truth)
"""

from __future__ import annotations

from .config import SyntheticConfig
from .world import World, build_world, render_frame, write_world

__all__ = ["SyntheticConfig", "World", "build_world", "render_frame", "write_world"]
