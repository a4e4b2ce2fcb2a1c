"""The few kinds of panels the dashboards are made of, each with one look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as queries

from dashboards.frame import SOURCE

Colours = Mapping[str, tuple[str, str]]
"""What a number means: by its value the text to show and the colour."""

OK: Colours = {"0": ("no", "green"), "1": ("yes", "red")}
UP: Colours = {"0": ("failing", "red"), "1": ("ok", "green")}
NEUTRAL = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One query: PromQL and the name of what it gives (`{{label}}` for a label)."""

    expression: str
    legend: str = ""
    every: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a table shows one field; `title` none: it is hidden, yet can be used in the link of another.

    `link` is an address, in which `${__data.fields["…"]}` is the value of a hidden field of the same row.
    """

    field: str
    title: str | None = None
    unit: str | None = None
    decimals: int | None = None
    width: int | None = None
    means: Colours | None = None
    link: str | None = None
    is_bar: bool = False


def row(board: build.Dashboard, title: str) -> None:
    """Begin a row of panels."""
    board.with_row(build.Row(title))


def number(
    title: str,
    description: str,
    asks: Sequence[Ask] | str,
    *,
    unit: str,
    span: int = 3,
    height: int = 4,
    decimals: int | None = None,
    means: Colours | None = None,
    red_above: float | None = None,
    is_small: bool = False,
) -> stat.Panel:
    """Return a panel with one big number a query; small ones stand below each other."""
    asked = [Ask(expression=asks)] if isinstance(asks, str) else list(asks)
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(height)
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.VALUE)
        .text_mode(kinds.BigValueTextMode.AUTO)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .thresholds(_thresholds(red_above))
    )
    for query in _targets(asked, instant=True):
        panel.with_target(query)
    if decimals is not None:
        panel.decimals(decimals)
    if means is not None:
        panel.mappings([_mapping(means)])
    if is_small:
        panel.orientation(kinds.VizOrientation.HORIZONTAL)
        panel.text(common.VizTextDisplayOptions().title_size(12).value_size(18))
    return panel


def lines(
    title: str,
    description: str,
    asks: Iterable[Ask],
    *,
    unit: str,
    span: int = 12,
    height: int = 8,
    is_stacked: bool = False,
    fill: int = 10,
    every: str | None = None,
    has_zero: bool = True,
    legend: Sequence[str] = (),
    limits: Sequence[str] = (),
    past: Sequence[str] = (),
    soft_max: float | None = None,
) -> timeseries.Panel:
    """Return lines over time; `legend` are the calculations in a table beside them, none: a plain list below.

    `limits` and `past` are the letters of queries that are drawn as dashed lines: what the others should stay under,
    and what they are compared with. The axis reaches `soft_max` at least.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(height)
        .line_width(1)
        .fill_opacity(60 if is_stacked else fill)
        .show_points(kinds.VisibilityMode.NEVER)
        .tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
        .legend(_legend(legend))
        .color_scheme(build.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .thresholds(_thresholds(None))
    )
    for query in _targets(asks, instant=False):
        panel.with_target(query)
    if is_stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if every is not None:
        panel.interval(every)
    if has_zero:
        panel.min(0)
    for letter in limits:
        panel.override_by_query(letter, _dashed("orange"))
    for letter in past:
        panel.override_by_query(letter, _dashed("#8e8e99"))
    if soft_max is not None:
        panel.axis_soft_max(soft_max)
    return panel


def bars(
    title: str,
    description: str,
    asks: Iterable[Ask],
    *,
    unit: str,
    every: str,
    span: int = 12,
    height: int = 8,
    has_zero: bool = True,
    legend: Sequence[str] = (),
    soft_max: float | None = None,
) -> timeseries.Panel:
    """Return stacked bars, one for each `every`, from its beginning to its end."""
    panel = lines(
        title,
        description,
        asks,
        unit=unit,
        span=span,
        height=height,
        is_stacked=True,
        every=every,
        has_zero=has_zero,
        legend=legend,
        soft_max=soft_max,
    )
    return (
        panel.draw_style(kinds.GraphDrawStyle.BARS)
        .bar_alignment(kinds.BarAlignment.AFTER)
        .bar_width_factor(0.85)
        .fill_opacity(80)
        .line_width(0)
    )


def levels(
    title: str, description: str, ask: Ask, *, unit: str, span: int = 12, height: int = 8, maximum: float | None = None
) -> bargauge.Panel:
    """Return a bar for each series, longest first when the query sorts so."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(span)
        .height(height)
        .min(0)
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .value_mode(kinds.BarGaugeValueMode.TEXT)
        .show_unfilled(True)
        .text(common.VizTextDisplayOptions().title_size(12).value_size(13))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(build.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color("blue"))
        .thresholds(_thresholds(None))
    )
    if maximum is not None:
        panel.max(maximum)
    for query in _targets([ask], instant=True):
        panel.with_target(query)
    return panel


def rows(
    title: str,
    description: str,
    asks: Mapping[str, str],
    columns: Sequence[Column],
    *,
    sort_by: str,
    span: int = 24,
    height: int = 8,
    is_descending: bool = True,
    no_value: str | None = None,
) -> table.Panel:
    """Return a table with a row for each set of labels; `asks` are queries by the letter their column carries.

    A query's number is the field `Value #letter`, or `Value` where there is one query only.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(span)
        .height(height)
        .unit("none")
        .cell_height(kinds.TableCellHeight.SM)
        .sort_by([common.TableSortByFieldState().display_name(sort_by).desc(is_descending)])
        .thresholds(_thresholds(None))
    )
    for letter, expression in asks.items():
        query = _target(Ask(expression=expression), letter).instant().format(queries.PromQueryFormat.TABLE)
        panel.with_target(query)
    if len(asks) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    shown = [column for column in columns if column.title is not None]
    order = {column.field: place for place, column in enumerate([*shown, *_hidden(columns)])}
    names = {column.field: column.title for column in shown}
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names},
        )
    )
    for column in columns:
        panel.override_by_name(column.title or column.field, list(_properties(column)))
    if no_value is not None:
        # It is for a table without rows: an empty cell stays empty.
        panel.no_value(no_value)
        panel.override_by_regexp(".+", [models.DynamicConfigValue("noValue", "")])
    return panel


def _dashed(colour: str) -> list[models.DynamicConfigValue]:
    return [
        models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        models.DynamicConfigValue("custom.fillOpacity", 0),
        models.DynamicConfigValue("custom.stacking", {"mode": "none", "group": "limits"}),
        models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
    ]


def _hidden(columns: Iterable[Column]) -> list[Column]:
    return [column for column in columns if column.title is None]


def _properties(column: Column) -> Iterable[models.DynamicConfigValue]:
    if column.title is None:
        yield models.DynamicConfigValue("custom.hideFrom", {"viz": True, "legend": True, "tooltip": True})
        yield models.DynamicConfigValue("custom.hidden", True)
        return
    if column.unit is not None:
        yield models.DynamicConfigValue("unit", column.unit)
    if column.decimals is not None:
        yield models.DynamicConfigValue("decimals", column.decimals)
    if column.width is not None:
        yield models.DynamicConfigValue("custom.width", column.width)
    if column.means is not None:
        yield models.DynamicConfigValue("mappings", [_mapping(column.means)])
        yield models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})
    if column.is_bar:
        yield models.DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic"})
        yield models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "blue"})
        yield models.DynamicConfigValue("min", 0)
    if column.link is not None:
        link = {"title": f"Open {column.title.lower()}", "url": column.link}
        yield models.DynamicConfigValue("links", [link])


def _targets(asks: Iterable[Ask], *, instant: bool) -> Iterable[prometheus.Dataquery]:
    for place, ask in enumerate(asks):
        query = _target(ask, chr(ord("A") + place))
        yield query.instant() if instant else query.range()


def _target(ask: Ask, letter: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().datasource(SOURCE).expr(ask.expression).ref_id(letter)
    query.editor_mode(queries.QueryEditorMode.CODE)
    if ask.every:
        query.interval(ask.every)
    return query.legend_format(ask.legend or "__auto")


def _legend(calculations: Sequence[str]) -> common.VizLegendOptions:
    if not calculations:
        return (
            common.VizLegendOptions()
            .display_mode(kinds.LegendDisplayMode.LIST)
            .placement(kinds.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    return (
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.TABLE)
        .placement(kinds.LegendPlacement.RIGHT)
        .show_legend(True)
        .calcs(list(calculations))
    )


def _thresholds(red_above: float | None) -> build.ThresholdsConfig:
    steps = [models.Threshold(value=None, color=NEUTRAL if red_above is None else "green")]
    if red_above is not None:
        steps.append(models.Threshold(value=red_above, color="red"))
    return build.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _mapping(means: Colours) -> models.ValueMap:
    results = enumerate(means.items())
    return models.ValueMap(
        options={
            value: models.ValueMappingResult(text=text, color=colour, index=place)
            for place, (value, (text, colour)) in results
        }
    )
