"""Small plots as inline SVG: no script, no request, words for those who do not see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prisma_postgres_exporter.expose.markup import Markup, element

WIDTH, HEIGHT = 1_000, 100
"""The plot's own units: it is stretched to the room there is, and its words stand outside of it."""
BAR = 0.8
"""How much of its place a bar takes."""

PLOT_STYLE = """
figure { margin: .75rem 0 } figcaption, .scale { font-size: .85rem }
svg.plot { display: block; width: 100%; height: 5rem; border-bottom: 1px solid var(--line) }
svg.plot rect { fill: var(--plot) }
.scale { display: flex; justify-content: space-between; flex-wrap: wrap; gap: .5rem }
"""
"""What a page's style needs, beside colours named `--plot` and `--line`."""


def bars(points: Sequence[tuple[str, int | None]], *, label: str, shown: Callable[[int], str]) -> Markup:
    """One bar for each point, a gap where nothing is known; pointing at a bar shows its name and value.

    `label` says what it is and is the caption too; `shown` writes a value.
    """
    known = [value for _, value in points if value is not None]
    if not known:
        return element("p", f"{label}: nothing is known yet.")
    lowest, highest = shown(min(known)), shown(max(known))
    step, scale = WIDTH / len(points), HEIGHT / (max(known) or 1)
    drawn = [
        element(
            "rect",
            element("title", f"{name}: {shown(value)}"),
            x=_number(step * (place + (1 - BAR) / 2)),
            y=_number(HEIGHT - value * scale),
            width=_number(step * BAR),
            height=_number(value * scale),
        )
        for place, (name, value) in enumerate(points)
        if value is not None
    ]
    first, last = points[0][0], points[-1][0]
    drawing = element(
        "svg",
        *drawn,
        class_="plot",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        **{"aria-label": f"{label}, {first} to {last}: lowest {lowest}, highest {highest}"},
    )
    scale_line = element(
        "div",
        element("span", first),
        element("span", f"highest {highest}"),
        element("span", last),
        class_="scale",
        **{"aria-hidden": "true"},
    )
    return element("figure", element("figcaption", label), drawing, scale_line)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
