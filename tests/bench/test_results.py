"""What report.py and crossover make of figures: with figures that are made up."""
import contextlib
import dataclasses
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import advice
import bars
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
    def test_less_than_nothing_is_told_and_not_drawn(self):
        text = self.results(LINES + "round\tmove\tours\t1048576\t-5\tns\nround\tmove\ttheirs\t1024\t-5\tns\nround\tmove\ttheirs\t1048576\t0\tns\n")
        self.assertIn("| theirs | -5 ns", text)
        self.assertNotIn(">theirs<", (self.folder / "sizes-move.svg").read_text())

    @unittest.skipUnless(report.has_gnuplot(), "no gnuplot")
    def test_a_plot_is_made_and_shown(self):
        self.assertIn("(sizes-move.svg)", self.results(LINES))
        self.assertIn("<svg", (self.folder / "sizes-move.svg").read_text())

    def test_nothing_measured_is_refused(self):
        for lines in ("", "title\tLock\nhow\tSomehow.\n"):
            with self.subTest(lines), self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                self.results(lines)


    def test_bars_go_into_the_place_that_the_readme_has_for_them(self):
        readme = self.folder / "README.md"
        (self.folder / "1-lock.tsv").write_text(LINES)
        readme.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
        for _ in "first", "again":
            report.main(self.folder, readme)
            self.assertRegex(readme.read_text(), r"(?s)\Abefore\n<!-- results[^\n]*-->\n\nA machine\..*\| what \|.*<!-- end of results -->\nafter\n\Z")
        self.assertNotIn("old", readme.read_text())

    def test_a_readme_without_a_place_is_left_alone(self):
        readme = self.folder / "README.md"
        readme.write_text("text\n")
        (self.folder / "1-lock.tsv").write_text(LINES)
        with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
            report.main(self.folder, readme)
        self.assertEqual(readme.read_text(), "text\n")


class Bars(unittest.TestCase):
    faster = bars.Bar("scan", "a file", "access", "scan", "segfs", "plain", least=2, parameters=("1", "2"))
    slower = bars.Bar("stat", "a file", "access", "scan", "segfs", "plain", most=2, parameters=("1",))

    @staticmethod
    def found(ours, theirs):
        return {("access", "scan", peer, parameter): [value] * 3 for peer, values in (("segfs", ours), ("plain", theirs)) for parameter, value in zip("12", values)}

    def line(self, bar, ours, theirs=()):
        return report.bar_line(bar, self.found(ours, theirs), {("access", "scan"): "ns"})

    def test_all_parameters_have_to_meet_it(self):
        for theirs, verdict in ((20, 30), "yes"), ((20, 19), "**no**"):
            self.assertEqual(self.line(self.faster, (10, 10), theirs)[-2], verdict)

    def test_ratio_is_of_times_and_the_way_round_that_the_bar_is(self):
        self.assertEqual(self.line(self.faster, (10, 10), (30, 40))[1:],
                         ["10 ns, 10 ns", "a file", "30 ns, 40 ns", "3 ± 0 % (1 B), 4 ± 0 % (2 B) times as fast", "≥ 2", "yes", ""])
        self.assertEqual(self.line(self.slower, (10, 10), (30, 40))[1:], ["10 ns", "a file", "30 ns", "0.333 ± 0 % of its time", "≤ 2", "yes", ""])

    def test_what_was_not_measured_is_not_met(self):
        self.assertEqual(self.line(self.faster, (10,), (30,))[-4:-1], ["3 ± 0 % (1 B), not measured (2 B) times as fast", "≥ 2", "-"])

    def test_growth_is_by_how_many_times_as_many(self):
        bar = bars.Bar("ls", "itself", "access", "scan", "segfs", "segfs", most=1.2, parameters=("2",), their_parameter="1", scale=10)
        self.assertEqual(self.line(bar, (10, 200))[1:], ["200 ns", "itself", "10 ns", "2 ± 0 % of its time", "≤ 1.2", "**no**", ""])

    def test_a_value_without_peer_is_held_to_its_own_bar(self):
        bar = bars.Bar("idle", "", "access", "scan", "segfs", most=0, parameters=("1",))
        for value, verdict in (0, "yes"), (0.1, "**no**"):
            self.assertEqual(self.line(bar, (value,))[-2], verdict)

    def test_a_floor_has_a_ratio_of_its_own(self):
        for bar, cell in (self.faster, "5 ns, 8 ns: 6, 5"), (self.slower, "5 ns: 0.167"):
            with_floor = dataclasses.replace(bar, floor="alone")
            found = self.found((10, 10), (30, 40))
            self.assertEqual(report.floor_cell(with_floor, found, "ns"), "")
            found |= {("access", "scan", "alone", parameter): [value] for parameter, value in (("1", 5), ("2", 8))}
            self.assertEqual(report.floor_cell(with_floor, found, "ns"), cell)

    def test_who_is_quicker_is_told(self):
        found = {("ring", "send", peer, ""): [value] for peer, value in (("segfs, copied", 30), ("segfs", 20), ("theirs", 10), ("same", 19.5))}
        self.assertEqual(list(bars.quicker_than_ours(found, {("ring", "send"): "ns"})), [("ring", "send", "", "theirs", 0.5)])
        self.assertEqual(list(bars.quicker_than_ours(found, {("ring", "send"): "MiB/s"})), [])


class Advice(unittest.TestCase):
    ours = {1024: 2e-5, 2048: 2e-5, 4096: 2e-5}

    def test_crossing_is_where_all_larger_are_quicker_too(self):
        self.assertEqual(advice.crossing(self.ours, {1024: 3e-5, 2048: 1e-5, 4096: 5e-5}), 4096)
        self.assertEqual(advice.crossing(self.ours, {1024: 3e-5, 2048: 3e-5, 4096: 5e-5}), 1024)
        self.assertIsNone(advice.crossing(self.ours, {1024: 3e-5, 2048: 3e-5, 4096: 1e-5}))

    def test_advice_names_size_and_rates(self):
        lines = list(advice.advise(self.ours, self.ours, {"pipe": {1024: 1e-5, 2048: 1e-3, 4096: 2e-3}}))
        self.assertIn("quicker than a pipe from 2 KiB on, if the array is made in place", lines[0])
        self.assertEqual(lines[-2].split(), ["2", "KiB", "100", "1,000", "50,000"])
        self.assertEqual(lines[-1].split(), ["4", "KiB", "50", "500", "50,000"])
        self.assertFalse(any(line.startswith("    1 KiB") for line in lines))

    def test_advice_where_nothing_is_gained(self):
        lines = list(advice.advise(self.ours, self.ours, {"pipe": {1024: 1e-5, 2048: 1e-5, 4096: 1e-5}}))
        self.assertIn("not at any size measured", lines[0])


if __name__ == "__main__":
    unittest.main()
