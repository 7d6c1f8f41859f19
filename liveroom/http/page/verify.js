// Checks a draw's proof file in the browser, step by step as verify_draw.py does, and against what this page was told.
const utf8 = new TextEncoder(), same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const hex = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
const unhex = text => Uint8Array.from(text.match(/../g), pair => parseInt(pair, 16));
function joined(parts) {
  const all = parts.map(part => (typeof part === 'string' ? utf8.encode(part) : part));
  const whole = new Uint8Array(all.reduce((size, part) => size + part.length, 0));
  all.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}
async function sha256(...parts) { return new Uint8Array(await crypto.subtle.digest('SHA-256', joined(parts))); }
async function hmac(secret) {
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return async text => new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8.encode(text)));
}
function canonical(value) { // JSON with sorted keys and no blanks
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort().map(key => `${JSON.stringify(key)}:${canonical(value[key])}`)}}`;
}
export function able() { return Boolean(globalThis.crypto?.subtle); } // browsers have it on https and localhost only
export async function leafOf(draw, { n, tag, weight }) { return hex(await leaf(draw, { n, tag, weight })); }
function leaf(draw, one) { return sha256(`\0lr/leaf/v1\0${draw}\0${one.n}\0${one.tag}\0${one.weight}`); }
async function rootOf(leaves) { // RFC 6962's tree: the left part is the largest power of two that is smaller than the whole
  if (leaves.length < 2) return leaves[0] ?? sha256('lr/empty/v1');
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  return sha256('\x02', await rootOf(leaves.slice(0, left)), await rootOf(leaves.slice(left)));
}
async function heads(draw, leaves) { // the chain's head before the first entry and behind each
  const all = [await sha256(`lr/chain0/v1\0${draw}`)];
  for (const one of leaves) all.push(await sha256('\x01lr/chain/v1\0', all.at(-1), one));
  return all.map(hex);
}
async function order(key, entries) { // the lowest HMAC over an entry's tickets; lower is better
  const sign = await hmac(key), scored = [];
  for (const { tag, weight } of entries) {
    let best = '~';
    for (let i = 0; i < weight; i++) best = [best, hex(await sign(`${tag}\0${i}`))].sort()[0];
    scored.push([best, tag]);
  }
  return scored.sort(([a, x], [b, y]) => (a < b || (a === b && x < y) ? -1 : 1)).map(([, tag]) => tag);
}
const counts = n => Number.isInteger(n) && n >= 0, text = one => typeof one === 'string';
const entry = one => counts(one?.n) && text(one.tag) && counts(one.weight) && one.weight >= 1 && one.weight <= 1e6;
const FORM = { v: v => v === 1, id: text, rules_hash: text, commit: text, chain: text, root: text, beacon: text,
  rules: one => one && typeof one === 'object' && !Array.isArray(one) && [one.winners, one.alternates].every(all => all === undefined || counts(all)),
  seed: one => text(one) && /^[0-9a-f]{64}$/.test(one), entries: all => Array.isArray(all) && all.every(entry),
  winners: all => Array.isArray(all) && all.every(one => text(one?.tag)), alternates: all => Array.isArray(all) && all.every(text) };
function read(file) {
  const proof = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(file));
  const wrong = Object.keys(FORM).find(name => !FORM[name](proof?.[name]));
  if (wrong) throw new Error(`“${wrong}” is missing or not what a proof has there`);
  return proof;
}
// `told` is what the page heard of the draw. Gives [what, agrees]; agrees is null where the page did not hear it. Throws if it is no proof.
export async function verify(file, told) {
  const proof = read(file), { id, rules, entries, seed } = proof, results = [];
  const check = (what, agrees) => results.push([what, agrees]);
  const heard = (what, one, is) => check(what, one === undefined ? null : same(one, is));
  check('the file has the hash that was told', told.sha256 === undefined ? null : hex(await sha256(file)) === told.sha256);
  check('it is the proof of this draw', id === told.id);
  check('the seed is the one that was committed to', hex(await sha256(`lr/commit/v1\0${id}\0`, unhex(seed))) === proof.commit);
  heard('that commitment was told at the opening', told.commit, proof.commit);
  check('the rules are the ones of the file', hex(await sha256(canonical(rules))) === proof.rules_hash);
  heard('the hash of the rules was told at the opening', told.rules_hash, proof.rules_hash);
  check('the entries are numbered without a gap', entries.every((one, i) => one.n === i + 1));
  check('nobody entered twice', new Set(entries.map(one => one.tag)).size === entries.length);
  const leaves = await Promise.all(entries.map(one => leaf(id, one))), chain = await heads(id, leaves);
  check('the chain over the entries ends in the head of the file', chain.at(-1) === proof.chain);
  heard('a head that was told while entries came in lies on it', told.head, chain[told.n]);
  check('the tree over the entries has the root of the file', hex(await rootOf(leaves)) === proof.root);
  heard('that root was told at the freeze, before the seed', told.root, proof.root);
  const sign = await hmac(unhex(seed)), key = await sign(['lr/draw/v1', id, proof.rules_hash, proof.root, proof.beacon].join('\0'));
  const ranking = await order(key, entries), tags = proof.winners.map(one => one.tag);
  const winning = Math.min(rules.winners ?? tags.length, entries.length);
  const behind = Math.min(rules.alternates ?? proof.alternates.length, entries.length - winning);
  check('the winners are the best scores', same(tags, ranking.slice(0, winning)));
  check('the alternates come next', same(proof.alternates, ranking.slice(winning, winning + behind)));
  heard('the winners are the ones that were told', told.winners, tags.slice(0, told.winners?.length));
  heard('and as many', told.winners_total, tags.length);
  const mine = told.receipt;
  if (mine) check('your receipt’s leaf is among the entries', leaves[mine.n - 1] !== undefined && hex(leaves[mine.n - 1]) === mine.leaf);
  return results;
}
