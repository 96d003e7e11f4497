"""One stage over the frames of a data set that is there: `cgtool anonymise` and `cgtool label-scenes`."""
