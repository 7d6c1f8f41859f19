// The audience, for hosts: how long people stay and how many are here, as curves that move, and the stream's two buttons.
import { button, draw, make, number, p } from './card.js';
import { joiners, sources } from './cohorts.js';
const PLAYS = { lottery: 'Draw', quiz: 'Quiz', sprint: 'Likes', count: 'Count', sale: 'Sale' }, UNSURE = ['LOST', 'TRY_LATER', 'INTERNAL'];
const WIDE = 344, LEFT = 38, RIGHT = 8, FEW = 30, LEAST_MS = 1000; // LEAST_MS: a second press of Start is no Stop
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
const NUMBERS = ['Here now', 'UV', 'PCU', 'Sessions', 'Median stay', 'Average stay', 'Bounce'];
// `page`: { send, hint, me(), now() }. `report`: the newest retention.live. `stream`: as events and reports tell it. `plays` by id: when each opened.
let page, report, stream, changed = -LEAST_MS, turned = 0, unsure = null, asked = false, ended = '';
const plays = new Map(), parts = {}, $ = id => document.getElementById(id), hosting = () => ['host', 'service'].includes(page.me().role);

export function start(given) {
  page = given; build();
  document.addEventListener('visibilitychange', seen);
}
export function welcome() {
  if (document.hidden) seen();
  $('audience').hidden = !hosting();
  if (hosting()) page.send({ t: 'retention.watch', on: true }, r => { if (!['ok', 'LOST'].includes(r.code ?? r.t)) page.hint(r); });
}
export function begin({ rounds }) { for (const { kind, id, state, opened } of rounds) if (state !== 'announced') mark(kind, id, opened); }
export function hear(m) {
  const [kind, verb] = m.t.split('.');
  if (verb === 'opened' && m.opens_at) mark(kind, m.id, m);
}
export const ON = {
  'retention.live'(m) {
    if (ended && m.stream.implicit && m.stream.id !== ended) return; // the numbers of the show stay until the next
    const old = turned && (stream.live ? m.stream.id !== stream.id && m.start < turned : m.stream.id === stream.id && m.stream.live);
    if (old || (report && m.stream.id === report.stream.id && m.now < report.now)) return; // made before what the room was told since
    [report, stream, turned] = [m, { ...m.stream, start: m.start }, 0]; show();
  },
  'rhythm.hint'({ minutes, level, leaves }) {
    parts.rhythm.hidden = level === 'fine'; parts.rhythm.className = level;
    say(parts.rhythm, `Nothing has happened for ${Math.floor(minutes)} minutes${leaves ? `; ${leaves} left in the last one` : ''}.`);
  },
  'stream.started'({ id, title, ts }) { [stream, turned] = [{ id, title, live: true, implicit: false, start: ts }, ts]; ended = ''; turn(); },
  'stream.stopped'({ id, ts }) { [stream, turned] = [{ ...stream, id, live: false }, ts]; ended = id; turn(); },
};
function seen() { page.send({ t: 'presence.set', visible: !document.hidden }); }
function mark(kind, id, { opens_at, item, prize, question, keyword }) {
  plays.set(id, { at: opens_at, label: PLAYS[kind] ?? kind, what: item ?? prize ?? question ?? keyword ?? '' });
  if (plays.size > 500) plays.delete(plays.keys().next().value);
}
// The stream: begun and ended here, or elsewhere
function turn() { [changed, unsure] = [performance.now(), null]; show(); }
function announcing() { // a play to come, counted down for everybody
  const what = make('input', { ariaLabel: 'What is coming', placeholder: 'Coming up: the draw…', maxLength: 80, autocomplete: 'off' });
  const minutes = make('input', { ...number(5, 600), ariaLabel: 'In how many minutes' });
  const onsubmit = event => {
    event.preventDefault();
    if (what.value.trim()) page.send({ t: 'play.announce', what: what.value.trim(), at: Math.round(page.now() + minutes.value * 60000) }, r => { if (r.t === 'ok') what.value = ''; else page.hint(r); });
  };
  return make('form', { onsubmit }, what, minutes, make('button', { className: 'plain' }, 'min: announce'));
}
function ask(command) { // again, when it perhaps arrived, is the same intention
  if (asked || performance.now() - changed < LEAST_MS) return;
  const same = unsure && unsure.t === command.t && unsure.title === command.title, sent = same ? unsure : { ...command, idem: `${Math.random()}` };
  asked = true;
  page.send(sent, r => {
    asked = false; unsure = UNSURE.includes(r.code) ? sent : null;
    if (r.t !== 'ok') page.hint(r); else if (command.title) parts.title.value = '';
  });
}
function build() {
  const { title } = Object.assign(parts, {
    words: make('span', {}), state: p(''), rhythm: make('p', { hidden: true, role: 'status' }), title: make('input', { ariaLabel: 'Title of the stream', placeholder: 'Title, if any', maxLength: 80, autocomplete: 'off' }),
    stop: button('Stop the stream', () => ask({ t: 'stream.stop' }), { className: 'plain', hidden: true }),
    numbers: NUMBERS.map(() => [make('dd', {}), make('small', {})]), stay: draw('svg', { role: 'img' }), online: draw('svg', { role: 'img' }), map: draw('svg', { role: 'img' }), sources: make('p', { hidden: true }) });
  const onsubmit = event => { event.preventDefault(); ask({ t: 'stream.start', title: title.value.trim() }); };
  parts.form = make('form', { onsubmit }, title, make('button', {}, 'Start the stream'));
  const keys = [['settled', 'settled'], ['band', '95 %'], ['few', `under ${FEW}`], ['open', 'not settled yet']];
  const legend = make('span', { className: 'keys' }, keys.map(([className, words]) => make('i', { className }, words)));
  const figure = (words, more, svg) => make('figure', {}, make('figcaption', {}, make('b', {}, words), more), svg);
  parts.more = figure('Who joined in the same five minutes: the share still here', null, parts.map);
  $('audience').append(make('summary', {}, make('b', {}, 'Audience'), parts.words), make('div', {}, parts.state, parts.rhythm, parts.form, parts.stop, announcing()),
    make('dl', {}, NUMBERS.map((words, i) => make('div', {}, make('dt', {}, words), parts.numbers[i]))),
    figure('Share that stays, by time since joining', legend, parts.stay), figure('Viewers, by time of the stream', null, parts.online), parts.sources, parts.more);
  $('audience').open = matchMedia('(min-width: 761px)').matches; $('audience').ontoggle = show;
  show();
}
// What is shown. Times are seconds.
function clock(s) {
  const two = x => `${Math.floor(x)}`.padStart(2, '0'), whole = Math.floor(s);
  return (whole < 3600 ? `${Math.floor(whole / 60)}` : `${Math.floor(whole / 3600)}:${two((whole / 60) % 60)}`) + `:${two(whole % 60)}`;
}
function percent(share) { return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`; }
function reach({ stay, provisional, online: { curve, bucket } }) { // how long somebody was certainly seen to stay
  let unseen = curve[1]?.t > bucket ? Infinity : curve.reduce((sum, { leaves }) => sum + leaves, 0); // of a thinned curve, not known
  const oldest = curve.find(one => (unseen -= one.joins) < 0); // more had come by then than ever left
  return Math.max(0, oldest ? stay.as_of - oldest.t : 0, stay.curve.at(-1)?.t ?? 0, provisional.at(-1)?.t ?? 0);
}
function median(m) { return m.stay.median !== null ? clock(m.stay.median) : m.stay.n ? `more than ${clock(reach(m))}` : '–'; }
function say(node, words) { if (node.textContent !== words) node.textContent = words; }
function lasts() {
  if (!stream) return 'Nobody has been here yet.';
  const long = report && stream.id === report.stream.id ? clock((report.now - report.start) / 1000) : '0:00';
  if (!stream.live) return `The stream is over, after ${long}. Its numbers:`;
  return stream.implicit ? `No stream was started: counted for ${long}.` : `${stream.title ? `“${stream.title}” is live` : 'Live'}, ${long}`;
}
function show() {
  const running = Boolean(stream?.live && !stream.implicit), hides = running ? parts.form : parts.stop;
  const held = hides.contains(document.activeElement);
  [parts.form.hidden, parts.stop.hidden] = [running, !running];
  if (held) $('audience').firstElementChild.focus();
  say(parts.state, lasts());
  if (!report) return;
  const { stay, online, uv, sessions } = report, average = stay.rmst !== null;
  say(parts.words, `${report.stream.live ? `${online.now} here` : 'over'} · median ${median(report)}`);
  if (!$('audience').open) return;
  const values = [[report.stream.live ? online.now : '–'], [uv], [online.pcu], [sessions], [median(report)],
    [average ? clock(stay.rmst) : '–', average ? `of the first ${clock(stay.rmst_seconds)}` : `under ${FEW} came`],
    [stay.bounce === null ? '–' : percent(stay.bounce), 'within 3 s']];
  parts.numbers.forEach(([value, note], i) => { say(value, `${values[i][0]}`); say(note, values[i][1] ?? ''); });
  stays(report); watches(report); sources(parts.sources, report, clock); parts.more.hidden = !joiners(parts.map, report, clock);
}
// Charts: `x` and `y` from what is measured to where it is drawn
function frame(long, most, top, high) {
  const round = value => Math.round(value * 10) / 10, foot = top + high;
  return { long, most, top, foot, x: t => round(LEFT + ((WIDE - LEFT - RIGHT) * t) / long), y: v => round(foot - (high * v) / most) };
}
function axes({ long, x, y, foot, top }, levels) {
  const step = STEPS.find(one => long / one <= 6) ?? 86400 * Math.ceil(long / 86400 / 6);
  const times = Array.from({ length: Math.floor(long / step) + 1 }, (_, i) => i * step);
  return [
    ...levels.flatMap(([v, words]) => [draw('line', { class: 'grid', x1: LEFT, x2: WIDE - RIGHT, y1: y(v), y2: y(v) }),
      draw('text', { x: LEFT - 5, y: y(v) + 4, 'text-anchor': 'end' }, words)]),
    ...times.map(t => draw('text', { x: x(t), y: foot + 14, 'text-anchor': x(t) > WIDE - RIGHT - 14 ? 'end' : 'middle' }, clock(t))),
    draw('line', { class: 'axis', x1: LEFT, x2: LEFT, y1: top, y2: foot }), draw('line', { class: 'axis', x1: LEFT, x2: WIDE - RIGHT, y1: foot, y2: foot })];
}
function paint(svg, { foot }, words, nodes) {
  svg.setAttribute('viewBox', `0 0 ${WIDE} ${foot + 20}`); svg.setAttribute('aria-label', words); svg.replaceChildren(...nodes);
}
function steps(curve, few, long) { // from 1 at 0, each until the next
  const all = [{ t: 0, s: 1, lo: null, grey: curve[0]?.grey ?? few }, ...curve];
  return all.map((one, i) => ({ ...one, until: all[i + 1]?.t ?? long }));
}
function line(all, { x, y }, chosen = () => true) {
  let path = '', on = false;
  for (const one of all) {
    if (chosen(one)) path += `${on ? `V${y(one.s)}` : `M${x(one.t)} ${y(one.s)}`}H${x(one.until)}`; else if (on) path += `V${y(one.s)}`;
    on = chosen(one);
  }
  return path;
}
function band(all, { x, y }) {
  return all.filter(one => one.lo !== null).map(one => `M${x(one.t)} ${y(one.hi)}H${x(one.until)}V${y(one.lo)}H${x(one.t)}Z`).join('');
}
function stays(m) {
  const { curve, n, median: half, bounce } = m.stay, long = Math.max(10, reach(m));
  const at = frame(long, 1, 8, 88), all = steps(curve, n < FEW, long), open = steps(m.provisional, false, long);
  const share = t => all.findLast(one => one.t <= t).s, asked = [10, 60, 300, 600, 1800].filter(t => t <= long);
  const words = n ? `Stay curve: of those who came, ${asked.map(t => `${percent(share(t))} stay ${clock(t)}`).join(', ')}. Median ${median(m)}`
    + `${m.stay.rmst === null ? '' : `, average ${clock(m.stay.rmst)} of the first ${clock(m.stay.rmst_seconds)}`}, bounce ${percent(bounce ?? 0)}.` : 'Stay curve: nobody came yet.';
  paint(parts.stay, at, words, [...axes(at, [[0, '0'], [0.5, '50 %'], [1, '100 %']]),
    ...(n ? [draw('path', { class: 'band few', d: band(all.filter(one => one.grey), at) }), draw('path', { class: 'band', d: band(all.filter(one => !one.grey), at) }),
      draw('path', { class: 'few', d: line(all, at, one => one.grey) }), draw('path', { class: 'settled', d: line(all, at, one => !one.grey) }),
      draw('path', { class: 'open', d: line(open, at) })] : []),
    ...(half === null ? [] : [draw('line', { class: 'half', x1: at.x(half), x2: at.x(half), y1: at.y(0.5), y2: at.foot }), draw('circle', { cx: at.x(half), cy: at.y(0.5), r: 3 })])]);
}
function watches(m) {
  const now = (m.now - m.start) / 1000, { curve, pcu } = m.online, points = curve.filter(one => one.t <= now);
  if (m.stream.live) points.push({ t: now, viewers: m.online.now }); // its end is nobody's leaving
  const most = Math.max(4, ...points.map(one => one.viewers)), unit = 10 ** Math.floor(Math.log10(most)), step = [0.5, 1, 2, 5, 10].map(k => k * unit).find(k => k >= 1 && most / k <= 4);
  const levels = Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
  const shown = [...plays.values()].map(one => ({ ...one, t: (one.at - m.start) / 1000 })).filter(({ t }) => t >= 0 && t <= now).sort((a, b) => a.t - b.t);
  const at = frame(Math.max(10, now), levels.at(-1), shown.length ? 30 : 8, 76);
  const top = points.reduce((a, b) => (b.viewers > a.viewers ? b : a)), rows = [0, 0]; // where the words of each row end
  const ticks = shown.map(({ t, label, what }) => {
    const long = 6 + label.length * 6, from = Math.min(at.x(t), WIDE - long), row = rows.findIndex(end => end <= from);
    const tick = draw('g', { class: 'play' }, draw('title', {}, `${label}${what && `: ${what}`}, ${clock(t)}`), draw('line', { x1: at.x(t), x2: at.x(t), y1: row < 0 ? at.top : 12 + row * 12, y2: at.foot }));
    if (row >= 0) rows[row] = from + long, tick.append(draw('text', { x: from + 2, y: 10 + row * 12 }, label));
    return tick;
  });
  const path = points.map(({ t, viewers }, i) => `${i ? 'L' : 'M'}${at.x(t)} ${at.y(viewers)}`).join('');
  const words = `Viewers by time of the stream: ${m.stream.live ? `now ${m.online.now}` : 'over'} at ${clock(now)}, at most ${pcu}${top.viewers ? ` at ${clock(top.t)}` : ''}, ${m.uv} distinct.`
    + (shown.length ? ` Plays: ${shown.slice(-20).map(one => `${one.label} at ${clock(one.t)}`).join(', ')}.` : '');
  paint(parts.online, at, words, [...axes(at, levels.map(v => [v, `${v}`])),
    draw('path', { class: 'under', d: `${path}V${at.foot}H${at.x(points[0].t)}Z` }), draw('path', { class: 'online', d: path }), ...ticks]);
}
