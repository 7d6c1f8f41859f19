// Questions that wait for an answer, for the staff: what was asked, by how many, since when, and a button to reply.
import { button, make, n } from './card.js';
let page, rest, waiting = [], more = 0;
const rows = new Map(), $ = id => document.getElementById(id), SHOWN = 4;

export function start(given) { // { answer(comment), now() }
  page = given;
  rest = make('small', {});
  $('questions').append(make('summary', {}, make('b', {}, 'Questions waiting'), make('span', {})), make('div', {}, make('ul', {}), rest));
  setInterval(tick, 1000);
}
export function welcome() { [waiting, more] = [[], 0]; show(); } // whoever comes is told at once, if something waits
export const ON = { 'questions.live'(m) { [waiting, more] = [m.questions, m.more ?? 0]; show(); } };

function since(asked) {
  const s = Math.max(0, Math.round((page.now() - asked) / 1000));
  return `${Math.floor(s / 60)}:${`${s % 60}`.padStart(2, '0')}`;
}
function who(q) { return q.viewers > 1 ? `${q.name} and ${n(q.viewers - 1, 'other')}` : q.name; }
function row(q) {
  const words = make('small', {});
  const li = make('li', {}, make('div', {}, make('b', { className: 'asked' }, q.text), words),
    button('Reply', () => page.answer({ ...q, question: true }), { className: 'plain', ariaLabel: `Reply to ${q.name}: ${q.text}` }));
  return { li, words };
}
function show() {
  const box = $('questions'), list = box.querySelector('ul'), shown = waiting.slice(0, SHOWN), ids = shown.map(q => q.id);
  const held = [...rows].find(([, { li }]) => li.contains(document.activeElement))?.[0];
  box.hidden = !waiting.length; box.querySelector('summary span').textContent = `${waiting.length + more}`;
  for (const id of rows.keys()) if (!ids.includes(id)) rows.delete(id);
  for (const q of shown) if (!rows.has(q.id)) rows.set(q.id, row(q));
  const nodes = ids.map(id => rows.get(id).li);
  if (nodes.length !== list.childElementCount || nodes.some((node, i) => list.children[i] !== node)) list.replaceChildren(...nodes);
  if (held) (rows.get(held)?.li.querySelector('button') ?? box.querySelector('summary')).focus(); // where the keyboard was
  const left = waiting.length + more - shown.length;
  rest.textContent = left ? `and ${left} more` : '';
  tick();
}
function tick() { for (const q of waiting.slice(0, SHOWN)) rows.get(q.id).words.textContent = `${who(q)} · ${since(q.asked)}`; }
