// One viewer or host in a browser: speaks liveroom.v1.json. What users wrote only ever becomes textContent.
import * as audience from './audience.js';
import * as coming from './coming.js';
import * as questions from './questions.js';
import * as rounds from './rounds.js';
import * as staff from './staff.js';
const STOPS = { 1007: 'Sent bad text', 1009: 'Sent too much', 4500: 'No valid token for this room', 4501: 'The server did not understand',
  4502: 'You are banned from this room', 4503: 'Opened elsewhere, stopped here', 4504: 'This room is closed or does not exist' };
const WORDS = { TEXT_EMPTY: 'Write something first.', TEXT_TOO_LONG: 'That is too long.', DUPLICATE: 'You have just said that.',
  MUTED: m => `You are muted${m.params?.until ? ` until ${new Date(m.params.until).toLocaleTimeString([], { timeStyle: 'short' })}` : ''}.`, ROOM_MUTED: 'Comments are off.', MEMBERS_ONLY: 'Only members may comment now.', OFFLINE: 'Not connected.',
  WORD_BLOCKED: 'A word in it is not allowed here.', NOT_ALLOWED: 'Your role may not do that.', ROOM_CLOSED: 'This room is closed.',
  SLOW_MODE: 'Slow mode is on.', RATE_LIMITED: 'That was a little fast.', TRY_LATER: 'The room cannot take it right now.',
  ROUND_CLOSED: 'That was too late: it is closed.', ROUND_STATE: m => `That does not go now: it is ${m.params.state}.`,
  ALREADY_ANSWERED: 'Your first answer counts.', NO_SUCH_CHOICE: 'There is no such choice.', NO_SUCH_ROUND: 'There is no such round.',
  KEYWORD_TAKEN: 'Another open round has this keyword.', NOT_ELIGIBLE: m => `You cannot take part. It asks for: ${rounds.lacking(m.params.missing)}.`,
  SALE_NOT_OPEN: 'It is not open yet.', SALE_PAUSED: 'The sale is paused.', SALE_LIMIT: m => `That would be more than the ${m.params.per_viewer} that each may have.`,
  SALE_SOLD_OUT: m => (m.left ? 'Fewer than that are left.' : m.params.held ? `Sold out, but ${m.params.held} held may come back.` : 'Sold out.'),
  HOLD_EXPIRED: 'That was too late: it is not held any more, and you get your money back.', NO_SUCH_HOLD: 'There is no such hold.',
  IDEMPOTENCY_MISMATCH: m => (m.params.refund_required ? 'It is paid already: you get this money back.' : 'That was asked for before, and differently.'),
  WEAK_DURABILITY: 'Nothing can be sold here: what is promised might be lost.', UNPAID: 'The shop does not answer. Press Pay again: nothing is paid twice.',
  NO_SUCH_COMMENT: 'That comment is not there any more.', NO_STREAM: 'No stream is running.', STREAM_RUNNING: m => `A stream is running since ${new Date(m.params.since).toLocaleTimeString([], { timeStyle: 'short' })}: stop it first.`,
  BAD_MESSAGE: m => `Please check ${m.params.field ?? 'that'}: ${m.params.why ?? m.message}.`, INTERNAL: 'Something broke on the server.', LOST: 'The connection broke before this arrived for sure.' };
const $ = id => document.getElementById(id), calm = matchMedia('(prefers-reduced-motion: reduce)');
const short = new Intl.NumberFormat('en', { notation: 'compact' }), upTo = n => Math.random() * n, waiting = new Map();
const query = new URLSearchParams(location.search), room = query.get('room') || 'demo', role = query.get('role') || 'viewer';
const name = query.get('name') || (sessionStorage['liveroom.name'] ||= `Guest ${1000 + Math.floor(upTo(9000))}`);
// A reload is the same person: `sub` is the id that the token is asked for
const sub = query.get('sub') || (sessionStorage[`liveroom.${role}`] ||= `${role[0]}_${Math.random().toString(36).slice(2)}`);
// What is asked for on a weak network: `lite` and `min` are told less (docs/weak-networks.md), and have no effects
const link = navigator.connection, weak = link?.saveData || /[23]g/.test(link?.effectiveType);
let profile = $('profile').value = sessionStorage['liveroom.profile'] ?? (weak ? 'lite' : 'full');
$('profile').onchange = () => { profile = sessionStorage['liveroom.profile'] = $('profile').value; send({ t: 'profile.set', profile }); };
// Connection: `since` the welcome (Infinity before it), `heard` anything at all; `waiting` holds by cid who wants the reply
// Clock: room time is performance.now() + `offset`, that of the quickest of the last 8 `pongs`
let offset = 0, pongs = [];
const now = () => performance.now() + offset;
let socket, token, epoch, seq, vers, me, heard, cid = 0, silence = 30000, since = Infinity, tries = 0, renewed = false, bye = 0;
async function connect() {
  show('connecting', 'Connecting…');
  const read = answer => (answer.ok ? answer.json() : { refused: answer.status < 500 });
  const got = token ? { token } : await fetch(`/dev/token?${new URLSearchParams({ room, role, name, sub })}`).then(read).catch(() => ({}));
  if (!(token = got.token)) return got.refused ? show('stopped', STOPS[4500]) : again();
  const mine = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/rooms/${encodeURIComponent(room)}/ws`, 'liveroom.v1.json');
  [socket, heard] = [mine, Date.now()];
  mine.onopen = () => mine.send(JSON.stringify({ t: 'hello', token, profile, ...(epoch && { resume: { epoch, seq } }) }));
  mine.onclose = ({ code }) => socket === mine && leave(code);
  mine.onmessage = ({ data }) => [JSON.parse(data)].flat().forEach(message => socket === mine && take(message));
}
function leave(code) {
  if (Date.now() - since > 10000) [tries, renewed] = [0, false];
  since = Infinity; socket.close(); socket = null; // a dead network never says onclose, so nobody waits for it
  waiting.forEach(done => done({ t: 'error', code: 'LOST' })); waiting.clear();
  if (STOPS[code] && (code !== 4500 || renewed)) return show('stopped', STOPS[code]);
  if (code === 4500) [renewed, token] = [true, null];
  if (code === 4003) epoch = undefined; else if (code === 4429) tries = Math.max(tries, 4);
  again();
}
function again() {
  const wait = bye + upTo(Math.min(30000, 500 * 2 ** tries++));
  show('waiting', `Reconnecting in ${Math.ceil(wait / 1000)} s`);
  bye = 0; setTimeout(connect, wait);
}
function send(command, done = () => {}) {
  if (since === Infinity || socket.readyState !== 1) return done({ t: 'error', code: 'OFFLINE' });
  waiting.set(++cid, done); socket.send(JSON.stringify({ ...command, cid }));
}
function ping(sent = performance.now()) {
  send({ t: 'time.ping', c0: sent }, ({ c0, s1, s2 }) => {
    if (c0 === undefined) return;
    const rtt = performance.now() - sent;
    pongs = [...pongs, { rtt, offset: (s1 + s2) / 2 - sent - rtt / 2 }].slice(-8);
    offset = pongs.reduce((a, b) => (b.rtt < a.rtt ? b : a)).offset; $('rtt').textContent = `${Math.ceil(rtt)} ms`;
  });
}
setInterval(() => since < Infinity && ping(), 5000);
setInterval(() => socket && Date.now() - heard > silence && leave(4002), 1000);
// What the server says
function take(m) {
  const done = waiting.get(m.cid);
  heard = Date.now();
  if (done) return waiting.delete(m.cid), done(m);
  if (m.seq !== undefined && !['welcome', 'room.reset', 'beat'].includes(m.t)) {
    if (m.seq <= seq) return;
    if (m.seq > seq + 1) return leave(1006); // a gap: the resume fills it
    seq = m.seq;
  } else if (m.ver !== undefined) {
    const what = `${m.t} ${m.id ?? ''}`;
    if (m.ver < vers[what]) return;
    vers[what] = m.ver;
  }
  if (Object.hasOwn(ON, m.t)) ON[m.t](m); else audience.hear(m), rounds.hear(m);
}
const ON = {
  ...audience.ON, ...questions.ON, ...staff.ON,
  'room.reset'(m) { begin(m); rounds.welcome(true); }, 'room.notice': notice, 'room.stats': tally, 'chat.message': m => add(m), error: hint,
  bye(m) { bye = m.retry_after_ms; }, beat(m) { if (m.seq > seq) leave(1006); },
  welcome(m) {
    [me, since, silence, offset, pongs] = [m.viewer, Date.now(), 2.5 * m.heartbeat_ms, m.now - performance.now(), []];
    show('live', 'Live'); $('profile').value = profile; tally(m.room); begin(m); ping();
    document.title = $('title').textContent = m.room.title; $('announce').hidden = me.role !== 'host'; rounds.welcome(m.recovered); audience.welcome(); questions.welcome(); staff.welcome();
    if (m.recovered) send({ t: 'history.get', limit: 100 }, r => r.comments?.forEach(c => add(c, true)));
  },
  'play.announced': m => coming.hear(m, now),
  'profile.changed'(m) { $('profile').value = m.profile; flash('hint', m.why === 'slow' ? 'Slow connection: you are shown less.' : 'You are shown more again.', 6000); },
  'room.joined'({ names, more }) { flash('joined', `${names.join(', ')}${more ? ` and ${more} more` : ''} joined`, 4000); },
  'chat.sampled'({ shown, total }) { flash('sampled', `showing ${shown} of ${total} comments/s`, 2500); },
  'chat.mentioned'(m) { // the comment itself is usually on its way and knows more
    const name = [...seen.values()].find(c => c.from === m.by)?.name ?? m.by;
    setTimeout(() => add({ ...m, name, from: m.by, reply_to: m.of, mentions: [me.id] }), 1000);
    if (m.inbox) send({ t: 'inbox.ack', ids: [m.inbox] });
  },
  'like.total'({ total, delta }) {
    tally({ likes: total });
    for (let i = effects() && Math.min(8, delta - counted); i > 0; i--) heart(upTo(450));
    counted = Math.max(0, counted - delta);
  },
};
function begin(m) {
  [epoch, seq, vers] = [m.epoch, m.seq, {}];
  if (!m.snapshot) return;
  seen.clear(); unpainted.length = 0; $('chat').replaceChildren();
  notice(m.snapshot.notice); m.snapshot.chat.forEach(c => add(c, true)); rounds.begin(m.snapshot); audience.begin(m.snapshot); staff.begin(m.snapshot); m.snapshot.inbox?.forEach(take);
}
function show(state, words) { document.body.dataset.state = state; $('state').firstChild.textContent = words; $('rtt').textContent = ''; }
function notice(n) { $('notice').textContent = n?.text ?? ''; }
function tally(m) { for (const key of ['viewers', 'likes', 'rate']) if (key in m) $(key).textContent = short.format(m[key]); }
function flash(id, words, ms) {
  clearTimeout($(id).timer); $(id).textContent = words; $(id).timer = setTimeout(() => { $(id).textContent = ''; }, ms);
}
function wordsFor(m) { const words = WORDS[m.code] ?? `Refused: ${m.code}.`; return typeof words === 'string' ? words : words(m); }
function hint(m) {
  const wait = m.retry_after_ms ?? 0;
  flash('hint', wordsFor(m) + (wait ? ` Try again in ${Math.ceil(wait / 1000)} s.` : ''), Math.max(6000, wait));
}
// Comments: `seen` by id, `unpainted` until the next frame, `lanes` of the sky with the time each is free again
const seen = new Map(), unpainted = [], lanes = [];
let frame = 0, stuck = true, target = null, old = false, unsure = {}, paced = 0;
function effects() { return $('profile').value === 'full' && !calm.matches; }
function make(tag, textContent, more) { return Object.assign(document.createElement(tag), { textContent, ...more }); }
function add(comment, old = false) {
  if (seen.has(comment.id)) return;
  if (seen.set(comment.id, comment).size > 1000) seen.delete(seen.keys().next().value);
  if (unpainted.push({ comment, old }) > 300) unpainted.shift();
  frame ||= requestAnimationFrame(paint);
}
function paint() {
  const list = $('chat'), batch = unpainted.splice(frame = 0);
  list.append(...batch.map(({ comment }) => row(comment)));
  while (list.childElementCount > 300) list.firstChild.remove();
  if (stuck) bottom(); else $('newer').hidden = false;
  for (const { comment, old } of batch.slice(-30)) if (!old) fly(comment);
}
function row(c) {
  const li = make('li', '', { comment: c }), to = seen.get(c.reply_to), forMe = [c.from, to?.from, ...(c.mentions ?? [])].includes(me.id);
  Object.assign(li.dataset, { initial: [...c.name][0] ?? '', me: forMe });
  li.style.setProperty('--hue', [...c.name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7));
  if (c.reply_to) li.append(make('q', to ? `${to.name}: ${to.text}` : 'an earlier comment'));
  li.append(make('button', c.name, { className: c.role ?? 'viewer', tabIndex: -1, title: `Reply to ${c.name}`, onclick: () => answer(c) }), make('span', c.text), staff.tools(c));
  return li;
}
function fly(c) { // all at one speed, so nobody catches up: a lane is free once the tail of its last comment is in
  const sky = $('sky'), now = performance.now(), speed = Math.max(90, sky.clientWidth / 9) / 1000;
  const lane = [...Array(Math.floor(sky.clientHeight / 38)).keys()].find(i => !(lanes[i] > now));
  if (!effects() || lane === undefined || paced > now || sky.childElementCount >= 30) return;
  const node = sky.appendChild(make('span', c.text, { className: c.from === me.id ? 'mine' : '', comment: c }));
  lanes[lane] = now + (node.offsetWidth + 32) / speed; paced = Math.max(paced, now - 1500) + 300; // spread out when the crowd is loud
  node.style.cssText = `--lane: ${lane}; --time: ${(sky.clientWidth + node.offsetWidth) / speed}ms`;
}
function forget(gone) { // what was deleted
  for (const node of [...$('chat').children, ...$('sky').children]) if (gone(node.comment)) node.remove();
  for (let i = unpainted.length - 1; i >= 0; i--) if (gone(unpainted[i].comment)) unpainted.splice(i, 1);
  for (const c of seen.values()) if (gone(c)) c.text = 'deleted';
}
function bottom() { $('chat').scrollTop = $('chat').scrollHeight; }
function answer(c) {
  $('reply').hidden = !(target = c); $('text').focus();
  $('reply').firstChild.textContent = c ? `Replying to @${c.name}: ${c.text}` : '';
}
$('say').onsubmit = event => {
  const text = $('text').value.trim(), to = target, idem = unsure.text === text ? unsure.idem : `${Math.random()}`;
  const said = { text, ...(to && { reply_to: to.id, mentions: to.from === me.id ? [] : [to.from] }) };
  event.preventDefault();
  if (!text) return hint({ code: 'TEXT_EMPTY' });
  $('text').value = ''; answer(null);
  const replies = to?.question && !old; // a server that knows no chat.reply takes an answer like any other comment
  send({ ...(replies ? { t: 'chat.reply', id: to.id, text } : { t: 'chat.say', ...said }), idem }, r => {
    if (replies && r.code === 'UNKNOWN_COMMAND') return old = true, $('text').value = text, answer(to), $('say').requestSubmit();
    const draw = r.receipt ? 'You are in the draw. ' : r.refused ? `Not counted: ${wordsFor(r.refused)}` : '';
    flash('hint', draw + (r.shown === false ? `Counted, but not shown: ${wordsFor({ code: r.why })}` : ''), 6000);
    if (r.receipt) rounds.entered(r.receipt);
    unsure = ['LOST', 'TRY_LATER', 'INTERNAL'].includes(r.code) ? { text, idem } : {}; // perhaps said: again is the same intention
    if (r.t === 'ok') return r.shown !== false && add({ ...said, id: r.id, from: me.id, name: me.name, role: me.role });
    hint(r);
    if (!$('text').value) { $('text').value = text; answer(to); }
  });
};
$('announce').onsubmit = event => {
  event.preventDefault();
  send({ t: 'room.notice', text: $('news').value.trim() }, r => { if (r.t === 'ok') $('news').value = ''; else hint(r); });
};
$('chat').onscroll = ({ target: t }) => { stuck = t.scrollHeight - t.scrollTop - t.clientHeight < 40; $('newer').hidden ||= stuck; };
$('chat').onkeydown = event => {
  const step = { ArrowUp: 'previousSibling', ArrowDown: 'nextSibling' }[event.key], at = event.target.closest('li');
  if (step) event.preventDefault(), (at ? at[step] : $('chat').lastChild)?.querySelector('button').focus();
};
$('newer').onclick = bottom; $('reply').lastChild.onclick = () => answer(null); new ResizeObserver(() => stuck && bottom()).observe($('chat'));
// Likes: `taps` not sent yet; `counted` are own ones, whose hearts have flown, that will come back in like.total
let taps = 0, counted = 0;
function heart(wait = 0) {
  if (calm.matches || $('hearts').childElementCount >= 30) return;
  const node = $('hearts').appendChild($('like').firstChild.cloneNode(true));
  node.style.cssText = `--x: ${upTo(80) - 60}px; --hue: ${320 + upTo(60)}; --wait: ${wait}ms`;
}
function pour() {
  send({ t: 'like.add', n: Math.min(taps, 50) }, r => { if (r.t === 'ok') counted += r.counted; else hint(r); });
  taps = 0;
}
$('like').onclick = () => { heart(); if (taps++ === 0) setTimeout(pour, 300); };
$('sky').onanimationend = $('hearts').onanimationend = event => event.target.remove();
$('host').href = `?${new URLSearchParams({ room, role: 'host' })}`; $('viewer').href = `?${new URLSearchParams({ room })}`;
audience.start({ send, hint, now, me: () => me });
staff.start({ send, hint, flash, now, me: () => me, token: () => token, room, forget });
questions.start({ answer, now });
rounds.start({ send, hint, now, me: () => me, token: () => token, room });
connect();
