"""The results of measurements."""

import statistics
from collections import defaultdict


class Results:
    """Figures by case, name and target, with a value for each trial; and the failures."""

    def __init__(self, quick):
        self.quick = quick
        self.figures = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.failures = defaultdict(lambda: defaultdict(list))

    def add(self, case, target, figures):
        for name, value in figures.items():
            self.figures[case][name][target].append(value)

    def fail(self, case, target, reason):
        self.failures[case][target].append(reason)

    def median(self, case, name, target):
        """Return the median of a figure, or None."""
        values = self.figures[case][name].get(target)
        return statistics.median(values) if values else None

    def ratio(self, case, name, target):
        """Return the ratio of this server's median to that of *target*, or None."""
        ours, theirs = self.median(case, name, "here"), self.median(case, name, target)
        return ours / theirs if ours is not None and theirs else None
