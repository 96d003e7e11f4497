"""Builds city-level video data sets: download, clip, anonymise, label, commit. See pipeline.py for the whole way."""
