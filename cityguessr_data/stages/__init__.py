"""The steps a source video goes through, one file each: a Config, pure functions, one Stage class."""
