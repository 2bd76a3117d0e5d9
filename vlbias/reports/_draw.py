"""Draws curves over slots with matplotlib, without any global state of it."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vlbias.estimates import Estimate
from vlbias.reports._text import clean


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of a figure, as hexadecimal text."""

    line: str = "#0b5c8c"
    ink: str = "#1d2329"
    quiet: str = "#6b747c"
    shade: str = "#d9dde0"
    alone: str = "#a34e00"


PAPER = Palette()
PAGE = Palette(line="#010203", ink="#010204", quiet="#010205", shade="#010206", alone="#010207")
PAGE_NAMES = {colour: f"var(--{name})" for name, colour in vars(PAGE).items()}
NARROW_IN = 4.5
NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One curve with what stands beside it; slots have a head and a neighbour, displayed places have neither."""

    points: Sequence[Estimate]
    ylabel: str
    xlabel: str = "slot"
    alone: Estimate | None = None
    title: str = ""
    limits: tuple[float, float] | None = None


def curve_figure(curve: Curve, *, palette: Palette, size_in: tuple[float, float]) -> Figure:
    """One curve: a line with its interval, the no-effect band in grey and the probe alone dashed."""
    figure = Figure(figsize=size_in, layout="constrained")
    draw(figure.subplots(), curve, palette=palette)
    return figure


def grid_figure(curves: Sequence[Curve], *, palette: Palette, columns: int = 3) -> Figure:
    """Small multiples on one scale."""
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(2.3 * columns, 1.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax, curve in zip(axes, curves):
        draw(ax, curve, palette=palette)
    for ax in axes[len(curves) :]:
        ax.set_visible(False)
    return figure


def draw(ax: Axes, curve: Curve, *, palette: Palette) -> None:
    """Draws one curve; a slot without a value is a gap."""
    known = [e for e in curve.points if e.value is not None and e.slot is not None]
    slots = [e.slot + 1 for e in known if e.slot is not None]
    _bands(ax, known, palette)
    ax.plot(
        slots,
        [e.value for e in known if e.value is not None],
        color=palette.line,
        marker="o",
        markersize=3.5,
        linewidth=1.6,
    )
    if curve.alone is not None and curve.alone.value is not None:
        ax.axhline(curve.alone.value, color=palette.alone, linestyle=(0, (5, 3)), zorder=1, linewidth=1.1)
        text = f"alone {curve.alone.value:.0f}"
        ax.annotate(text, (0.5, curve.alone.value), (0, 3), xycoords=("axes fraction", "data"),
                    textcoords="offset points", ha="center", fontsize=8, color=palette.alone)  # fmt: skip
    _frame(ax, curve, palette)


def _bands(ax: Axes, known: Sequence[Estimate], palette: Palette) -> None:
    banded = [e for e in known if e.reference is not None and e.slot is not None]
    if banded:
        x = [e.slot + 1 for e in banded if e.slot is not None]
        low = [e.reference.low for e in banded if e.reference is not None]
        high = [e.reference.high for e in banded if e.reference is not None]
        ax.fill_between(x, low, high, color=palette.shade, linewidth=0)
    for e in known:
        if e.low is not None and e.high is not None and e.slot is not None:
            ax.plot([e.slot + 1] * 2, [e.low, e.high], color=palette.line, linewidth=5, alpha=0.28,
                    solid_capstyle="butt")  # fmt: skip


def _frame(ax: Axes, curve: Curve, palette: Palette) -> None:
    last = max((e.slot + 1 for e in curve.points if e.slot is not None), default=1)
    ax.set_xlim(0.6, last + 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10, min_n_ticks=1))
    if curve.limits:
        ax.set_ylim(*curve.limits)
    ax.tick_params(colors=palette.quiet, labelsize=8.5, length=3)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(palette.quiet)
    if curve.title:
        ax.set_title(curve.title, loc="left", fontsize=9.5, color=palette.ink, parse_math=False)
    if curve.ylabel:
        ax.set_ylabel(curve.ylabel, fontsize=9, color=palette.ink)
        ax.set_xlabel(curve.xlabel, fontsize=9, color=palette.ink)
    if curve.ylabel and curve.xlabel == "slot":
        drawn = ax.figure
        wide = isinstance(drawn, Figure) and drawn.get_figwidth() > NARROW_IN
        last_place = "neighbour, nearest the question →" if wide else "neighbour →"
        for x, side, end in ((0, "left", "← head"), (1, "right", last_place)):
            ax.annotate(end, (x, 0), (0, -21), xycoords="axes fraction", textcoords="offset points", ha=side, va="top",
                        fontsize=9, color=palette.ink, annotation_clip=False)  # fmt: skip


def encoded(figure: Figure, kind: str) -> bytes:
    """The figure as png (200 dots per inch), pdf or svg; the same figure gives the same bytes."""
    FigureCanvasAgg(figure)
    # Clear ground: paper and page show their own, light or dark.
    figure.patch.set_visible(False)
    for ax in figure.axes:
        ax.patch.set_visible(False)
    page = io.BytesIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "vlbias", "pdf.fonttype": 42, "font.family": ["sans-serif"]}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that must not end a report.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        if (layout := figure.get_layout_engine()) is not None:
            # Where things stand is worked out once, not before each kind of file.
            layout.execute(figure)
            figure.set_layout_engine(None)
        figure.savefig(page, format=kind, dpi=200, metadata=NO_DATE[kind])
    return page.getvalue()


def inline_svg(figure: Figure, *, name: str, label: str) -> str:
    """The figure as an element of a page: colours are the page's, ids are its own, nothing points outside."""
    text = encoded(figure, "svg").decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', head)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    for colour, said in PAGE_NAMES.items():
        body = body.replace(colour, said)
    body = re.sub(r"font: (?:[\d.]+px) [^;\"]+", lambda m: m[0].split("px")[0] + "px var(--sans)", body)
    title = clean(label).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return f'<svg {box[0] if box else ""} role="img" aria-label="{title}"><title>{title}</title>{body}'
