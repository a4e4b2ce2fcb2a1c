// Draw the shipped dashboards on the answers of a running Prometheus: node render.mjs http://127.0.0.1:19090 1795184000

import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { answer } from './answers.mjs';

const HERE = import.meta.dirname;
const BOARDS = join(HERE, '..', 'dashboards');
const MOST_BYTES = 300_000;
const WIDTH = 1616;
const ROW = 38;
const HEAD = 110;
const [prometheus, until, ...wanted] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'dashboard-pictures-'));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  // A browser that runs as root in a container has no sandbox.
  args: ['--no-sandbox'],
});
try {
  await build({
    entryPoints: [join(HERE, 'page.jsx')],
    outfile: join(folder, 'page.js'),
    bundle: true,
    format: 'iife',
    jsx: 'automatic',
    loader: { '.ttf': 'empty', '.woff': 'dataurl', '.woff2': 'dataurl', '.svg': 'dataurl' },
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    logLevel: 'error',
  });
  await writeFile(join(folder, 'page.html'), [
    '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css">',
    '<style>body { margin: 0 }</style><div id="page"></div><script src="page.js"></script>',
  ].join('\n'));
  for (const file of (await readdir(BOARDS)).filter((name) => wanted.length === 0 || wanted.some((one) => name.includes(one)))) {
    await picture(file);
  }
} finally {
  await browser.close();
  await rm(folder, { recursive: true });
}

async function picture(file) {
  const dashboard = JSON.parse(await readFile(join(BOARDS, file), 'utf-8'));
  const answers = await answer(prometheus, dashboard, Number(until));
  const rows = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  // As high as the board: what is out of sight is not drawn.
  const page = await browser.newPage({ viewport: { width: WIDTH, height: rows * ROW + HEAD } });
  page.on('console', (message) => message.type() === 'error' && !message.text().includes('ERR_FILE_NOT_FOUND') && console.error(message.text()));
  page.on('pageerror', (error) => console.error(file, error.message.slice(0, 500)));
  await page.goto(`file://${join(folder, 'page.html')}`);
  // Numbers are measured in the font before they are drawn.
  await page.evaluate(() => Promise.all(['400 14px Inter', '500 14px Inter'].map((font) => document.fonts.load(font))));
  await page.evaluate(([board, found]) => window.draw(board, found), [dashboard, answers]);
  // Tables and graphs measure themselves and draw again.
  await page.waitForTimeout(2500);
  const target = join(HERE, file.replace('.json', '.png'));
  await page.screenshot({ path: target });
  await page.close();
  execFileSync('pngquant', ['--force', '--ext', '.png', '--quality', '60-95', '--speed', '1', target]);
  const { size } = await stat(target);
  console.log(`${target} ${size} bytes${size > MOST_BYTES ? ': too large' : ''}`);
}
