"""A long random sequence of operations gives the same errno at every step and the same tree on a plain tmpfs and through a mount.

DIFFERENTIAL_OPS (120000), DIFFERENTIAL_SEED (any number; fixed by default, so that a run can be repeated) and REFUSALS_EVERY (1, for
all of what may be refused; N: each Nth of it) choose others. A difference is printed with the command that replays it.
"""

import os

from harness import TwinTest, main, run

OPS = int(os.environ.get("DIFFERENTIAL_OPS", 120_000))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", 1))
RUNS = 3


# The tool shuts itself in with the two directories, away from /proc, without which a leak check cannot work. The daemon keeps its own.
TOOL_ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}


class Differential(TwinTest):
    def check(self, seed):
        output = run(os.environ["DIFFERENTIAL"], "--users", 6, "--ops", OPS // RUNS, "--seed", seed, self.plain, self.mnt, env=TOOL_ENVIRONMENT)
        self.assertIn("steps alike", output)
        print(output.strip(), end=" ... ", flush=True)

    def test_first_seed(self):
        self.check(SEED)

    def test_second_seed(self):
        self.check(SEED + 1)

    def test_third_seed(self):
        self.check(SEED + 2)


class Refusals(Differential):
    """Who may not do a thing in the store may not do it here, with the same errno, also right after a change behind the mount."""

    test_first_seed = test_second_seed = test_third_seed = None

    def test_what_the_store_refuses_the_mount_refuses(self):
        output = run(os.environ["REFUSALS"], "--every", os.environ.get("REFUSALS_EVERY", "1"), self.plain, self.mnt, self.store)
        self.assertIn(" 0 differences", output)
        print(output.splitlines()[-1], end=" ... ", flush=True)


if __name__ == "__main__":
    main()
