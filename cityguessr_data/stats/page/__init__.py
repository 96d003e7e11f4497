"""What a person sees of the statistics besides the terminal: the page (`page.page`) and the figures (`page.figures`).

A chart is a function of `charts/` that makes a Vega-Lite chart of the values of `results.py`, once for both.
`sections/` puts charts, words and tables together; the template only lays them out.
"""
