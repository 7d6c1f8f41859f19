// Moderation: what the staff do with a comment, what is pinned, how the chat is. Words only ever become textContent.
import { button, make } from './card.js';
const MODES = { open: 'Chat: open to all', slow: 'Chat: slow mode', members: 'Chat: members only', muted: 'Chat: off' };
const ASKS = { slow: s => `One comment every ${s.slow_seconds} s`, members: s => `For members of level ${s.level}`, muted: () => 'Comments are off' };
// `page`: { send, hint, flash, now(), me(), token(), room, forget(test) }. `pins` by id: the lines of the bar.
let page, due = 0;
const pins = new Map(), $ = id => document.getElementById(id), isStaff = () => page.me().role !== 'viewer';

export function start(given) {
  page = given;
  $('mode').append(...Object.entries(MODES).map(([value, words]) => make('option', { value }, words)));
  $('mode').onchange = event => page.send({ t: 'chat.settings', mode: event.target.value }, r => { if (r.t !== 'ok') { $('mode').value = $('mode').dataset.is; page.hint(r); } });
  $('reported').ontoggle = () => $('reported').open && look();
  setInterval(() => pins.size && expire(), 500);
}
export function welcome() { $('mode').hidden = !['host', 'service'].includes(page.me().role); $('reported').hidden = true; }
export function begin({ pinned, settings }) {
  pins.clear(); pinned.forEach(pin); show(); set(settings);
}
export const ON = {
  'chat.deleted'({ ids = [], viewer }) {
    page.forget(c => ids.includes(c.id) || c.from === viewer);
    for (const [id, { comment }] of pins) if (ids.includes(id) || comment.from === viewer) pins.delete(id);
    show();
  },
  'chat.pinned'(m) { pin(m); show(); }, 'chat.unpinned'({ id }) { pins.delete(id); show(); }, 'chat.settings': set,
  'chat.muted'({ until }) {
    const words = until > page.now() ? `You are muted until ${new Date(until).toLocaleTimeString([], { timeStyle: 'short' })}.` : 'You may comment again.';
    page.flash('hint', words, 8000);
  },
  'chat.reports'({ open }) {
    $('reported').hidden = !open; $('reported').firstChild.textContent = `Reported comments: ${open}`;
    if (open && $('reported').open) look();
  },
};
function set(settings) { $('mode').value = $('mode').dataset.is = settings.mode; $('text').placeholder = (!isStaff() && ASKS[settings.mode]?.(settings)) || 'Say something…'; }
function pin({ comment, until }) { pins.set(comment.id, { comment, until }); }
function expire() { for (const [id, { until }] of pins) if (until <= page.now()) { pins.delete(id); due = 1; } if (due) due = 0, show(); }
function show() {
  $('pins').replaceChildren(...[...pins.values()].map(({ comment: c }) => make('li', {}, make('b', {}, c.name), ` ${c.text} `,
    isStaff() && button('Unpin', () => ask({ t: 'chat.unpin', id: c.id }), { className: 'viewer' }))));
  $('pins').hidden = !pins.size;
}
function ask(command, done = '') { page.send(command, r => { if (r.t === 'ok') page.flash('hint', done, 3000); else page.hint(r); }); }
// What stands behind a comment: for the staff what they do with it and with who made it, for viewers a report
export function tools(c) {
  if (c.from === page.me().id) return '';
  const tool = (words, command, done) => button(words, () => ask(command, done), { className: 'viewer', tabIndex: -1, ariaLabel: `${words}: ${c.name}: ${c.text}` });
  const report = tool('Report', { t: 'chat.report', id: c.id, why: 'reported on the page' }, 'Reported. Thank you.');
  const staff = () => [
    tool('Delete', { t: 'chat.delete', ids: [c.id] }), tool('Pin', { t: 'chat.pin', id: c.id, seconds: 300 }),
    tool('Mute 10 min', { t: 'chat.mute', viewer: c.from, seconds: 600 }, `${c.name} is muted.`), tool('Ban', { t: 'chat.ban', viewer: c.from }, `${c.name} is banned.`)];
  return make('small', { className: 'tools' }, isStaff() ? staff() : [report]);
}
async function look() {
  const answer = await fetch(`/v1/rooms/${encodeURIComponent(page.room)}/reports`, { headers: { Authorization: `Bearer ${page.token()}` } });
  const { reports = [] } = answer.ok ? await answer.json() : {};
  $('reported').lastChild.replaceChildren(...reports.map(({ comment: c, n, by }) => make('li', {}, make('b', {}, c.name), ` ${c.text} `, make('small', {}, `${n} × ${by[0].why} `),
    button('Delete', () => ask({ t: 'chat.delete', ids: [c.id] }), { className: 'viewer' }), button('Keep', () => ask({ t: 'chat.dismiss', id: c.id }), { className: 'viewer' }))));
}
