"""Vega-Lite charts, one idea a file. Sizes and colours come later: `theme` has them, for the page and for figures."""
