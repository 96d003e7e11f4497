"""Training: `run.train` sets up a run or goes on with one, `loop.fit` is the loop."""
