"""The page of an evaluation: one HTML file, in the shell of the statistics page (`report.write_report`).

`charts/` makes Vega-Lite charts of the values of results.py; `sections/` puts charts, tables, pictures and words
together.
"""
