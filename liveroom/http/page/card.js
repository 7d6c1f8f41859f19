// What cards are made of. Words only ever become textContent.
export function make(tag, more, ...inside) {
  const node = Object.assign(document.createElement(tag), more);
  node.append(...inside.flat().filter(Boolean));
  return node;
}
export const p = (words, className = '') => make('p', { className }, words), n = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;
export const button = (words, onclick, more) => make('button', { type: 'button', onclick, ...more }, words);
export const at = (name, node) => { node.dataset.at = name; return node; }; // where the keyboard goes on when the card is made anew
export function timer(until, then) { const node = make('time', {}); Object.assign(node.dataset, { until, then }); return node; }
export function details(words, lines) { return make('details', {}, make('summary', {}, words), lines.map(line => p(line))); }
export function list(rows, more) { // rows are [words, whether that is me]
  return [make('ol', {}, rows.map(([words, mine]) => make('li', { className: mine ? 'good' : '' }, mine ? `${words} (you)` : words))), more && p(more)];
}
export const number = (defaultValue, max, more) => ({ type: 'number', min: 1, max, defaultValue, ...more });
export function draw(tag, is, ...inside) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(is)) node.setAttribute(name, value);
  node.append(...inside);
  return node;
}
