// One dashboard as a page: panels where the JSON puts them, drawn by Grafana's own components.

import '@fontsource/inter/400.css';
import '@fontsource/inter/500.css';
import {
  createTheme, EventBusSrv, FieldType, getDisplayProcessor, getFieldDisplayName, getFieldMatcher, standardTransformers, standardTransformersRegistry,
  toDataFrame, transformDataFrame, dateTime, ThemeContext,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { createRoot } from 'react-dom/client';
import { useEffect, useState } from 'react';

const WIDTH = 1600;
const MARGIN = 8;
const CELL = 30;
const theme = createTheme({ colors: { mode: 'dark' } });
const TRANSFORMERS = { merge: standardTransformers.mergeTransformer, organize: standardTransformers.organizeFieldsTransformer };

standardTransformersRegistry.setInit(() =>
  Object.entries(TRANSFORMERS).map(([id, info]) => ({ id, name: id, transformation: async () => info, editor: () => null }))
);

// Called by render.mjs.
window.draw = (dashboard, answers) => createRoot(document.getElementById('page')).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <Board dashboard={dashboard} answers={answers} />
  </ThemeContext.Provider>
);

function Board({ dashboard, answers }) {
  const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <div style={{ width: WIDTH, padding: MARGIN, background: theme.colors.background.canvas, fontFamily: 'Inter' }}>
      <Head dashboard={dashboard} answers={answers} />
      <div style={{ position: 'relative', height: bottom * (CELL + MARGIN) }}>
        {dashboard.panels.map((panel) => <Place key={panel.id} panel={panel} answers={answers} />)}
      </div>
    </div>
  );
}

function Head({ dashboard, answers }) {
  const chosen = { database: answers.chosen, datasource: 'Prometheus' };
  const shown = dashboard.templating.list.filter((variable) => variable.hide !== 2);
  const day = (at) => dateTime(at).utc().format('YYYY-MM-DD HH:mm');
  return (
    <div style={{ padding: '4px 8px 12px', color: theme.colors.text.primary }}>
      <div style={{ display: 'flex', justifyContent: 'space-between', fontSize: 20, paddingBottom: 10 }}>
        <span>{dashboard.title}</span>
        <span style={{ fontSize: 13, color: theme.colors.text.secondary }}>
          {day(answers.from)} to {day(answers.to)} UTC
        </span>
      </div>
      <div style={{ display: 'flex', gap: 16, fontSize: 12 }}>
        {shown.map(({ name, label }) => (
          <span key={name} style={{ border: `1px solid ${theme.colors.border.medium}`, borderRadius: 4, padding: '5px 10px' }}>
            <span style={{ color: theme.colors.text.secondary }}>{label}</span>&nbsp; {chosen[name] ?? 'All'}
          </span>
        ))}
      </div>
    </div>
  );
}

function Place({ panel, answers }) {
  const { x, y, w, h } = panel.gridPos;
  const width = (WIDTH / 24) * w - MARGIN;
  const height = h * CELL + (h - 1) * MARGIN;
  const style = { position: 'absolute', left: (WIDTH / 24) * x, top: y * (CELL + MARGIN), width, height };
  if (panel.type === 'row') {
    return <div style={{ ...style, color: theme.colors.text.primary, fontSize: 16, fontWeight: 500, paddingTop: 8 }}>{panel.title}</div>;
  }
  return (
    <div style={style}>
      <PanelChrome title={panel.title} width={width} height={height} padding={panel.type === 'table' ? 'none' : 'md'}>
        {(innerWidth, innerHeight) => <Panel panel={panel} answers={answers} width={innerWidth} height={innerHeight} />}
      </PanelChrome>
    </div>
  );
}

function Panel({ panel, answers, width, height }) {
  const [frames, setFrames] = useState(null);
  useEffect(() => {
    const asked = answers.panels[panel.id].map((frame) => toDataFrame(frame));
    const steps = panel.transformations ?? [];
    const subscription = transformDataFrame(steps, asked).subscribe({ next: (found) => setFrames(configured(found, panel)), error: (error) => console.error(panel.title, error.stack) });
    return () => subscription.unsubscribe();
  }, []);
  if (!frames) {
    return null;
  }
  if (!frames.some((frame) => frame.length)) {
    const text = panel.fieldConfig.defaults.noValue ?? 'No data';
    return <div style={{ padding: 12, color: theme.colors.text.secondary }}>{text}</div>;
  }
  const Kind = { stat: Numbers, timeseries: Lines, table: Table, bargauge: Levels }[panel.type];
  return <Kind panel={panel} frames={frames} width={width} height={height} answers={answers} />;
}

function Numbers({ panel, frames, width, height }) {
  const values = lastValues(frames);
  const isWide = width > height;
  return (
    <div style={{ display: 'flex', flexDirection: isWide ? 'row' : 'column' }}>
      {values.map(({ display, name }) => (
        <BigValue key={name} theme={theme} value={values.length > 1 ? { ...display, title: name } : display}
          width={isWide ? width / values.length : width} height={isWide ? height : height / values.length}
          colorMode={panel.options.colorMode} graphMode="none" justifyMode="auto" textMode={panel.options.textMode}
          count={values.length} />
      ))}
    </div>
  );
}

function Lines({ panel, frames, width, height, answers }) {
  const timeRange = { from: dateTime(answers.from), to: dateTime(answers.to), raw: { from: '', to: '' } };
  return (
    <PanelContextProvider value={{ eventBus: new EventBusSrv(), sync: () => 0 }}>
      <TimeSeries frames={frames} width={width} height={height} timeRange={timeRange} timeZone="utc"
        legend={panel.options.legend} />
    </PanelContextProvider>
  );
}

function Table({ panel, frames, width, height }) {
  const [frame] = frames;
  const shown = { ...frame, fields: frame.fields.filter((field) => !field.config.custom?.hidden) };
  return (
    <TableNG data={sorted(shown, panel.options.sortBy)} width={width} height={height} cellHeight="sm"
      enableVirtualization={false} transparent />
  );
}

function Levels({ panel, frames, width, height }) {
  const values = lastValues(frames).slice(0, 10);
  const each = height / Math.max(values.length, 8);
  const numbers = values.map(({ display }) => display.numeric);
  const most = panel.fieldConfig.defaults.max ?? Math.max(...numbers, 0);
  return values.map(({ display, field, name }) => (
    <BarGauge key={name} theme={theme} value={{ ...display, title: name }} field={{ ...field.config, min: 0, max: most }}
      display={field.display} orientation="horizontal" displayMode="basic" width={width} height={each - 6} itemSpacing={6}
      showUnfilled valueDisplayMode="text" namePlacement="left"
      alignmentFactors={{ title: 'x'.repeat(44), text: '100.00 GiB' }} />
  ));
}

function lastValues(frames) {
  return frames.filter((frame) => frame.length).map((frame) => {
    const field = frame.fields.find(({ type }) => type === FieldType.number);
    const value = field.values.findLast((one) => one !== null);
    return { field, display: field.display(value), name: getFieldDisplayName(field, frame, frames) };
  });
}

function sorted(frame, sortBy) {
  const [by] = sortBy ?? [];
  const field = by && frame.fields.find((one) => (one.config.displayName ?? one.name) === by.displayName);
  if (!field) {
    return frame;
  }
  const compare = (a, b) => (typeof a === 'number' ? a - b : String(a).localeCompare(String(b)));
  const order = [...field.values.keys()].sort((a, b) => compare(field.values[a], field.values[b]) * (by.desc ? -1 : 1));
  return { ...frame, fields: frame.fields.map((one) => ({ ...one, values: order.map((place) => one.values[place]) })) };
}

// Grafana does this with the registry of its plugins: defaults first, then the overrides that match.
function configured(frames, panel) {
  let seriesIndex = 0;
  const { defaults, overrides } = panel.fieldConfig;
  return frames.map((frame, place) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      const isTime = field.type === FieldType.time;
      const config = structuredClone({ ...defaults, ...field.config, custom: { ...defaults.custom } });
      for (const { matcher, properties } of overrides) {
        if (matches(matcher, field, frame, frames)) {
          properties.forEach(({ id, value }) => put(config, id, value));
        }
      }
      if (isTime) {
        delete config.unit;
      }
      const state = { ...field.state, seriesIndex: isTime ? undefined : seriesIndex++, origin: { frameIndex: place } };
      const whole = { ...field, config, state };
      return { ...whole, display: getDisplayProcessor({ field: whole, theme, timeZone: 'utc' }), getLinks: () => [] };
    }),
  }));
}

function matches({ id, options }, field, frame, frames) {
  if (id === 'byFrameRefID') {
    return frame.refId === options && field.type === FieldType.number;
  }
  return getFieldMatcher({ id, options })(field, frame, frames);
}

function put(config, path, value) {
  const names = path.split('.');
  const last = names.pop();
  names.reduce((part, name) => (part[name] ??= {}), config)[last] = value;
}
