#!/usr/bin/python3
"""report.py DIRECTORY: from what was measured, DIRECTORY/*.tsv, make results.md and a plot for each work with a number to plot over.

Lines of the .tsv files, with tabs between the fields:

    title    TITLE                          begins a section
    how      TEXT                           what was measured, and how
    axis     NAME UNIT                      the parameter is a number of these; UNIT may be `bytes`
    round    WORK PEER PARAMETER VALUE UNIT one round of it. Those of one work and parameter come in turns: a peer's i-th belongs to the others' i-th
    note     TEXT                           something to know
    skipped  PEER WHY                       could not be measured here
"""
import pathlib
import statistics
import subprocess
import sys

UNITS = {"ns": [("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)]}


class Section:
    def __init__(self, title):
        self.title, self.how, self.axis, self.axis_unit, self.notes = title, "", None, "", []
        self.rounds = {}  # (work, peer, parameter) to a list of values
        self.units = {}  # of works

    def add(self, kind, *fields):
        if kind == "how":
            self.how = fields[0]
        elif kind == "axis":
            self.axis, self.axis_unit = fields
        elif kind == "round":
            work, peer, parameter, value, unit = fields
            self.rounds.setdefault((work, peer, parameter), []).append(float(value))
            self.units[work] = unit
        elif kind == "note":
            self.notes.append(fields[0])
        elif kind == "skipped":
            self.notes.append(f"Not measured: {fields[0]}: {fields[1]}.")

    def names(self, which, work=None):
        """Works, peers or parameters (0, 1, 2), in the order in which they came."""
        return list(dict.fromkeys(key[which] for key in self.rounds if work is None or key[0] == work))


def read(paths):
    sections = []
    for path in paths:
        for text in path.read_text().splitlines():
            kind, *fields = text.split("\t")
            if kind == "title":
                sections.append(Section(fields[0]))
            else:
                sections[-1].add(kind, *fields)
    return sections


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def with_unit(value, unit):
    for name, factor in UNITS.get(unit, []):
        if value >= factor:
            return f"{number(value / factor)} {name}"
    return f"{number(value)} {unit}"


def size(text, unit):
    """A parameter for people."""
    if not text.isdigit():
        return text
    value = int(text)
    for name, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if unit == "bytes" and value >= factor and value % factor == 0:
            return f"{value // factor} {name}"
    return f"{value:,} B" if unit == "bytes" else f"{value:,}"


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def ratio(values, first):
    """The median of the ratios, round by round; nothing where there is nothing to divide by."""
    ratios = [value / other for value, other in zip(values, first) if other]
    return f", x {number(statistics.median(ratios))}" if ratios else ""


def cell(values, first, unit):
    if not values:
        return "-"
    low, middle, high = quartiles(values)
    if unit == "%":  # a share: neither its spread nor its ratio to another is to be one of a share
        return f"{number(middle)} ± {number((high - low) / 2)} %"
    spread = f" ± {50 * (high - low) / middle:.0f} %" if middle and len(values) > 1 else ""
    return with_unit(middle, unit) + spread + ("" if values is first or not first else ratio(values, first))


def table(heads, rows):
    return "\n".join("| " + " | ".join(words) + " |" for words in [heads, ["---"] * len(heads), *rows])


def wide(section):
    """A row for each work, a column for each peer."""
    peers = section.names(1)
    rows = []
    for work in section.names(0):
        for parameter in section.names(2, work):
            values = [section.rounds.get((work, peer, parameter)) for peer in peers]
            rows.append([" ".join(filter(None, [work, parameter])), *(cell(each, values[0], section.units[work]) for each in values)])
    return table(["", *peers], rows)


def tall(section, work):
    """A row for each peer, a column for each parameter."""
    peers, parameters = section.names(1, work), section.names(2, work)
    rows = [[peer, *(cell(section.rounds.get((work, peer, parameter)), section.rounds.get((work, peers[0], parameter)), section.units[work])
                     for parameter in parameters)] for peer in peers]
    return table([f"{work}; {section.axis}", *(size(parameter, section.axis_unit) for parameter in parameters)], rows)


def plot(section, work, path):
    """Medians, and bars from the lower to the upper quartile."""
    peers, unit = section.names(1, work), section.units[work]
    scale, shown = (1e3, "us") if unit == "ns" else (1, unit)
    script = [f"set terminal svg size 900,600 font 'sans,12' background 'white'\nset output '{path}'\nset title {quote(section.title + ': ' + work)}",
              f"set xlabel {quote(section.axis)}\nset ylabel {quote(shown)}\nset key outside below\nset grid",
              "set logscale x 2\nset format x '%.0b %BB'" if section.axis_unit == "bytes" else "set logscale x\nset format x '%.0s%c'",
              "set yrange [0:100]" if unit == "%" else "set logscale y"]
    for i, peer in enumerate(peers):
        script.append(f"$data{i} << EOD")
        for parameter in section.names(2, work):
            if values := section.rounds.get((work, peer, parameter)):
                low, middle, high = (value / scale for value in quartiles(values))
                script.append(f"{parameter} {middle} {low} {high}")
        script.append("EOD")
    curves = [f"$data{i} using 1:2:3:4 with yerrorlines title {quote(peer)} noenhanced" for i, peer in enumerate(peers)]
    subprocess.run(["gnuplot"], input="\n".join([*script, "plot " + ", ".join(curves)]) + "\n", text=True, check=True)


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def file_name(text):
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


def write(section, directory, plots):
    yield f"### {section.title}\n"
    yield section.how + "\n"
    if section.axis:
        for work in section.names(0):
            yield tall(section, work) + "\n"
            if plots and len(section.names(2, work)) > 1:
                name = file_name(f"{section.title} {work}") + ".svg"
                plot(section, work, directory / name)
                yield f"![{section.title}: {work}]({name})\n"
    elif section.rounds:
        yield wide(section) + "\n"
    for note in dict.fromkeys(section.notes):
        yield f"- {note}"
    if section.notes:
        yield ""


def has_gnuplot():
    try:
        return subprocess.run(["gnuplot", "--version"], stdout=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False


def main(directory):
    plots = has_gnuplot()
    lines = [(directory / "machine.txt").read_text(),
             "Medians of all rounds, ± half the distance of the quartiles; x is the ratio to the first column, or row, as the median of the ratios round by "
             "round. What is compared was measured in turn, in one run.\n"]
    if not plots:
        lines.append("No plots: there was no gnuplot.\n")
    sections = read(sorted(directory.glob("*.tsv")))
    if not sections or not all(section.rounds for section in sections):
        sys.exit("report.py: there is something that was not measured")
    for section in sections:
        lines += write(section, directory, plots)
    (directory / "results.md").write_text("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: report.py DIRECTORY")
    main(pathlib.Path(sys.argv[1]))
