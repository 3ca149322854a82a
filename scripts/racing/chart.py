"""The results as one SVG: a group of bars for each race, a bar for each client. Pure."""

from collections.abc import Sequence
from html import escape
from typing import Final

from racing.peers import BARE, OSSSYNC
from racing.results import Result, Score

WIDTH: Final = 900
LABELS: Final = 150  # pixels left of the bars
FIGURES: Final = 190  # pixels right of the longest bar
BAR: Final = 16
GAP: Final = 5
_COLOURS: Final = {OSSSYNC: "#0a7d4f", BARE: "#8a8a8a"}
_OTHERS: Final = "#9db8d9"
_FONT: Final = "font-family='Helvetica, Arial, sans-serif' font-size='12'"


def chart(results: Sequence[Result]) -> str:
    """Bars as long as a client's share of the fastest speed in its race; the fastest is on top."""
    rows: list[str] = []
    y = 24
    for result in results:
        if result.skipped or not any(score.runs for score in result.scores):
            continue
        race = result.race
        title = escape(f"{race.name} ({race.unit})")
        rows.append(f"<text x='{LABELS}' y='{y}' font-weight='bold'>{title}</text>")
        y += 10
        scores = sorted((score for score in result.scores if score.runs), key=_slowness)
        for score in scores:
            rows.append(_bar(score, score.speed / scores[0].speed, y))
            y += BAR + GAP
        y += 28
    body = "\n".join(rows)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y}' {_FONT}>\n"
        f"<rect width='100%' height='100%' fill='white'/>\n{body}\n</svg>\n"
    )


def _bar(score: Score, share: float, y: int) -> str:
    length = max(1, round(share * (WIDTH - LABELS - FIGURES)))
    colour = _COLOURS.get(score.peer, _OTHERS)
    baseline = y + BAR - 4
    figures = f"{score.speed:,.0f} · CPU {score.cpu_s:.1f} s"
    return (
        f"<text x='{LABELS - 8}' y='{baseline}' text-anchor='end'>{escape(score.peer)}</text>"
        f"<rect x='{LABELS}' y='{y}' width='{length}' height='{BAR}' fill='{colour}'/>"
        f"<text x='{LABELS + length + 6}' y='{baseline}'>{figures}</text>"
    )


def _slowness(score: Score) -> float:
    return -score.speed
