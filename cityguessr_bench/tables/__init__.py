"""The paper's tables: which runs a table needs, the runs themselves, and the paper's numbers beside ours.

rows.py names the rows, runs.py trains and scores what is missing, compare.py is the arithmetic, show.py makes sheets.
"""
