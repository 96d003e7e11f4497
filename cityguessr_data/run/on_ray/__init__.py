"""The local engine's work on the nodes of a Ray cluster; needs cgtool[ray]."""
