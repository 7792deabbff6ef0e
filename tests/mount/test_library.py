# SPDX-License-Identifier: MIT
"""The library on a mount: arrays, rings, tables and slots by their paths, as a program in C++ makes and uses them."""

import os

import harness


class LibraryTest(harness.MountTest):
    def test_program_in_cplusplus(self):
        harness.run(os.environ["CPLUSPLUS"], self.mnt)
        self.assertEqual(os.listdir(self.mnt), [], "nothing is left, not even a name for the time being")


if __name__ == "__main__":
    harness.main()
