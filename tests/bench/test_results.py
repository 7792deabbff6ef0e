"""What report.py and crossover make of figures: with figures that are made up."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import advice
import report

LINES = """title	Lock
how	Somehow.
round	take	ours		100	ns
round	take	theirs		300	ns
round	take	theirs		100	ns
round	take	ours		200	ns
round	take	ours		300	ns
round	take	theirs		900	ns
skipped	absent	not installed
title	Sizes
how	So.
axis	array	bytes
round	move	ours	1024	2e6	ns
round	move	ours	1048576	3e9	ns
"""


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "machine.txt").write_text("A machine.\n")

    def results(self, lines):
        (self.folder / "1.tsv").write_text(lines)
        report.main(self.folder)
        return (self.folder / "results.md").read_text()

    def test_medians_spreads_and_ratios_round_by_round(self):
        text = self.results(LINES)
        self.assertIn("| take | 200 ns ± 25 % | 300 ns ± 67 %, x 3 |", text)  # ratios 3, 0.5, 3

    def test_a_row_for_each_peer_where_there_is_an_axis(self):
        text = self.results(LINES)
        self.assertIn("| move; array | 1 KiB | 1 MiB |", text)
        self.assertIn("| ours | 2 ms | 3 s |", text)

    def test_shares_have_no_ratios(self):
        text = self.results("title\tFrames\nhow\tSo.\n" + "".join(f"round\tlost\t{peer}\t\t{value}\t%\n" for peer in "ab" for value in (10, 20, 30)))
        self.assertIn("| lost | 20 ± 5 % | 20 ± 5 % |", text)

    def test_who_is_missing_is_named(self):
        self.assertIn("Not measured: absent: not installed.", self.results(LINES))

    @unittest.skipUnless(report.has_gnuplot(), "no gnuplot")
    def test_a_plot_is_made_and_shown(self):
        self.assertIn("(sizes-move.svg)", self.results(LINES))
        self.assertIn("<svg", (self.folder / "sizes-move.svg").read_text())

    def test_nothing_measured_is_refused(self):
        for lines in ("", "title\tLock\nhow\tSomehow.\n"):
            with self.subTest(lines), self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                self.results(lines)


class Advice(unittest.TestCase):
    ours = {1024: 2e-5, 2048: 2e-5, 4096: 2e-5}

    def test_crossing_is_where_all_larger_are_quicker_too(self):
        self.assertEqual(advice.crossing(self.ours, {1024: 3e-5, 2048: 1e-5, 4096: 5e-5}), 4096)
        self.assertEqual(advice.crossing(self.ours, {1024: 3e-5, 2048: 3e-5, 4096: 5e-5}), 1024)
        self.assertIsNone(advice.crossing(self.ours, {1024: 3e-5, 2048: 3e-5, 4096: 1e-5}))

    def test_advice_names_size_and_rates(self):
        lines = list(advice.advise(self.ours, self.ours, {"pipe": {1024: 1e-5, 2048: 1e-3, 4096: 2e-3}}))
        self.assertIn("quicker than a pipe from 2 KiB on, if the array is made in place", lines[0])
        self.assertIn("2 KiB: up to 100 a second the pipe takes less", lines[2])
        self.assertIn("From 1,000 a second on it cannot keep up; shared memory can, up to 50,000.", lines[2])
        self.assertFalse(any("- 1 KiB" in line for line in lines))

    def test_advice_where_nothing_is_gained(self):
        lines = list(advice.advise(self.ours, self.ours, {"pipe": {1024: 1e-5, 2048: 1e-5, 4096: 1e-5}}))
        self.assertIn("not at any size measured", lines[0])


if __name__ == "__main__":
    unittest.main()
