"""What a person sees of the statistics besides the terminal: the page (`page.page`) and the figures (`page.figures`).

A chart is a function of `charts/` that makes a Vega-Lite chart of the values of `results.py`, once for both.
`sections/` puts charts, words and tables together; `shell` makes the HTML of them. `blocks`, `shell`, `drawing`,
`theme`, `words` and the land of `charts.world` know nothing of statistics: the pages of `cgtool bench` stand on them
too.
"""
