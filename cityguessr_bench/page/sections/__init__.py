"""The sections of the page, one a file: each takes the results and gives a `Section` for the shell to lay out."""
