"""Makes city_counts_166.csv: python tests/golden/city_counts_166.py > tests/golden/city_counts_166.csv

The counts are made up. City k of 166 (in the taxonomy's order) gets the quantile (p + 0.5) / 166 of a lognormal
distribution of sigma 0.661, whose Gini is 0.36, where p is its place in a shuffle by `random.Random(166)`. The counts
are cut down to sum 68,269 at most, and the clips that are left go one by one to the cities in the taxonomy's order.
"""

from __future__ import annotations

import csv
import math
import random
import statistics
import sys
from pathlib import Path

SIGMA = 0.661
CLIPS = 68_269
TAXONOMY = Path(__file__).parents[2] / "manifests" / "taxonomies" / "cityguessr166.csv"

with TAXONOMY.open(encoding="utf-8") as f:
    cities = [row["city"] for row in csv.DictReader(f)]
places = list(range(len(cities)))
random.Random(166).shuffle(places)
normal = statistics.NormalDist()
weights = [math.exp(SIGMA * normal.inv_cdf((p + 0.5) / len(cities))) for p in places]
counts = [math.floor(w * CLIPS / sum(weights)) for w in weights]
for k in range(CLIPS - sum(counts)):
    counts[k] += 1
sys.stdout.write("city,count\n")
sys.stdout.writelines(f"{city},{count}\n" for city, count in zip(cities, counts, strict=True))
