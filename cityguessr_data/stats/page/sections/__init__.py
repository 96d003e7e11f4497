"""The sections of the page, one a file: each turns a part of `Stats` into words, plots and tables."""
