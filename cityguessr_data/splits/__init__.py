"""Parts of a data set to train and to test on: by clip as the paper does, by source video or channel, in folds."""
