// A flash sale: its card for who buys and who sells, what is held for this viewer, and the way to the demo shop.
import { at, button, make, n, number, p, timer } from './card.js';
const ON = ['announced', 'open', 'sold_out', 'paused'], RUNS = ['open', 'sold_out', 'paused'];
export const MAY = { pause: ['open', 'sold_out'], resume: ['paused'], extend: ON, restock: ON, close: RUNS, cancel_all: ON };
const WHY = { expired: 'The time to pay ran out: it is not held for you any more.', cancelled: 'It is not held for you any more.', refunded: 'Your payment was given back.' };
// `round`: { page, order, unsure, show, tell, end } of rounds.js. A round's `parts` by hold: { hold, until, qty, order, rank }; `gone` holds are over;
// `offer` is { until, qty }, `waiting` whether this viewer waits, `place` his place when he began to; `note` the last that happened to him.
const LET = 'You let it go.', ASKING = 'No answer yet: it is asked again by itself.';
let round;
export function start(given) { round = given; }
const money = currency => new Intl.NumberFormat('en', { style: 'currency', currency });
const digits = currency => money(currency).resolvedOptions().maximumFractionDigits;
export function minor(major, currency) { return Math.round(major * 10 ** digits(currency)); }
export function price(units, currency) { return money(currency).format(units / 10 ** digits(currency)); }
export const over = r => r.kind === 'sale' && ['closed', 'cancelled'].includes(r.state);
const parts = r => [...(r.parts?.values() ?? [])];
const unpaid = r => parts(r).filter(one => !one.order), taken = r => parts(r).reduce((sum, one) => sum + one.qty, 0);
const some = qty => (qty > 1 ? `${qty} of them` : 'One');
const viewing = () => round.page.me().role === 'viewer', counts = r => ({ left: r.opened.stock, held: 0, sold: 0, ...r.counts });

export function title(o) { return o.price === undefined ? o.item : `${o.item} · ${price(o.price, o.currency)}`; }
export function outcome(r) {
  if (r.reason !== undefined) return `was cancelled: ${r.reason}`;
  if (r.opened.stock === undefined) return 'is over';
  const { sold } = counts(r), { stock } = r.opened;
  return sold === stock ? `all ${stock} sold` : `${sold} of ${stock} sold`;
}
export function began(r) { // a snapshot, or an answer, says what this viewer has; `mine` is null where that is nothing
  const all = r.mine?.all ?? [r.mine].filter(Boolean);
  r.parts = new Map([...parts(r).filter(one => one.order), ...all.filter(one => one.hold)].map(one => [one.hold, one])); // an order stays one
  r.waiting = all.some(one => one.waiting);
  offered(r, all.find(one => one.offered));
  rest(r);
}
function rest(r) { // over for this page: nothing of it is to be paid, by whom it shows
  if (over(r) && !r.ended && !(viewing() ? unpaid(r).length : counts(r).held)) round.end(r);
}
function offered(r, offer) {
  clearTimeout(r.offerEnds);
  r.offer = offer;
  if (offer) r.waiting = false, r.offerEnds = setTimeout(() => { r.offer = null; round.show(r); }, Math.max(0, offer.until - round.page.now()));
}
function hold(r, { hold, until, qty }) {
  if (!hold || r.gone?.has(hold) || r.parts?.has(hold)) return '';
  (r.parts ??= new Map()).set(hold, { hold, until, qty });
  r.note = ''; offered(r, null); r.waiting = false;
  return `${some(qty)} held for you: ${title(r.opened)}. Pay before the time is up.`;
}
function order(r, { hold, order, rank, qty, until }) {
  const known = r.parts?.get(hold)?.order;
  (r.parts ??= new Map()).set(hold, { ...r.parts.get(hold), hold, order, rank, qty: qty ?? r.parts.get(hold)?.qty ?? 1, until });
  return known ? '' : yours(r.parts.get(hold));
}
function drop(r, hold) { (r.gone ??= new Set()).add(hold); r.parts?.delete(hold); }
const yours = ({ qty, rank }) => `${qty > 1 ? `${qty} are yours` : 'It is yours'}: you are buyer number ${rank}`;
function ack(m) { if (m.inbox) round.page.send({ t: 'inbox.ack', ids: [m.inbox] }); }
function change(r, more) { r.opened = { ...r.opened, ...more }; }
// What the server says. Gives what a screen reader says of it, if anything.
export const HEARD = {
  stock(r, m) { r.counts = m; rest(r); },
  sold_out(r) { r.state = 'sold_out'; return `${r.opened.item}: sold out`; },
  reopened(r) { r.state = 'open'; return `${r.opened.item}: there is some again`; },
  paused(r, m) { r.state = 'paused'; r.pause = m.reason; return `${r.opened.item}: paused. ${m.reason ?? ''}`; },
  resumed(r, m) { r.state = 'open'; change(r, { closes_at: m.closes_at }); return `${r.opened.item}: it goes on`; },
  extended(r, m) { change(r, { closes_at: m.closes_at }); return `${r.opened.item}: there is more time`; },
  restocked(r, m) { change(r, { stock: m.stock }); return `${r.opened.item}: ${m.qty} more in stock`; },
  closed(r) { r.state = 'closed'; r.waiting = false; rest(r); return `${r.opened.item}: the sale is closed`; },
  cancelled(r, m) { r.state = 'cancelled'; r.waiting = false; r.reason = m.reason; rest(r); return `${r.opened.item} ${outcome(r)}`; },
  held(r, m) { return hold(r, m); },
  offered(r, m) {
    ack(m);
    if (m.until < round.page.now()) return '';
    offered(r, m);
    return `One is kept for you: ${title(r.opened)}. Claim takes it.`;
  },
  released(r, m) { ack(m); drop(r, m.hold); r.note = r.let === m.hold ? LET : WHY[m.why] ?? WHY.cancelled; rest(r); return r.note; },
  confirmed(r, m) { ack(m); const said = order(r, m); rest(r); return said; },
};
// What we ask for
export function claim(r) {
  const { unsure, show, tell, page } = round;
  round.order(`claim ${r.id}`, { t: 'sale.claim', id: r.id, qty: r.qty ?? 1 }, reply => {
    const { code, params } = reply, again = unsure.has(`claim ${r.id}`);
    if (again && r.note !== ASKING) tell(ASKING);
    r.note = again ? ASKING : '';
    if (reply.t === 'ok') tell(hold(r, reply)), r.qty = 1;
    if (code === 'SALE_LIMIT') r.mine = params.mine, began(r);
    show(r);
    if (code === 'SALE_SOLD_OUT') return page.hint({ ...reply, retry_after_ms: 0, left: counts(r).left }), true; // it may come back, but not by asking again
    clearTimeout(r.retry);
    if (again) return r.retry = setTimeout(claimAgain, reply.retry_after_ms ?? 2000, r), true;
  });
  show(r);
}
export function claimAgain(r) { if (round.unsure.has(`claim ${r.id}`) && !over(r)) claim(r); } // it perhaps arrived
function wait(r) {
  round.order(`wait ${r.id}`, { t: 'sale.wait', id: r.id }, ({ t, place, code, params }) => {
    if (t === 'ok' && place) r.waiting = true, r.place = place, round.tell(inLine(r));
    if (code === 'SALE_LIMIT') r.mine = params.mine, began(r);
    round.show(r);
  });
}
function letGo(r, { hold }) {
  r.let = hold;
  round.order(`let go ${hold}`, { t: 'sale.cancel', hold }, ({ t }) => {
    if (t === 'ok') drop(r, hold), r.note = LET, rest(r), round.show(r);
  });
}
async function pay(r, { hold }) { // by way of the demo shop: a real page would send its buyer to a real one
  if (r.paying) return;
  r.paying = hold; round.show(r);
  const body = JSON.stringify({ room: round.page.room, hold }), headers = { 'Content-Type': 'application/json' };
  const said = await fetch('/dev/pay', { method: 'POST', headers, body }).then(answer => answer.json()).catch(() => ({ code: 'UNPAID' }));
  r.paying = null;
  if (said.order) round.tell(order(r, { ...said, hold })), rest(r); else round.page.hint(said);
  round.show(r);
}
// What is shown
const inLine = r => `You wait${r.place ? `: you came as number ${r.place} in line` : ''}. You are told when one comes free.`;
function stock(r) {
  const { left, held, sold } = counts(r), all = [['sold', sold], ['held', held], ['left', left]], words = all.map(([name, count]) => `${count} ${name}`).reverse();
  const bar = make('div', { className: 'stock', role: 'img', ariaLabel: words.join(', ') }, all.filter(([, count]) => count).map(([name, count]) => {
    const part = make('i', { className: name });
    part.style.setProperty('flex-grow', count);
    return part;
  }));
  return [bar, make('p', { className: 'legend', ariaHidden: 'true' }, words.map((one, i) => make('span', { className: all[2 - i][0] }, one)))];
}
function ask(r, most) {
  const again = round.unsure.has(`claim ${r.id}`), more = !again && most > 1 && !r.offer;
  const quantity = () => at('qty', make('select', { ariaLabel: 'How many', onchange: event => { r.qty = Number(event.target.value); } },
    Array.from({ length: most }, (_, i) => make('option', { value: i + 1, selected: i + 1 === r.qty }, `${i + 1}`))));
  return make('div', { className: 'claim' }, more && quantity(), at('have', button(again ? 'Ask again' : r.offer ? 'Claim it' : taken(r) ? 'Claim another' : 'Claim', () => claim(r), { className: taken(r) ? 'plain' : '' })));
}
function part(r, one) {
  const bill = one.qty > 1 && r.opened.price ? ` · ${price(one.qty * r.opened.price, r.opened.currency)}` : '';
  if (one.order) return at(`pay ${one.hold}`, make('p', { className: 'won', tabIndex: -1 }, yours(one), make('small', {}, `Order ${one.order}`)));
  return make('div', { className: 'held' },
    at('have', make('p', { className: 'good', tabIndex: -1 }, `${one.qty > 1 ? `${one.qty} are held` : 'Held'} for you${bill} · `, timer(one.until, 'no time left'))),
    at(`pay ${one.hold}`, button(r.paying === one.hold ? 'Paying…' : 'Pay', () => pay(r, one))),
    at(`go ${one.hold}`, button('Let it go', () => letGo(r, one), { className: 'plain' })));
}
export function PARTS(r) {
  const { state, opened: o, offer, waiting } = r, { left, held, sold } = counts(r), all = [...unpaid(r), ...parts(r).filter(one => one.order)], runs = RUNS.includes(state), mayAsk = viewing() && runs && !r.ended;
  if (o.stock === undefined) return [r.note, all.length && [all, () => all.map(one => part(r, one))]];
  const most = Math.min(o.per_viewer - taken(r), 100), none = state === 'sold_out' || (state === 'open' && !left), again = round.unsure.has(`claim ${r.id}`);
  if (r.qty > most) r.qty = 1;
  return [
    state !== 'announced' && [[left, held, sold], () => stock(r)],
    state === 'paused' && !r.ended && `Paused${r.pause ? `, ${r.pause}` : ''}: nothing can be claimed for now. What is held can be paid.`,
    state === 'closed' && all.some(one => !one.order) && 'The sale is closed. What is held for you can still be paid.',
    all.length && [[all, r.paying], () => all.map(one => part(r, one))],
    r.note,
    mayAsk && most < 1 && unpaid(r).length === 0 && 'That is all that one viewer may have.',
    mayAsk && offer && [[offer.until], () => make('p', { className: 'won' }, 'One is kept for you · ', timer(offer.until, 'no time left'))],
    mayAsk && most > 0 && state !== 'paused' && (offer || again || !none) && [[most, again, Boolean(offer), all.length], () => ask(r, most)],
    mayAsk && none && !offer && (held ? `Sold out. ${n(held, 'is', 'are')} held and may come back.` : 'Sold out.'),
    mayAsk && most > 0 && none && !offer && (waiting ? [['waits', r.place], () => at('wait', make('p', { className: 'good', tabIndex: -1 }, inLine(r)))]
      : [['wait'], () => at('wait', button('Wait for one', () => wait(r), { className: 'plain' }))]),
  ];
}
// The host's form
export const FIELDS = [['item', 'Item', { maxLength: 80, required: true }], ['price', 'Price', { type: 'number', min: 0, max: 1e9, step: 'any', required: true }],
  ['currency', 'Currency', { defaultValue: 'CNY', pattern: '[A-Za-z]{3}', maxLength: 3, required: true }], ['stock', 'Stock', number(5, 1e7, { required: true })],
  ['per_viewer', 'Each may have', number(1, 100, { required: true })], ['seconds', 'Seconds', number(180, 86400, { required: true })],
  ['hold_seconds', 'Seconds to pay', number(120, 3600, { required: true })]];
export function priced(form) { // beside the price: what buyers will see
  const { price: major, currency } = form.elements, label = major.labels[0], shown = make('output', {});
  label.firstChild.replaceWith('Price ', shown);
  form.addEventListener('input', () => { shown.textContent = major.value && currency.validity.valid ? price(minor(major.value, currency.value), currency.value.toUpperCase()) : ''; });
  form.addEventListener('reset', () => { shown.textContent = ''; });
}
export const RESTOCK = number(1, 1e7, { ariaLabel: 'How many more', required: true });
