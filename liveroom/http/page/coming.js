// What the host announced, counted down for everybody.
import { make, timer } from './card.js';
const MOST = 3, AFTER_MS = 5000;
const coming = new Map(); // by what and when
export function hear({ what, at }, now) {
  if (at < now()) return;
  coming.set(`${what} ${at}`, { what, at });
  show(now);
}
function show(now) {
  const next = [...coming.values()].sort((a, b) => a.at - b.at).slice(0, MOST);
  document.getElementById('coming').replaceChildren(...next.map(({ what, at }) => make('span', {}, make('b', {}, what), ' ', timer(at, 'now'))));
  const [first] = next;
  if (first) setTimeout(() => { for (const [key, { at }] of coming) if (at + AFTER_MS <= now()) coming.delete(key); show(now); }, Math.min(2 ** 31 - 1, Math.max(100, first.at + AFTER_MS - now())));
}
