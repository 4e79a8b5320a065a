"""Adds up the quarter by pier."""
import csv
from collections import defaultdict

from lib.dates import quarter_of


def totals(path):
    # TODO: refuse rows without a month
    sums = defaultdict(float)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            sums[row["pier"], quarter_of(row["month"])] += float(row["revenue"])
    return dict(sums)


if __name__ == "__main__":
    for (pier, quarter), sum_ in sorted(totals("q3.csv").items()):
        print(f"{pier:8} Q{quarter} {sum_:12.2f}")
