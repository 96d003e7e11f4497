"""Takes videos, channels and clips out of a data set for good, and asks sources whether they are still there."""
