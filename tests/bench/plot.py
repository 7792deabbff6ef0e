"""Plots by gnuplot, as SVG: on light ground and on dark, with each curve named at its end."""
import math
import statistics
import subprocess

GREY = "#7d8590"  # can be read on white and on black
COLOURS = ("#2f81f7", "#3fa45b", "#d9822b", "#d1495b", "#a371f7", "#2ba5a5", "#b8860b", "#8c6d5a", "#c061a8")
WIDTH, HEIGHT, NAME_HEIGHT = 920, 540, 16
TOP, BOTTOM, LEFT, RIGHT = 62, 62, 80, 265  # round the curves
SECONDS = {"ns": 1e-9}


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def styles(peers):
    """A colour for all whose names begin with the same word, and a pattern of dashes for each of those; ours are the first, and thick."""
    families = {}
    for peer in peers:
        families.setdefault(peer.replace(",", " ").split()[0], []).append(peer)
    return {peer: f"lc rgb '{COLOURS[i % len(COLOURS)]}' dt {k + 1} lw {2.6 if i == 0 else 1.5}"
            for i, family in enumerate(families.values()) for k, peer in enumerate(family)}


def keep_apart(heights):
    """Where names go, in shares of the height: as near to their curves' ends as leaves room for each."""
    distance, last, placed = NAME_HEIGHT / (HEIGHT - TOP - BOTTOM), -math.inf, {}
    for peer in sorted(heights, key=heights.get):
        last = placed[peer] = max(heights[peer], last + distance)
    last = 1 + distance
    for peer in reversed(placed):
        last = placed[peer] = min(placed[peer], last - distance)
    return placed


class Scale:
    """From values to shares of an axis."""

    def __init__(self, values, logarithmic, margin):
        low, high = min(values), max(values)
        self.logarithmic = logarithmic
        if logarithmic:
            self.low, self.high = low / margin, high * margin
        else:
            self.low, self.high = 0, max(100, high)

    def share(self, value):
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def range(self):
        return f"[{self.low}:{self.high}]"


def frame(title, axis, ticks, unit, x, y):
    """Everything but the curves."""
    yield f"set terminal svg size {WIDTH},{HEIGHT} font 'system-ui,Helvetica,Arial,sans-serif,13'"
    yield f"set encoding utf8\nset lmargin at screen {LEFT / WIDTH}\nset rmargin at screen {1 - RIGHT / WIDTH}"
    yield f"set bmargin at screen {BOTTOM / HEIGHT}\nset tmargin at screen {1 - TOP / HEIGHT}\nunset key"
    yield f"set label {quote(title)} at screen {LEFT / WIDTH}, screen {1 - 26 / HEIGHT} font ',16' tc rgb '{GREY}' noenhanced"
    yield f"set border 1 lc rgb '{GREY}'\nset tics nomirror scale 0.5 tc rgb '{GREY}'\nset ytics scale 0\nset mxtics 1\nset mytics 1"
    yield f"set grid ytics lc rgb '{GREY}' lw 0.4 dt (2,4)\nset xlabel {quote(axis)} tc rgb '{GREY}'"
    yield f"set xrange {x.range()}\nset yrange {y.range()}"
    yield "set logscale x\nset xtics (" + ", ".join(f"{quote(label)} {at}" for at, label in ticks.items()) + ")"
    if y.logarithmic:
        yield "set logscale y"
    yield f"set format y {quote('%.0s %cs' if unit in SECONDS else '%.0f %%' if unit == '%' else '%.0s%c ' + unit)}"


def names(ends, style, x, y):
    """The curves' names, and a line from each to its curve's end."""
    placed = keep_apart({peer: y.share(value) for peer, (_, value) in ends.items()})
    for peer, height in placed.items():
        look, (at, value) = style[peer], ends[peer]
        colour = look.split("'")[1]
        yield (f"set arrow from graph {x.share(at) + 0.008}, graph {y.share(value)} to graph 1.03, graph {height} nohead lc rgb '{colour}' lw 0.6\n"
               f"set label {quote(peer)} at graph 1.037, graph {height} left tc rgb '{colour}' noenhanced")


def plot(title, axis, ticks, unit, curves, path):
    """Medians, and bars from the lower to the upper quartile. `curves` is a dict from peers, ours first, to dicts from parameters to
    values; `ticks` one from parameters to what they are called."""
    factor = SECONDS.get(unit, 1)
    points = {peer: [(float(at), *(value * factor for value in quartiles(values))) for at, values in curve.items()] for peer, curve in curves.items()}
    flat = [point for curve in points.values() for point in curve]
    x, y = Scale([point[0] for point in flat], True, 1.25), Scale([value for point in flat for value in point[1:]], unit != "%", 1.4)
    style = styles(points)
    script = [*frame(title, axis, ticks, unit, x, y), *names({peer: (curve[-1][0], curve[-1][2]) for peer, curve in points.items()}, style, x, y)]
    parts = []
    for i, (peer, curve) in reversed(list(enumerate(points.items()))):  # ours on top
        script += [f"$data{i} << EOD", *(f"{at} {middle} {low} {high}" for at, low, middle, high in curve), "EOD"]
        colour = style[peer].split("'")[1]
        parts += [f"$data{i} using 1:3:(0):($4-$3) with vectors nohead lw 0.8 lc rgb '{colour}'", f"$data{i} with lines {style[peer]}",
                  f"$data{i} with points pt 7 ps 0.45 lc rgb '{colour}'"]
    script += [f"set output '{path}'", "plot " + ", ".join(parts)]
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)


def has_gnuplot():
    try:
        return subprocess.run(["gnuplot", "--version"], stdout=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False
