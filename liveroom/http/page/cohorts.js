// Parts of the audience: those who joined in the same five minutes, as a map, and those of one source, in a line each.
import { draw } from './card.js';
const WIDE = 344, LEFT = 38, RIGHT = 8, ROWS = 24, HIGH = 9, STEP = 300;
// Rows are when they joined, columns how much later; says whether there was anything to draw.
export function joiners(svg, { cohorts }, clock) {
  const rows = cohorts.filter(one => one.present?.length > 1).slice(-ROWS), columns = Math.max(2, ...rows.map(one => one.present.length));
  if (!rows.length) return false;
  const wide = (WIDE - LEFT - RIGHT) / columns, foot = rows.length * HIGH, every = Math.ceil(columns / 6);
  const cell = (row, i, share, u) => draw('rect', { class: 'cell', x: LEFT + u * wide, y: i * HIGH, width: wide - 1, height: HIGH - 1, 'fill-opacity': (0.06 + 0.94 * share).toFixed(2) },
    draw('title', {}, `Of ${row.n} who joined at ${clock(row.t)}, ${Math.round(100 * share)} % were here ${clock(u * STEP)} later`));
  svg.setAttribute('viewBox', `0 0 ${WIDE} ${foot + 16}`);
  svg.setAttribute('aria-label', `Of the last ${rows.length} groups of five minutes: ${rows.slice(-5).map(one => `joined at ${clock(one.t)}, ${Math.round(100 * one.present.at(-1))} % of ${one.n} left after ${clock((one.present.length - 1) * STEP)}`).join('; ')}.`);
  svg.replaceChildren(
    ...rows.flatMap((row, i) => [...(i % Math.ceil(rows.length / 8) ? [] : [draw('text', { x: LEFT - 5, y: i * HIGH + 8, 'text-anchor': 'end' }, clock(row.t))]), ...row.present.map((share, u) => cell(row, i, share, u))]),
    ...Array.from({ length: columns }, (_, u) => u).filter(u => u && u % every === 0).map(u => draw('text', { x: LEFT + u * wide, y: foot + 13 }, `+${clock(u * STEP)}`)));
  return true;
}
export function sources(node, { sources: each, sources_differ: differ }, clock) {
  const named = Object.entries(each).sort((a, b) => b[1].n - a[1].n).slice(0, 6);
  node.hidden = named.length < 2;
  const words = named.map(([name, stay]) => `${name} ${stay.n}, ${stay.median === null ? 'over half stay' : `median ${clock(stay.median)}`}`).join(' · ');
  node.textContent = `By source: ${words}.${differ ? ` ${differ.p < 0.05 ? `They stay differently (log-rank p ${differ.p < 0.001 ? '< 0.001' : differ.p.toFixed(3)})` : 'No difference beyond chance'}.` : ''}`;
}
