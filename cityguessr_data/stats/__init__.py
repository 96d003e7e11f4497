"""Statistics of a data set: how even, how big, how good. Pure functions below, `measure` on top."""
