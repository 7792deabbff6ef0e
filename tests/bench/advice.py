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
    return f"{round(value, -digits):,.0f}" if value >= 10 else f"{value:.2g}"


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
    """A table of rates, at the sizes at which shared memory is quicker."""
    found = crossing(ours, theirs)
    if found is None:
        return
    yield f"\nArrays a second, made in place, instead of through a {name}: up to the first rate the {name} takes less than a tenth of the time there is, and whichever is"
    yield f"simpler will do; at the second the {name} cannot keep up any more, at the third not even shared memory."
    for at in sorted(theirs):
        if at >= found:
            yield f"{size(at):>9}{rate(SPARE / theirs[at]):>14}{rate(1 / theirs[at]):>14}{rate(1 / ours[at]):>14}"


def advise(in_place, copied, others):
    """Lines of advice. The arguments are dicts from size to seconds; `others` is one from the names of other ways to such dicts."""
    for name, theirs in others.items():
        yield (f"Shared memory is quicker than a {name} {from_which_size(in_place, theirs)}, if the array is made in place; "
               f"{from_which_size(copied, theirs)}, if it is copied in.")
    for name, theirs in others.items():
        yield from from_which_rate(name, in_place, theirs)
