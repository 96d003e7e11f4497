"""Committing where nothing can be renamed: the lease, the order of requests, the working copy they come from."""
