// Rounds: a card for each that is announced, open or just over, and the host's forms. What people wrote only becomes textContent.
import { at, button, details, list, make, n, number, p, timer } from './card.js';
import * as sale from './sale.js';
import { able, leafOf, verify } from './verify.js';
const STAY_MS = 20000, FOLDED = 3, UNSURE = ['LOST', 'TRY_LATER', 'INTERNAL'];
const KINDS = { lottery: 'Lottery', quiz: 'Quiz', sprint: 'Like sprint', count: 'Count', sale: 'Flash sale' };
const MAY = { // what a host may do to a round, and in which states
  lottery: { close: ['open'], cancel: ['announced', 'open'], void: ['closed', 'drawn', 'settled'] },
  quiz: { close: ['open'], void: ['announced', 'open', 'closed', 'revealed'] }, sprint: { close: ['open'] }, count: { close: ['open'] }, sale: sale.MAY };
const DO = { close: 'Close now', cancel: 'Cancel', void: 'Void', pause: 'Pause', resume: 'Resume', extend: '+60 s', restock: 'Restock', cancel_all: 'Cancel all' };
const SAYS = { close: {}, pause: {}, resume: {}, extend: { seconds: 60 } }; // what goes with it; the others are asked for
const CONDITIONS = { level: n => `level ${n}`, watched_seconds: n => `${n} s of watching`, liked: n => `${n} likes`, commented: n => `${n} comments`,
  answered_right: () => 'the right answer to an earlier question', bought: n => `${n} bought`, not_won_days: n => `no win in the last ${n} days`,
  one_per_device: () => 'a device nobody else entered with', role: () => 'to be a viewer, not staff', won: () => 'to be a winner' };
export function lacking(missing) { return missing.flatMap(Object.entries).map(([name, n]) => CONDITIONS[name]?.(n) ?? name).join(', '); }
// `page`: { send, hint, now, me(), token(), room }. `rounds` by id: what was told of each, `mine`, and its `card`.
let page;
const rounds = new Map(), unsure = new Map(), asked = new Set(), $ = id => document.getElementById(id);
const viewing = () => page.me().role === 'viewer', hosting = () => ['host', 'service'].includes(page.me().role);
const names = (people, total = people.length) => people.map(one => one.name).join(', ') + (total > people.length ? ` and ${total - people.length} more` : '');

export function start(given) {
  page = given; sale.start({ page, order, unsure, show, tell, end }); forms(); setInterval(tick, 250);
  $('past').open = matchMedia('(min-width: 761px)').matches;
}
export function begin(snapshot) { // what is over by now was told to others
  const shown = [...snapshot.rounds], next = snapshot.next_up;
  if (next && !shown.some(one => one.id === next.id)) shown.push({ ...next, state: 'announced', opened: next });
  for (const r of rounds.values()) if (!r.ended && !shown.some(one => one.id === r.id)) { r.missed = !sale.over(r); end(r); show(r); }
  for (const { kind, id, state, opened, counts, mine } of shown) {
    const r = Object.hasOwn(KINDS, kind) && (rounds.get(id) ?? place(kind, id));
    if (!r) continue;
    Object.assign(r, { state, opened, counts: counts ?? {}, mine: kind === 'sale' ? mine : mine ?? r.mine });
    if (r.missed) revive(r); // it was rebuilt after a failure
    if (kind === 'sale') sale.began(r);
    show(r);
    if (state === 'drawn' && viewing()) look(r);
  }
}
export function welcome(partial) { // what comes without a snapshot of one's own does not say what one has
  $('opening').hidden = !hosting();
  for (const r of rounds.values()) if (r.kind === 'sale' && !r.ended) { sale.claimAgain(r); if (partial) look(r); }
}
export function hear(m) {
  const [kind, verb] = m.t.split('.');
  const table = kind === 'sale' ? BOUGHT : HEARD;
  if (!Object.hasOwn(KINDS, kind) || !Object.hasOwn(table, verb)) return;
  const r = rounds.get(m.id) ?? (['announced', 'opened', 'won', 'confirmed', 'released'].includes(verb) && place(kind, m.id));
  if (!r) return;
  if (kind === 'sale' && !r.opened && m.inbox) r.state = 'closed', r.opened = { item: 'Earlier' }, end(r), look(r); // it ended while we were away
  tell(table[verb](r, m)); show(r);
}
export async function entered(receipt) { // by a comment: only the leaf says in which draw
  const open = [...rounds.values()].filter(r => r.kind === 'lottery' && r.state === 'open');
  for (const r of open) if (able() ? await leafOf(r.id, receipt) === receipt.leaf : open.length === 1) { r.mine = { receipt }; show(r); }
}
// What the server says. Gives what a screen reader says of it, if anything.
const HEARD = {
  announced(r, m) { r.state = 'announced'; r.opened = m; return `${KINDS[r.kind]} announced. ${m.rules}`; },
  opened(r, m) { r.state = 'open'; r.opened = m; $('rounds').scrollTop = 0; return `${KINDS[r.kind]}: ${title(r)}. ${m.rules}`; },
  progress(r, m) { r.counts = m; },
  reached(r, m) { return `Level ${m.level} reached`; },
  frozen(r, m) { r.state = 'closed'; r.frozen = m; },
  drawn(r, m) {
    r.state = 'drawn'; r.drawn = m; r.winners = m.winners;
    return m.winners_total ? `Drawn: ${names(m.winners, m.winners_total)}` : 'Nobody entered';
  },
  won(r, m) {
    r.won = m; r.lost ||= m.claim_by < page.now() && 'unclaimed';
    if (!r.opened) { r.state = 'drawn'; r.opened = { prize: m.prize }; end(r); look(r); } // it was drawn while we were away
    if (r.ended || r.claimed || !m.claim_by || r.lost) read(r);
    return fortune(r);
  },
  result(r, m) { r.result = m; return own(r); },
  replaced(r, m) {
    const tag = r.mine?.receipt?.tag ?? r.winners?.find(one => one.viewer === page.me().id)?.tag;
    if (m.out.includes(tag)) { r.lost = m.why; read(r); }
    r.winners = r.winners && [...r.winners.filter(one => !m.out.includes(one.tag)), ...m.winners];
    r.went = `${n(m.out.length, 'prize')} ${m.why}: ${m.winners.length ? `now ${names(m.winners)}` : 'nobody is left to take it'}`;
    return r.lost ? fortune(r) : r.went;
  },
  settled(r, m) { r.state = 'settled'; r.total = m.winners_total; end(r); },
  cancelled(r, m) { r.state = 'cancelled'; r.reason = m.reason; end(r); return `${title(r)} ${outcome(r)}`; },
  voided(r, m) { r.state = 'voided'; r.reason = m.reason; end(r); return `${title(r)} ${outcome(r)}`; },
  revealed(r, m) { r.state = 'revealed'; r.revealed = m; end(r); return `${title(r)} ${outcome(r)}. ${m.explain}`; },
  leaderboard(r, m) { r.board = m.top; },
  closed(r, m) { r.state = 'closed'; r.final = m; end(r); return `${title(r)}: ${outcome(r)}`; },
};
const BOUGHT = { announced: HEARD.announced, opened: HEARD.opened, ...sale.HEARD };
function tell(words) {
  if (!words) return;
  $('told').append(p(words));
  while ($('told').childElementCount > 5) $('told').firstChild.remove();
}
function end(r) {
  r.ended = true; read(r); clearTimeout(r.timer);
  r.timer = setTimeout(fold, STAY_MS, r);
}
function revive(r) {
  clearTimeout(r.timer); r.ended = r.missed = false; r.card.open = true;
  $('live').prepend(r.card); $('past').hidden = $('past').childElementCount < 2;
}
function fold(r) {
  const held = r.card.contains(document.activeElement);
  r.card.open = false; $('past').hidden = false; $('past').firstElementChild.after(r.card);
  for (const old of [...$('past').children].slice(1 + FOLDED)) rounds.delete(old.dataset.id), old.remove();
  if (held) ($('past').open ? r.card : $('past')).firstElementChild.focus();
}
function read(r) { // a letter stays in the inbox as long as there is something to claim, so that a reload shows it again
  if (r.won?.inbox) page.send({ t: 'inbox.ack', ids: [r.won.inbox] });
}
async function look(r) { // what a snapshot does not say of a draw that is over
  const path = `/v1/rooms/${page.room}/rounds/${r.id}`, headers = { Authorization: `Bearer ${page.token()}` };
  const told = await fetch(path, { headers }).then(answer => (answer.ok ? answer.json() : null), () => null);
  if (!told) return;
  r.mine = told.mine ?? r.mine; r.result ??= told.mine?.result;
  if (r.opened.id === undefined) Object.assign(r, { opened: told.opened, state: told.state });
  if (r.kind === 'sale') { r.counts = told.counts; if (told.mine || !r.ended) r.mine = told.mine, sale.began(r); }
  show(r);
}
// What we ask for: each wish is sent once; again, when it perhaps arrived, is the same intention
function order(wish, command, done) {
  if (asked.has(wish)) return;
  const before = unsure.get(wish), sent = before ?? { ...command, idem: `${Math.random()}` };
  asked.add(wish);
  page.send(before?.t === 'sale.claim' ? { ...before, again: true } : sent, reply => {
    asked.delete(wish);
    if (UNSURE.includes(reply.code) || (before && reply.code === 'OFFLINE')) unsure.set(wish, sent); else unsure.delete(wish);
    const said = done(reply);
    if (reply.t !== 'ok' && !said) page.hint(reply);
  });
}
function enter(r) {
  order(`enter ${r.id}`, { t: 'lottery.enter', id: r.id }, ({ receipt }) => {
    if (receipt) r.mine = { receipt }, tell(`You are in: no. ${receipt.n}`), show(r);
  });
}
function claim(r) {
  order(`claim ${r.id}`, { t: 'lottery.claim', id: r.id }, ({ t }) => {
    if (t === 'ok') r.claimed = true, read(r), tell(fortune(r)), show(r);
  });
}
function choose(r, choice) {
  if (r.mine || r.locked || r.state !== 'open' || !viewing()) return;
  r.locked = true; show(r);
  order(`answer ${r.id} ${choice}`, { t: 'quiz.answer', id: r.id, choice }, ({ t, code }) => {
    if (t === 'ok') r.mine = { choice }, tell(`Locked: ${r.opened.choices[choice]}`);
    r.locked = code === 'ALREADY_ANSWERED' || code === 'ROUND_CLOSED'; show(r);
  });
}
function turn(r, verb, says) {
  order(`${verb} ${r.id} ${JSON.stringify(says)}`, { t: `${r.kind}.${verb}`, id: r.id, ...says }, ({ t }) => {
    if (t === 'ok') r.why = null, show(r);
  });
}
async function prove(r) {
  r.checks = []; show(r);
  const { id, opened, counts, frozen, drawn, mine } = r;
  const told = { id, commit: opened.commit, rules_hash: opened.rules_hash, n: counts.n, head: counts.head, root: frozen?.root, receipt: mine?.receipt,
    sha256: drawn?.proof.sha256, winners: drawn?.winners.map(one => one.tag), winners_total: drawn?.winners_total };
  try {
    if (!able()) throw new Error('this browser computes hashes on https and localhost only; use liveroom verify-draw');
    const answer = await fetch(proofOf(r));
    if (!answer.ok) throw new Error(`the server says ${answer.status}`);
    r.checks = await verify(new Uint8Array(await answer.arrayBuffer()), told);
  } catch (error) { r.checks = [[`The proof cannot be checked: ${error.message}`, false]]; }
  tell(verdict(r)); show(r);
}
// What is shown: words of a round, then the parts of its card, each [what it depends on, () => nodes], or words, or nothing
function title({ kind, opened: o }) {
  if (kind === 'sale') return sale.title(o);
  return (o.prize ?? o.question ?? (kind === 'sprint' && o.target ? `${o.target} likes together` : o.keyword && `Say “${o.keyword}”`)) || 'Next up';
}
function outcome(r) {
  const { revealed, final, opened } = r;
  if (r.missed) return 'ended while you were away';
  if (r.kind === 'sale') return sale.outcome(r);
  if (r.reason !== undefined) return `${r.state === 'voided' ? 'does not count' : 'was cancelled'}: ${r.reason}`;
  if (revealed) return `The answer: ${opened.choices[revealed.right]}`;
  if (r.kind === 'sprint') return `${final.reached ? 'done' : 'not reached'}, ${n(final.likes, 'like')}`;
  if (r.kind === 'count') return `${n(final.times, 'time')} by ${n(final.viewers, 'viewer')}`;
  return r.winners?.length ? `won by ${names(r.winners, r.total)}` : r.total === 0 ? 'nobody won' : 'is drawn';
}
function fortune({ state, won, lost, claimed }) {
  if (!won || state === 'voided') return '';
  if (lost) return `You had won ${won.prize}, but ${lost === 'absent' ? 'were not in the room' : 'did not claim it in time'}.`;
  return claimed ? `You won ${won.prize}, and it is claimed.` : `You won ${won.prize}!`;
}
function own({ kind, result: is, state }) {
  if (!is || state === 'voided') return '';
  return kind === 'quiz' ? `${is.correct ? 'Right' : 'Wrong'}: ${n(is.points, 'point')}, rank ${is.rank}` : `Your rank: ${is.rank} of ${is.of}`;
}
function proofOf(r) { return r.drawn?.proof.url ?? `/v1/rooms/${page.room}/rounds/${r.id}/proof`; }
function verdict({ checks }) {
  const wrong = checks.filter(([, agrees]) => agrees === false).length, did = checks.filter(([, agrees]) => agrees !== null).length;
  return !did ? 'Checking…' : wrong ? `${wrong} of ${n(did, 'check')} FAILED` : `All ${did} checks agree`;
}
const PARTS = {
  lottery(r) {
    const { state, opened: o, counts, mine, frozen, drawn, winners, won, checks } = r, receipt = mine?.receipt;
    const open = state === 'open', over = ['drawn', 'settled'].includes(state), entrants = frozen?.n ?? counts.entrants;
    const asks = ['all_of', 'any_of'].filter(key => o.eligible?.[key]?.length), cut = drawn?.winners.length === 50 && drawn.winners_total > 50;
    const claimable = over && won?.claim_by && !r.claimed && !r.lost && !r.ended;
    return [
      open && asks.map(key => `${key === 'any_of' ? 'And one of' : 'You need'}: ${lacking(o.eligible[key])}`).join('. '),
      state !== 'announced' && entrants !== undefined && `${n(entrants, 'entry', 'entries')}${frozen ? ', frozen' : ''}`,
      receipt ? [[receipt], () => [p(`You are in: no. ${receipt.n}`, 'good'), details('Your receipt', [`Tag ${receipt.tag}`, `Leaf ${receipt.leaf}`])]]
        : open && viewing() && [['enter'], () => button('Enter', () => enter(r))],
      fortune(r) && [[fortune(r)], () => p(fortune(r), 'won')],
      claimable && [[won.claim_by], () => [button('Claim', () => claim(r)), 'within ', timer(won.claim_by, 'no time')]],
      over && winners && [[winners], () => list(winners.map(one => [one.name, one.viewer === page.me().id]), cut && 'More are in the proof.')],
      over && r.went, over && own(r),
      over && drawn?.undersubscribed && 'Fewer entered than there are prizes: everybody won.', over && drawn?.delayed && 'Drawn late, after an outage.',
      over && [[proofOf(r)], () => [make('a', { href: proofOf(r), target: '_blank', rel: 'noopener' }, 'Proof file'),
        button('Verify', () => prove(r), { className: 'plain' })]],
      over && checks && [[checks], () => [p(verdict(r), checks.some(([, agrees]) => agrees === false) ? 'bad' : 'good'), make('ul', {}, checks.map(
        ([what, agrees]) => make('li', {}, `${agrees ? '✓' : agrees === null ? '– not heard here:' : '✗ not so:'} ${what}`)))]],
    ];
  },
  quiz(r) {
    const { state, opened: o, counts, mine, revealed, board } = r, free = state === 'open' && viewing() && !mine && !r.locked;
    const choices = () => make('div', { className: 'choices', role: 'group', ariaLabel: o.question }, o.choices.map((words, i) => choice(r, words, i, free)));
    return [
      o.choices && [[free, mine, revealed], choices],
      state === 'open' && `${mine ? 'Locked. ' : ''}${counts.answered ?? 0} answered`,
      revealed?.explain, own(r) && [[own(r)], () => p(own(r), r.result.correct ? 'good' : 'bad')],
      board?.length && [[board], () => [p(`Leaderboard “${o.series}”`), list(board.map(one => [`${one.name} · ${one.points}`, one.viewer === page.me().id]))]],
    ];
  },
  sprint(r) {
    const { likes = 0 } = r.final ?? r.counts, { target, levels = [] } = r.opened;
    return [target && [[likes], () => bar(likes, target, levels)], target && `${n(likes, 'like')} of ${target}`];
  },
  count(r) {
    const { times = 0, viewers = 0 } = r.final ?? r.counts;
    return [r.state !== 'announced' && `${n(times, 'time')} by ${n(viewers, 'viewer')}`];
  },
  sale: sale.PARTS,
};
function controls(r) {
  const may = hosting() && !r.missed ? Object.keys(MAY[r.kind]).filter(verb => MAY[r.kind][verb].includes(r.state)) : [];
  const why = may.includes(r.why) && r.why, ask = verb => { r.why = verb; show(r); r.card.querySelector('input').focus(); };
  const one = verb => at(verb, button(DO[verb], () => (SAYS[verb] ? turn(r, verb, SAYS[verb]) : ask(verb)), { className: 'plain' }));
  return may.length && [[why || may], () => (why ? reasons(r, why) : may.map(one))];
}
function reasons(r, verb) {
  const text = { ariaLabel: `Reason to ${DO[verb].toLowerCase()}`, placeholder: 'Reason, told to the room', maxLength: 200, required: true };
  const why = make('input', { autocomplete: 'off', ...(verb === 'restock' ? sale.RESTOCK : text) }), says = said => (verb === 'restock' ? { qty: Number(said) } : { reason: said });
  const onsubmit = event => { event.preventDefault(); if (why.value.trim()) turn(r, verb, says(why.value.trim())); };
  return make('form', { onsubmit }, why, make('button', {}, DO[verb]), button(verb === 'restock' ? 'Back' : 'Keep', () => { r.why = null; show(r); }, { className: 'plain' }));
}
function choice(r, words, i, free) {
  const { right, counts } = r.revealed ?? {}, mine = r.mine?.choice === i;
  const said = [right === i && '✓ right', mine && 'your answer', counts && `${counts[i]}`].filter(Boolean).join(' · ');
  const one = button(words, () => choose(r, i), { className: right === i ? 'plain right' : 'plain', ariaDisabled: `${!free}`, ariaPressed: `${mine}` });
  one.append(make('small', {}, said));
  return at(i, one);
}
function bar(likes, target, levels) {
  const now = `${Math.min(likes, target)}`, is = { role: 'progressbar', ariaLabel: 'Likes', ariaValueMin: '0', ariaValueMax: `${target}`, ariaValueNow: now };
  const node = make('div', { className: 'bar', ...is }, levels.map(level => make('i', {}, `${likes >= level ? '✓' : ''}${level}`)));
  node.style.setProperty('--part', Math.min(1, likes / target));
  levels.forEach((level, i) => node.children[i].style.setProperty('--at', level / target));
  return node;
}
function place(kind, id) {
  const r = { kind, id, counts: {}, card: make('details', { open: true, className: 'round' }, make('summary', {})) };
  r.card.dataset.id = id; $('live').prepend(r.card); rounds.set(id, r);
  for (const wish of unsure.keys()) if (wish.startsWith(`${kind}.open`)) unsure.delete(wish); // it has arrived
  return r;
}
function show(r) { // only what changed is made anew, and the keyboard stays where it was
  const { card, opened: o, state, ended } = r, held = card.contains(document.activeElement) && document.activeElement, spot = held?.dataset?.at;
  const until = state === 'announced' ? [o.opens_at, 'opening…', ' opens in '] : ['open', 'sold_out'].includes(state) && !ended ? [o.closes_at, 'closing…', ''] : null;
  const words = ended ? `${title(r)}: ${outcome(r)}` : title(r), head = () => [
    make('b', {}, KINDS[r.kind]), make('span', {}, words), until && make('small', {}, until[2], timer(until[0], until[1]))];
  [[[words, until], head], until && !r.parts?.size && o.rules, ...PARTS[r.kind](r), controls(r)].forEach((part, i) => {
    const [on, nodes] = Array.isArray(part) ? part : [part || '', () => part && p(part)], key = JSON.stringify(on);
    const slot = card.children[i] ?? card.appendChild(make('div', {}));
    if (slot.key === key) return;
    slot.key = key; slot.replaceChildren(...[nodes()].flat(2).filter(Boolean));
  });
  if (held && !card.contains(document.activeElement)) (card.querySelector(`[data-at="${spot}"]`) ?? card.firstChild).focus();
  tick();
}
function tick() {
  for (const node of document.querySelectorAll('#rounds time, #coming time')) {
    const s = Math.ceil((node.dataset.until - page.now()) / 1000), two = x => `${Math.floor(x)}`.padStart(2, '0');
    const hours = s < 3600 ? '' : `${Math.floor(s / 3600)}:`, minutes = hours ? two((s / 60) % 60) : Math.floor(s / 60);
    const words = s > 0 ? `${hours}${minutes}:${two(s % 60)}` : node.dataset.then;
    if (node.textContent !== words) node.textContent = words;
  }
}
// The host's forms, one for each kind: [name, label, what the input is]
const words = (maxLength, more) => ({ maxLength, ...more });
const must = { required: true }, seconds = (usual, max) => ['seconds', 'Seconds', number(usual, max, must)];
const FIELDS = {
  lottery: [['prize', 'Prize', words(80, must)], ['winners', 'Winners', number(1, 1000, must)], ['keyword', 'Keyword, if any', words(80)],
    seconds(60, 3600), ['claim_seconds', 'Seconds to claim, if any', number('', 86400)]],
  quiz: [['question', 'Question', words(400, must)], ['choices', 'Choices, one per line', { rows: 3, ...must }],
    ['right', 'Right one (1 = first)', number(1, 10, must)], seconds(15, 600), ['explain', 'Explanation', words(400)], ['series', 'Series, if any', words(80)]],
  sprint: [['target', 'Likes to reach', number(100, 1e9, must)], ['levels', 'Levels, e.g. 30, 60', { pattern: '[0-9, ]*' }], seconds(180, 3600)],
  count: [['keyword', 'Keyword', words(80, must)], seconds(60, 3600)], sale: sale.FIELDS };
for (const fields of Object.values(FIELDS)) fields.push(['opens_in', 'Opens in … seconds', number('', 2592000)]);
const READ = { right: i => i - 1, choices: words => words.split('\n').map(line => line.trim()).filter(Boolean), levels: words => words.match(/\d+/g)?.map(Number) ?? [],
  currency: word => word.toUpperCase(), price: (major, { currency }) => sale.minor(major, currency.value) };
function forms() {
  const kinds = Object.keys(FIELDS), all = kinds.map((kind, i) => form(kind, i > 0));
  const pick = make('select', { ariaLabel: 'Kind of round' }, kinds.map(kind => make('option', { value: kind }, KINDS[kind])));
  pick.onchange = () => all.forEach((one, i) => { one.hidden = kinds[i] !== pick.value; });
  $('opening').append(pick, ...all); sale.priced(all[kinds.indexOf('sale')]);
}
function form(kind, hidden) {
  const inputs = FIELDS[kind].map(([name, label, is]) => make('label', {}, label, make(is.rows ? 'textarea' : 'input', { name, autocomplete: 'off', ...is })));
  const onsubmit = event => { event.preventDefault(); open(kind, event.target); };
  return make('form', { hidden, onsubmit }, inputs, make('button', {}, `Open the ${KINDS[kind].toLowerCase()}`));
}
function open(kind, form) {
  const said = {};
  for (const { name, type, value } of form.elements) {
    const read = READ[name] ?? (given => given);
    if (name && value.trim()) said[name] = read(type === 'number' ? Number(value) : value.trim(), form.elements);
  }
  const { opens_in: wait, ...rest } = said, opens_at = wait && Math.ceil(page.now() + wait * 1000);
  order(`${kind}.open ${JSON.stringify(said)}`, { t: `${kind}.open`, ...rest, ...(wait && { opens_at }) }, ({ t }) => {
    if (t === 'ok') form.reset(), $('opening').open = false, $('opening').firstElementChild.focus();
  });
}
