"""A long flat surface along the road, seen by a camera that moves along it, from precomputed look-ups."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import RGBA

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

_LEVELS = 6


class _Part:
    """Those columns (or rows) of the surface that are drawn from one copy of the texture.

    Args:
        start: first of them, counted from the surface's first.
        u_px, v_px: column and row of the copy for every px, at position 0.
        keep: share of the light that the fog lets through, 0-1, broadcastable to `u_px`.
        fog: the fog's colour, 0-255.
    """

    def __init__(
        self,
        start: int,
        level: int,
        u_px: npt.NDArray[np.float64],
        v_px: npt.NDArray[np.float64],
        keep: npt.NDArray[np.float64],
        fog: tuple[float, float, float],
    ) -> None:
        self.start, self.level = start, level
        self.u_px, self.v_px = u_px.astype(np.float32), v_px.astype(np.float32)
        self.map_u = np.empty_like(self.u_px)
        shares = np.broadcast_to(keep[..., None], (*u_px.shape, 4)) * np.ones(4)
        shares[..., 3] = 1.0  # opacity stays
        self.keep = np.round(255 * shares).astype(np.uint8)
        self.mist = np.round((1 - shares) * (*fog, 0.0)).astype(np.uint8)


class Surface:
    """Draws a texture whose columns run along the road.

    Args:
        texture: RGBA at `ppm` px a metre.
        first: first image column (a wall) or row (the ground) of the surface; the others follow without holes.
        by_column: True where each image column has one depth (walls), False where each row has (ground).
        z_m: depth of each of them, shape (n,).
        v_px: row of the texture for every px, shape (height, n) or (n, width).
        m_per_px: metres along the road under one px, shape (n,): chooses the copy.
        keep: share of the light that the fog lets through from each depth, 0-1, shape (n,).
        fog: the fog's colour, 0-255.
    """

    def __init__(
        self,
        texture: RGBA,
        first: int,
        by_column: bool,
        z_m: npt.NDArray[np.float64],
        v_px: npt.NDArray[np.float64],
        m_per_px: npt.NDArray[np.float64],
        keep: npt.NDArray[np.float64],
        fog: tuple[float, float, float],
        ppm: float,
    ) -> None:
        self._first, self._by_column, self._ppm = int(first), by_column, ppm
        # Above a wall and past its end there is sky; the ground goes on for ever.
        self._border = cv2.BORDER_CONSTANT if by_column else cv2.BORDER_REPLICATE
        self._copies = [texture]
        for _ in range(
            1, _LEVELS
        ):  # half as long each; half as high every second time, for far parts shrink less upwards
            height, width = self._copies[-1].shape[:2]
            lower = height // 2 if len(self._copies) % 2 == 0 else height
            copy = cv2.resize(self._copies[-1], (max(2, width // 2), lower), interpolation=cv2.INTER_AREA)
            self._copies.append(np.asarray(copy, np.uint8))
        level = np.clip(np.floor(np.log2(np.maximum(m_per_px * ppm, 1e-6)) + 0.4), 0, _LEVELS - 1).astype(int)
        self._parts: list[_Part] = []
        edges = [0, *(np.flatnonzero(np.diff(level)) + 1), len(level)]
        for start, end in pairwise(edges):
            k = int(level[start])
            rows, columns = (self._copies[k].shape[i] / texture.shape[i] for i in (0, 1))
            u = z_m[start:end] * ppm * columns
            v = (v_px[:, start:end] if by_column else v_px[start:end]) * rows - 0.5
            lit = keep[start:end]
            u, lit = (u[None, :], lit[None, :]) if by_column else (u[:, None], lit[:, None])
            self._parts.append(_Part(start, k, np.broadcast_to(u, v.shape) - 0.5, v, lit, fog))

    def draw(self, canvas: RGB, camera_z_m: float) -> None:
        """Draw the surface over `canvas` as it is seen from `camera_z_m` along the road."""
        for part in self._parts:
            copy = self._copies[part.level]
            np.add(
                part.u_px, np.float32(camera_z_m * self._ppm * copy.shape[1] / self._copies[0].shape[1]), out=part.map_u
            )
            seen = cv2.remap(copy, part.map_u, part.v_px, cv2.INTER_LINEAR, borderMode=self._border)
            seen = cv2.add(cv2.multiply(seen, part.keep, scale=1 / 255), part.mist)
            start = self._first + part.start
            n = seen.shape[1] if self._by_column else seen.shape[0]
            target = canvas[:, start : start + n] if self._by_column else canvas[start : start + n]
            opaque = cv2.threshold(cv2.extractChannel(seen, 3), 127, 255, cv2.THRESH_BINARY)[1]
            cv2.copyTo(cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB), opaque, target)
