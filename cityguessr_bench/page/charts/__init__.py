"""Vega-Lite charts of an evaluation, one idea a file."""
