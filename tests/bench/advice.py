"""What to tell somebody who knows how long a hand-over takes by each way at each size. No measuring here: crossover does that."""

SPARE = 0.1  # the share of a processor's time that nobody minds


def crossing(ours, theirs):
    """The size from which on ours is quicker at all sizes measured, of two dicts from size to seconds; None if it is not at the largest."""
    found = None
    for size in sorted(ours, reverse=True):
        if ours[size] >= theirs[size]:
            break
        found = size
    return found


def rate(value):
    """A number of times a second, to two digits."""
    digits = max(0, len(str(int(value))) - 2)
    return f"{round(value, -digits):,.0f}" if value >= 10 else f"{value:.1f}"


def size(value):
    for name, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= factor:
            return f"{value / factor:g} {name}"
    return f"{value} B"


def duration(seconds):
    for name, factor in (("s", 1), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {name}"
    return f"{seconds * 1e6:.3g} us"


def from_which_size(ours, theirs):
    found = crossing(ours, theirs)
    if found is None:
        return "not at any size measured"
    return "at every size measured" if found == min(ours) else f"from {size(found)} on"


def from_which_rate(name, ours, theirs):
    """Lines on what rates ask for, at the sizes at which shared memory is quicker."""
    found = crossing(ours, theirs)
    for at in sorted(theirs):
        if found is not None and at >= found:
            yield (f"- {size(at)}: up to {rate(SPARE / theirs[at])} a second the {name} takes less than a tenth of the time there is, and whichever is simpler "
                   f"will do. From {rate(1 / theirs[at])} a second on it cannot keep up; shared memory can, up to {rate(1 / ours[at])}.")


def advise(in_place, copied, others):
    """Lines of advice. The arguments are dicts from size to seconds; `others` is one from the names of other ways to such dicts."""
    for name, theirs in others.items():
        yield (f"Shared memory is quicker than a {name} {from_which_size(in_place, theirs)}, if the array is made in place; "
               f"{from_which_size(copied, theirs)}, if it is copied in.")
    for name, theirs in others.items():
        yield f"\nInstead of a {name}, with the array made in place:"
        yield from from_which_rate(name, in_place, theirs)
