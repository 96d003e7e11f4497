"""Candidates for collection, most for the cities that have the least."""
