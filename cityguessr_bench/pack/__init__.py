"""The training cache: the frames that a preset needs, resized once, in shards that a loader reads without decoding."""
