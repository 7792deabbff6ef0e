#!/usr/bin/python3
"""report.py DIRECTORY [README]: from what was measured, DIRECTORY/NUMBER-MEASUREMENT.tsv, make results.md, with the bars of bars.py at
its top, and a plot for each work with a number to plot over; and put the bars into the README.

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
import sys

import bars
from plot import has_gnuplot, plot, quartiles

UNITS = {"ns": [("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)]}


HOW = ("Medians of all rounds, ± half the distance of the quartiles; x is the ratio to the first column, or row, and ratios are the medians of those round "
       "by round. What is compared was measured in turn, in one run. Floor: what the same takes on this machine with memory alone, without any "
       "file, with the same memory in /dev/shm if it is handed over, or with a FUSE daemon that only makes up its answers, to a first listing after it has "
       "asked a tmpfs for them; and what the ratio would be then.\n")
BEGIN, END = "<!-- results: written by tests/bench/run --readme -->\n", "<!-- end of results -->\n"


class Section:
    def __init__(self, source, title):
        self.source = source  # the measurement's name
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
                sections.append(Section(path.stem.partition("-")[2], fields[0]))
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


def file_name(text):
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


def curves(section, work):
    """Nothing and less, which a difference that is lost in noise may be, has no place on a logarithmic axis."""
    parameters, has_nothing = section.names(2, work), section.units[work] == "%"
    of_peers = {peer: {parameter: [value for value in section.rounds.get((work, peer, parameter), []) if value > 0 or has_nothing]
                       for parameter in parameters} for peer in section.names(1, work)}
    drawn = {peer: {parameter: values for parameter, values in curve.items() if values} for peer, curve in of_peers.items()}
    return {peer: curve for peer, curve in drawn.items() if curve}


def write(section, directory, plots):
    yield f"### {section.title}\n"
    yield section.how + "\n"
    if section.axis:
        for work in section.names(0):
            yield tall(section, work) + "\n"
            if plots and len(section.names(2, work)) > 1:
                name = file_name(f"{section.title} {work}") + ".svg"
                ticks = {parameter: size(parameter, section.axis_unit) for parameter in section.names(2, work)}
                plot(f"{section.title}: {work}", section.axis, ticks, section.units[work], curves(section, work), directory / name)
                yield f"![{section.title}: {work}]({name})\n"
    elif section.rounds:
        yield wide(section) + "\n"
    for note in dict.fromkeys(section.notes):
        yield f"- {note}"
    if section.notes:
        yield ""


def medians_of(values, unit):
    """What was measured, in one cell: of each parameter."""
    return ", ".join(with_unit(statistics.median(each), unit) if each else "-" for each in values)


def verdict(bar, medians):
    if len(medians) < len(bar.parameters) or bar.least is bar.most is None:
        return "-"
    return "yes" if bar.is_met(medians) else "**no**"


def ratio_cell(bar, parameter, values):
    at = f" ({size(parameter, 'bytes')})" if len(bar.parameters) > 1 else ""
    if not values:
        return f"not measured{at}"
    low, middle, high = quartiles(values)
    spread = f" ± {50 * (high - low) / middle:.0f} %" if middle and len(values) > 1 else ""
    return f"{number(middle)}{bar.unit}{spread}{at}"


def floor_cell(bar, found, unit):
    """What hardly anything could take less than here, and the ratio that this would be."""
    ratios = [bar.ratio_of_floor(found, parameter) for parameter in bar.parameters]
    if None in ratios:
        return ""
    return f"{medians_of([bar.floor_in(found, parameter) for parameter in bar.parameters], unit)}: {', '.join(map(number, ratios))}"


def bar_line(bar, found, units):
    """A row of the table of bars."""
    unit = units.get((bar.source, bar.work), "")
    ratios = {parameter: bar.values(found, parameter) for parameter in bar.parameters}
    limit = f"≥ {bar.least:g}" if bar.least is not None else f"≤ {bar.most:g}{bar.unit}" if bar.most is not None else "-"
    meaning = "" if bar.theirs is None else " of its time" if bar.most is not None else " times as fast"
    cells = ", ".join(ratio_cell(bar, parameter, values) for parameter, values in ratios.items()) + (meaning if any(ratios.values()) else "")
    medians = [statistics.median(values) for values in ratios.values() if values]
    return [bar.what, medians_of([bar.ours_in(found, parameter) for parameter in bar.parameters], unit), bar.against,
            medians_of([bar.theirs_in(found, parameter) for parameter in bar.parameters], unit) if bar.theirs else "", cells, limit, verdict(bar, medians),
            floor_cell(bar, found, unit)]


def bars_table(found, units):
    return table(["what", "segfs", "beside", "it", "ratio", "bar", "met", "floor"], [bar_line(bar, found, units) for bar in bars.BARS])


def others_table(found, units, axes):
    """So that nobody has to look for them."""
    rows = [[work, size(parameter, axes[source]), peer, number(share)] for source, work, parameter, peer, share in bars.quicker_than_ours(found, units)]
    return table(["what", "of, among", "who", "share of segfs's time"], rows)


def publish(readme, text):
    """Put it between the two lines of the README that are there for it."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"report.py: {readme} has no place for results")
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main(directory, readme=None):
    sections = read(sorted(directory.glob("*.tsv")))
    if not sections or not all(section.rounds for section in sections):
        sys.exit("report.py: there is something that was not measured")
    found = {(section.source, *key): values for section in sections for key, values in section.rounds.items()}
    units = {(section.source, work): unit for section in sections for work, unit in section.units.items()}
    machine = (directory / "machine.txt").read_text()
    held = bars_table(found, units)
    lines = [machine, "### The bars\n", HOW, held + "\n", "### Where others are quicker\n",
             "By more than a twentieth, than the quickest of segfs's own ways.\n",
             others_table(found, units, {section.source: section.axis_unit for section in sections}) + "\n"]
    plots = has_gnuplot()
    if not plots:
        lines.append("No plots: there was no gnuplot.\n")
    for section in sections:
        lines += write(section, directory, plots)
    (directory / "results.md").write_text("\n".join(lines))
    if readme:
        publish(readme, f"{machine}\n{HOW}\n{held}\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: report.py DIRECTORY [README]")
    main(*map(pathlib.Path, sys.argv[1:]))
