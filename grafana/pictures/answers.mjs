// Ask a Prometheus every query of a dashboard, the way Grafana does: variables filled in, steps of whole multiples.

const POINTS = 500;
const STEPS = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];
const SCRAPED_EVERY = 60;

// Returns `{ from, to, panels: { id: [frame] } }`; times are in milliseconds, a frame is what Grafana makes of a query.
export async function answer(prometheus, dashboard, untilSeconds) {
  const sinceSeconds = begin(dashboard.time.from, untilSeconds);
  const chosen = await dearest(prometheus, untilSeconds);
  const panels = {};
  for (const panel of dashboard.panels.filter((panel) => panel.type !== 'row')) {
    const frames = await Promise.all(
      panel.targets.map((target) => ask(prometheus, panel, target, sinceSeconds, untilSeconds, chosen))
    );
    panels[panel.id] = frames.flat();
  }
  return { from: sinceSeconds * 1000, to: untilSeconds * 1000, panels, chosen: chosen.name };
}

async function ask(prometheus, panel, target, since, until, chosen) {
  const step = stepOf(panel, since, until);
  const expression = fill(target.expr, since, until, step, chosen.id);
  if (target.instant) {
    const series = await query(prometheus, 'query', { query: expression, time: until });
    return target.format === 'table'
      ? [table(series, target.refId, panel.targets.length)]
      : series.map((one) => line([[until, one.value[1]]], one.metric, target));
  }
  const range = { query: expression, start: Math.floor(since / step) * step, end: Math.floor(until / step) * step, step };
  const series = await query(prometheus, 'query_range', range);
  return series.map((one) => line(gaps(one.values, step), one.metric, target));
}

function stepOf(panel, since, until) {
  const least = panel.interval ? seconds(panel.interval) : SCRAPED_EVERY;
  const wanted = Math.max(least, (until - since) / POINTS);
  return STEPS.find((step) => step >= wanted);
}

function fill(expression, since, until, step, databaseId) {
  return expression
    .replaceAll('$__rate_interval', `${Math.max(4 * SCRAPED_EVERY, step + SCRAPED_EVERY)}s`)
    .replaceAll('$__interval_ms', `${step * 1000}`)
    .replaceAll('$__interval', `${step}s`)
    .replaceAll('$__range', `${until - since}s`)
    .replaceAll('${__from:date:seconds}', `${since}`)
    .replaceAll('$database', databaseId)
    .replace(/\$(job|instance|workspace|project)\b/g, '.+');
}

function line(values, labels, target) {
  const { __name__: metric, ...rest } = labels;
  const legend = target.legendFormat === '__auto' ? automatic(metric, rest) : template(target.legendFormat, labels);
  return {
    refId: target.refId,
    fields: [
      { name: 'Time', type: 'time', values: values.map(([at]) => at * 1000), config: {} },
      { name: 'Value', type: 'number', values: values.map(([, value]) => number(value)), labels: rest,
        config: { displayNameFromDS: legend } },
    ],
  };
}

function table(series, refId, queries) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].filter((name) => name !== '__name__');
  const column = (name, type, values) => ({ name, type, values, config: {} });
  return {
    refId,
    fields: [
      column('Time', 'time', series.map((one) => one.value[0] * 1000)),
      ...labels.map((name) => column(name, 'string', series.map((one) => one.metric[name] ?? ''))),
      column(queries > 1 ? `Value #${refId}` : 'Value', 'number', series.map((one) => number(one.value[1]))),
    ],
  };
}

// A missing step is a gap in the line.
function gaps(values, step) {
  const found = [];
  for (const [at, value] of values) {
    const last = found.at(-1);
    if (last && at - last[0] > step) {
      found.push([last[0] + step, null]);
    }
    found.push([at, value]);
  }
  return found;
}

async function dearest(prometheus, until) {
  const cost = 'sum by (database_id) (prisma_postgres_database_month_to_date_cost_usd)';
  const named = `topk(1, ${cost}) * on (database_id) group_left (database_name, project_name) prisma_postgres_database_info`;
  const [{ metric }] = await query(prometheus, 'query', { query: named, time: until });
  return { id: metric.database_id, name: `${metric.project_name} / ${metric.database_name}` };
}

async function query(prometheus, path, parameters) {
  const answer = await fetch(`${prometheus}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const { status, data, error } = await answer.json();
  if (status !== 'success') {
    throw new Error(`${error}: ${parameters.query}`);
  }
  return data.result;
}

function begin(from, until) {
  if (from === 'now/M') {
    const now = new Date(until * 1000);
    return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1) / 1000;
  }
  return until - seconds(from.replace('now-', ''));
}

function seconds(duration) {
  return parseInt(duration, 10) * { s: 1, m: 60, h: 3600, d: 86400 }[duration.at(-1)];
}

function automatic(metric, labels) {
  const shown = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return shown.length ? `${metric ?? ''}{${shown.join(', ')}}` : metric ?? 'Value';
}

function template(format, labels) {
  return format.replace(/{{\s*(\w+)\s*}}/g, (_, name) => labels[name] ?? '');
}

function number(value) {
  return value === null ? null : Number(value);
}
