"""The bars that segfs is held to, and whether what was measured meets them. The figures come from the measurements, only the bars stand here.

A measured value is found by the measurement's name (as in `run --only NAME`), work, peer and parameter; see report.py.
"""
import dataclasses
import statistics

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PLACES = ("", ", all on one processor", ", on two processors")  # who asks and who answers: wherever the scheduler puts them, or as it says


@dataclasses.dataclass
class Bar:
    """What is compared, ours with theirs; and how many times as fast ours is at least, or how many times their time it takes at most.
    One without either is told for comparison. With neither peer nor parameter of theirs, the value itself is at most so much."""

    what: str
    against: str
    source: str
    work: str
    ours: str
    theirs: str = None
    least: float = None
    most: float = None
    parameters: tuple = ("",)
    their_parameter: str = None  # if it is ours among more, or fewer, of something
    scale: float = 1  # how many times as much there is of it
    unit: str = ""
    floor: str = None  # the peer that hardly anything could take less than here

    def ours_in(self, found, parameter):
        return found.get((self.source, self.work, self.ours, parameter), [])

    def floor_in(self, found, parameter):
        return found.get((self.source, self.work, self.floor, parameter), [])

    def ratio_of_floor(self, found, parameter):
        """The ratio that the floor would have; None if it was not measured."""
        floor, theirs = self.floor_in(found, parameter), self.theirs_in(found, parameter)
        if not floor or not theirs:
            return None
        least = middle(floor) / middle(theirs)
        return least if self.most else 1 / least

    def theirs_in(self, found, parameter):
        return found.get((self.source, self.work, self.theirs, self.their_parameter or parameter), [])

    def values(self, found, parameter):
        """The ratio, or the value itself, of each round."""
        ours, theirs = self.ours_in(found, parameter), self.theirs_in(found, parameter)
        if self.theirs is None:
            return [value / self.scale for value in ours]
        pairs = [(mine / self.scale, other) for mine, other in zip(ours, theirs) if mine and other]
        return [mine / other if self.most else other / mine for mine, other in pairs]

    def is_met(self, medians):
        if self.least is not None:
            return min(medians) >= self.least
        return max(medians) <= self.most


LARGE = (str(MIB), str(16 * MIB), str(256 * MIB))
HAS, READ = "until the other has it", "until the other has read it"
ALL_HAVE, ALL_READ = "until all have it", "until all have summed it"
SUM, TOUCH = "attach, and sum it", "attach, and touch each page"
MEMORY, NULL, ASKS = "memory alone", "a FUSE daemon that does nothing", "a FUSE daemon that lists a tmpfs, and makes up its answers"  # memory.py, mounts.py
PIPE, SEGFS, PLAIN = "pipe, there and back", "segfs", "/dev/shm"
PLAIN_PLACE = "/dev/shm, made in place"  # no way to hand over memory that is shared is quicker than to do nothing but tell
OVER, SHARED = "SharedMemory, mount over /dev/shm", "SharedMemory, plain /dev/shm"


def data_path():
    for work in ("warm scan of a mapping", "random reads of a mapping", "memcpy into a mapping", "memcpy out of a mapping"):
        yield Bar(work, "the same of a file in /dev/shm", "access", work, SEGFS, PLAIN, least=0.97)


def attach_and_create():
    for ours, who in (SEGFS, "a new process attaches to 512 MiB"), (OVER, "the same by an unmodified SharedMemory, the mount over /dev/shm"):
        for work, doing, least in (SUM, "and sums it", 5), (TOUCH, "and touches each page", 50):
            yield Bar(f"{who}, {doing}", "SharedMemory on plain /dev/shm", "attach", work, ours, SHARED, least=least, floor=MEMORY)
    for ours, how in ("segfs, typed", "by dtype and shape"), ("segfs, fallocate", "by fallocate"):
        yield Bar(f"create and first touch of 512 MiB, reserved {how}", "ftruncate and touch in /dev/shm", "attach", "create and first touch", ours,
                  "/dev/shm, ftruncate", least=20, floor=MEMORY)


def hand_over():
    for work, end in (HAS, "until the other has it"), (READ, "until it has summed it"):
        for theirs, least in ("Queue", 100), ("Pipe", 50):
            yield Bar(f"hand over an array made in place, {end}", theirs, "handover", work, "segfs, made in place", theirs, least=least, parameters=LARGE,
                      floor=work == READ and PLAIN_PLACE or None)
    for theirs in "Queue", "Pipe":
        yield Bar("the same with one copy in, until the other has it", theirs, "handover", HAS, "segfs, one copy in", theirs, parameters=LARGE)
    for theirs in "Queue", "Pipe":
        yield Bar("hand over 1 KiB, until the other has read it", theirs, "handover", READ, "segfs, made in place", theirs, least=1, parameters=(str(KIB),))


def broadcast():
    for work, end in (ALL_HAVE, "until all have it"), (ALL_READ, "until all have summed it"):
        for theirs in "Queue", "Pipe", "Manager().dict", "Redis, Unix socket":
            yield Bar(f"1 GiB to 8 workers, {end}", theirs, "broadcast", work, "segfs, made in place", theirs, least=100, parameters=("8",), floor=work == ALL_READ and MEMORY or None)
    yield Bar("memory for it, of all nine processes", "", "broadcast", "memory for it, in all", "segfs, made in place", most=1.01, parameters=("8",), scale=1024,
              unit=" GiB")


def metadata():
    yield Bar("stat, cached", "stat on tmpfs", "many", "stat", SEGFS, "tmpfs", most=1.2, parameters=("100",), floor=NULL)
    for where in PLACES:
        for work, most in ("getxattr", 1.5), ("setxattr", 1.5), ("open and close", 2):
            yield Bar(work + where, "a byte to another process and back", "many", work + where, SEGFS, PIPE, most=most, parameters=("100",),
                      floor=NULL)
    yield Bar("ls -l", "ls -l on tmpfs", "many", "ls -l", SEGFS, "tmpfs", most=4, parameters=("100000",))
    for where in PLACES[:2]:
        first = "ls -l, the first time" + where
        yield Bar(first, "the same on tmpfs", "many", first, SEGFS, "tmpfs", most=4, parameters=("100000",), floor=ASKS)
    for work in "stat", "getxattr", "setxattr", "open and close":
        yield Bar(work, "itself among 100 segments", "many", work, SEGFS, SEGFS, most=1.2, parameters=("1000000",), their_parameter="100")
    yield Bar(first + ", by the segment", "itself among 10,000 segments", "many", first, SEGFS, SEGFS, most=1.2, parameters=("1000000",),
              their_parameter="10000", scale=100)


def idle():
    for peer in "no segment in use", "one segment mapped":
        yield Bar(f"the daemon's wake-ups in a second, idle, {peer}", "", "idle", "wake-ups in a second", peer, most=0)
        yield Bar(f"its processor time in a second, {peer}", "", "idle", "processor time in a second", peer, most=0, scale=1e3, unit=" us")


BARS = [*data_path(), *attach_and_create(), *hand_over(), *broadcast(), *metadata(), *idle()]
YARDSTICKS = (PIPE, MEMORY, NULL, ASKS)  # no other way to do it, but the least that it could take
OURS = ("segfs", "ring", "padded", "SharedMemory, mount over /dev/shm")


def middle(values):
    return statistics.median(values)


def quicker_than_ours(found, units):
    """Where others were quicker than the quickest of ours, by more than a twentieth: (source, work, parameter, peer, the share of our time that it took)."""
    for source, work, parameter in dict.fromkeys((key[0], key[1], key[3]) for key in found):
        sides = {key[2]: values for key, values in found.items() if (key[0], key[1], key[3]) == (source, work, parameter)}
        ours = [values for peer, values in sides.items() if peer.startswith(OURS)]
        unit = units[source, work]
        if not ours or unit not in ("ns", "MiB/s"):
            continue
        best = (min if unit == "ns" else max)(ours, key=middle)
        for peer, values in sides.items():
            if not peer.startswith(OURS) and peer not in YARDSTICKS:
                share = middle([value / mine if unit == "ns" else mine / value for value, mine in zip(values, best)])
                if share < 0.95:
                    yield source, work, parameter, peer, share
