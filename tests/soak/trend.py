"""Whether a series of samples grows: the medians of its first and last third, after a sixth for warming up, are compared."""

import statistics


def medians(samples):
    """Of the first and of the last third of what follows the warming up; and how far the samples of the first third lie apart."""
    rest = samples[len(samples) // 6:]
    third = max(len(rest) // 3, 2)
    first = sorted(rest[:third])
    spread = first[3 * third // 4] - first[third // 4]
    return statistics.median(first), statistics.median(rest[-third:]), spread


def grows(samples, floor):
    """More than by `floor`, in the samples' unit, a thirtieth, and what single samples differ by anyway."""
    first, last, spread = medians(samples)
    return last - first > floor + first / 30 + spread
