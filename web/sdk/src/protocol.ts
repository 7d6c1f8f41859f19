// The wire contract of liveroom, version 1. Generated from the server's types by `make docs`: do not edit.
// A message is told apart by `t`. Ignore a `t` that is not here, and fields that are not here.

/** The first message of a viewer. Not a command: it has no `cid` and is said once. */
export interface Hello {
  t: "hello";
  token: string;
  resume?: Resume | null;
  profile?: "full" | "lite" | "min"; // left out: "full"
  source?: string; // left out: ""
}

export interface Resume {
  epoch: string; // at most 64
  seq: number;
}

/** Why a command was refused. */
export type Code =
  | "ALREADY_ANSWERED"
  | "BAD_MESSAGE"
  | "BAD_TOKEN"
  | "DUPLICATE"
  | "HOLD_EXPIRED"
  | "IDEMPOTENCY_MISMATCH"
  | "INTERNAL"
  | "KEYWORD_TAKEN"
  | "MEMBERS_ONLY"
  | "MUTED"
  | "NOT_ALLOWED"
  | "NOT_ELIGIBLE"
  | "NO_STREAM"
  | "NO_SUCH_CHOICE"
  | "NO_SUCH_COMMENT"
  | "NO_SUCH_HOLD"
  | "NO_SUCH_ROOM"
  | "NO_SUCH_ROUND"
  | "NO_SUCH_VIEWER"
  | "RATE_LIMITED"
  | "ROOM_CLOSED"
  | "ROOM_EXISTS"
  | "ROOM_MUTED"
  | "ROUND_CLOSED"
  | "ROUND_STATE"
  | "SALE_LIMIT"
  | "SALE_NOT_OPEN"
  | "SALE_PAUSED"
  | "SALE_SOLD_OUT"
  | "SLOW_MODE"
  | "STREAM_RUNNING"
  | "TEXT_EMPTY"
  | "TEXT_TOO_LONG"
  | "TRY_LATER"
  | "UNKNOWN_COMMAND"
  | "WEAK_DURABILITY"
  | "WORD_BLOCKED";

export interface TimePingCommand {
  t: "time.ping";
  c0: number;
  cid?: number;
  idem?: string; // 1…64
}

export interface HistoryGetCommand {
  t: "history.get";
  limit?: number; // 1…100; left out: 50
  before?: string; // at most 32
  cid?: number;
  idem?: string; // 1…64
}

export interface AuthRefreshCommand {
  t: "auth.refresh";
  token: string;
  cid?: number;
  idem?: string; // 1…64
}

export interface ProfileSetCommand {
  t: "profile.set";
  profile: "full" | "lite" | "min";
  cid?: number;
  idem?: string; // 1…64
}

export interface RoomNoticeCommand {
  t: "room.notice";
  text: string;
  cid?: number;
  idem?: string; // 1…64
}

/** Letters were read. */
export interface InboxAckCommand {
  t: "inbox.ack";
  ids: string[]; // 1…100
  cid?: number;
  idem?: string; // 1…64
}

/** Whether the page is seen: whoever goes while it is not has gone to the background. */
export interface PresenceSetCommand {
  t: "presence.set";
  visible: boolean;
  cid?: number;
  idem?: string; // 1…64
}

export interface ShareAddCommand {
  t: "share.add";
  to?: string; // at most 64; left out: ""
  cid?: number;
  idem?: string; // 1…64
}

export interface StreamStartCommand {
  t: "stream.start";
  title?: string; // at most 80; left out: ""
  cid?: number;
  idem?: string; // 1…64
}

export interface StreamStopCommand {
  t: "stream.stop";
  cid?: number;
  idem?: string; // 1…64
}

/** Whether to be told `retention.live` every two seconds. */
export interface RetentionWatchCommand {
  t: "retention.watch";
  on?: boolean; // left out: true
  cid?: number;
  idem?: string; // 1…64
}

/** Something will happen then: viewers count down to it. */
export interface PlayAnnounceCommand {
  t: "play.announce";
  what: string; // 1…80
  at: number;
  cid?: number;
  idem?: string; // 1…64
}

/** Of `mentions` the room is told those who are in it or have commented there. */
export interface ChatSayCommand {
  t: "chat.say";
  text: string;
  reply_to?: string;
  mentions?: string[]; // at most 5; left out: []
  cid?: number;
  idem?: string; // 1…64
}

/** The staff answer a comment, and its author is told. */
export interface ChatReplyCommand {
  t: "chat.reply";
  id: string;
  text: string;
  cid?: number;
  idem?: string; // 1…64
}

/** These comments, or all of a viewer's so far. */
export interface ChatDeleteCommand {
  t: "chat.delete";
  ids?: string[]; // 1…100
  viewer?: string; // 1…64
  cid?: number;
  idem?: string; // 1…64
}

export interface ChatPinCommand {
  t: "chat.pin";
  id: string;
  seconds: number; // 1…86400
  cid?: number;
  idem?: string; // 1…64
}

export interface ChatUnpinCommand {
  t: "chat.unpin";
  id: string;
  cid?: number;
  idem?: string; // 1…64
}

/** `shadow`: he is not told, and sees his own comments. */
export interface ChatMuteCommand {
  t: "chat.mute";
  viewer: string; // 1…64
  seconds: number; // 1…86400
  reason?: string; // 1…200
  shadow?: boolean; // left out: false
  cid?: number;
  idem?: string; // 1…64
}

export interface ChatUnmuteCommand {
  t: "chat.unmute";
  viewer: string; // 1…64
  cid?: number;
  idem?: string; // 1…64
}

export interface ChatBanCommand {
  t: "chat.ban";
  viewer: string; // 1…64
  seconds?: number; // 1…315360000
  reason?: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
}

export interface ChatUnbanCommand {
  t: "chat.unban";
  viewer: string; // 1…64
  cid?: number;
  idem?: string; // 1…64
}

/** How the chat is from now on. What is left out of `rate` and `words` stays as it is; a rate of 0 is the server's own, any other at least 0.01. */
export interface ChatSettingsCommand {
  t: "chat.settings";
  mode: "members" | "muted" | "open" | "slow";
  slow_seconds?: number; // 1…3600; left out: 10
  level?: number; // 1…1000000; left out: 1
  rate?: number;
  words?: string[]; // at most 200
  cid?: number;
  idem?: string; // 1…64
}

/** A viewer asks the staff to look at a comment. */
export interface ChatReportCommand {
  t: "chat.report";
  id: string;
  why: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
}

/** A reported comment may stay. */
export interface ChatDismissCommand {
  t: "chat.dismiss";
  id: string;
  cid?: number;
  idem?: string; // 1…64
}

export interface LikeAddCommand {
  t: "like.add";
  n: number; // 1…50
  cid?: number;
  idem?: string; // 1…64
}

export interface LotteryOpenCommand {
  t: "lottery.open";
  prize: string; // 1…80
  winners: number; // 1…1000
  keyword?: string; // 1…80
  match?: "contains" | "exact"; // left out: "exact"
  alternates?: number; // 0…1000
  claim_seconds?: number; // 1…86400
  presence?: boolean; // left out: false
  eligible?: Eligible;
  cid?: number;
  idem?: string; // 1…64
  seconds?: number; // 1…3600; left out: 60
  opens_at?: number;
}

/** All of these, and any of those where there are some. */
export interface Eligible {
  all_of?: Condition[]; // at most 10; left out: []
  any_of?: Condition[]; // at most 10; left out: []
}

/** One condition: exactly one of these is set. */
export interface Condition {
  level?: number; // 0…1000000
  watched_seconds?: number; // 1…1000000
  liked?: number; // 1…1000000
  commented?: number; // 1…1000000
  answered_right?: string; // 1…40
  bought?: number; // 1…1000000
  not_won_days?: number; // 1…3650
  one_per_device?: boolean;
}

export interface LotteryEnterCommand {
  t: "lottery.enter";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

/** A winner takes his prize. */
export interface LotteryClaimCommand {
  t: "lottery.claim";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

/** Entries end now; freeze, root and draw follow by themselves. */
export interface LotteryCloseCommand {
  t: "lottery.close";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface LotteryCancelCommand {
  t: "lottery.cancel";
  reason: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface LotteryVoidCommand {
  t: "lottery.void";
  reason: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface QuizOpenCommand {
  t: "quiz.open";
  cid?: number;
  idem?: string; // 1…64
  seconds?: number; // 1…600; left out: 15
  opens_at?: number;
  question: string; // 1…400
  choices: string[]; // 2…10
  right: number; // 0…9
  explain?: string; // at most 400; left out: ""
  series?: string; // 1…80
}

export interface QuizAnswerCommand {
  t: "quiz.answer";
  choice: number;
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface QuizCloseCommand {
  t: "quiz.close";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

/** The question does not count, also when it was revealed already. */
export interface QuizVoidCommand {
  t: "quiz.void";
  reason: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface SprintOpenCommand {
  t: "sprint.open";
  target: number; // 1…1000000000
  levels?: number[]; // at most 10; left out: []
  cid?: number;
  idem?: string; // 1…64
  seconds?: number; // 1…3600; left out: 60
  opens_at?: number;
}

export interface SprintCloseCommand {
  t: "sprint.close";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface SprintCancelCommand {
  t: "sprint.cancel";
  reason: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface CountOpenCommand {
  t: "count.open";
  keyword: string; // 1…80
  cid?: number;
  idem?: string; // 1…64
  seconds?: number; // 1…3600; left out: 60
  opens_at?: number;
}

export interface CountCloseCommand {
  t: "count.close";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface CountCancelCommand {
  t: "count.cancel";
  reason: string; // 1…200
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

/** `price` in minor units of `currency` (ISO 4217; the room's, if left out). */
export interface SaleOpenCommand {
  t: "sale.open";
  cid?: number;
  idem?: string; // 1…64
  seconds?: number; // 1…86400; left out: 180
  opens_at?: number;
  item: string; // 1…80
  price: number; // 0…1000000000000
  stock: number; // 1…10000000
  per_viewer?: number; // 1…100; left out: 1
  currency?: string;
  hold_seconds?: number; // 1…3600; left out: 120
}

export interface SaleClaimCommand {
  t: "sale.claim";
  cid?: number;
  idem?: string; // 1…64
  id: string;
  qty?: number; // 1…100; left out: 1
  again?: boolean; // left out: false
}

/** A viewer lets his hold go. */
export interface SaleCancelCommand {
  t: "sale.cancel";
  cid?: number;
  idem?: string; // 1…64
  hold: string;
}

/** A unit that comes free is offered to who waits longest. */
export interface SaleWaitCommand {
  t: "sale.wait";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface SaleExtendCommand {
  t: "sale.extend";
  cid?: number;
  idem?: string; // 1…64
  id: string;
  seconds: number; // 1…86400
}

export interface SaleRestockCommand {
  t: "sale.restock";
  cid?: number;
  idem?: string; // 1…64
  id: string;
  qty: number; // 1…10000000
}

export interface SalePauseCommand {
  t: "sale.pause";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

export interface SaleResumeCommand {
  t: "sale.resume";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

/** No more claims; what is held may still be paid. */
export interface SaleCloseCommand {
  t: "sale.close";
  cid?: number;
  idem?: string; // 1…64
  id: string;
}

/** The sale is off: every hold is released, every paid order is to be refunded. */
export interface SaleCancelAllCommand {
  t: "sale.cancel_all";
  cid?: number;
  idem?: string; // 1…64
  id: string;
  reason: string; // 1…200
}

/** The answer to `hello`; `snapshot` is there unless `recovered`. */
export interface WelcomeEvent {
  t: "welcome";
  viewer: Who;
  room: About;
  epoch: string;
  seq: number;
  now: number;
  heartbeat_ms: number;
  recovered: boolean;
  snapshot?: Snapshot;
}

export interface Who {
  id: string;
  name: string;
  role: Role;
}

/** Who may do what. Each role may do all that the ones before it may. */
export type Role =
  | "host"
  | "moderator"
  | "service"
  | "viewer";

export interface About {
  id: string;
  title: string;
  viewers: number;
  likes: number;
}

/** All that somebody who comes is shown. `inbox`: letters that he has not acknowledged. */
export interface Snapshot {
  chat: ChatMessageEvent[];
  pinned: PinnedNow[];
  notice: RoomNoticeEvent | null;
  settings: RoomSettings;
  rounds: LiveRound[];
  next_up: Record<string, unknown> | null;
  inbox: (Record<string, unknown>)[];
}

export interface PinnedNow {
  comment: ChatMessageEvent;
  until: number;
}

export interface RoomSettings {
  mode: string;
  slow_seconds: number;
  stream_delay_ms: number;
  level?: number;
  rate?: number;
}

/** `opened`: the fields of KIND.opened, or KIND.announced; `counts`: those of its state; `result`: of its end. `mine` is the viewer's own part: lottery `{receipt}`, quiz `{choice}`, sale `{hold, until, qty}` or `{waiting}` or `{offered, until, qty}`, with `all` where he has several; else null. */
export interface LiveRound {
  kind: string;
  id: string;
  state: string;
  ver: number;
  opened: Record<string, unknown>;
  counts: Record<string, unknown>;
  result: Record<string, unknown> | null;
  mine: Record<string, unknown> | null;
}

/** The room was rebuilt after a failure: forget what you know of it, and go on from here. */
export interface RoomResetEvent {
  t: "room.reset";
  epoch: string;
  seq: number;
  snapshot: Snapshot;
}

/** Nothing was told for `heartbeat_ms`: `seq` is where the room is. */
export interface BeatEvent {
  t: "beat";
  now: number;
  seq: number;
}

/** This connection will be closed with 4000: come back after so long. */
export interface ByeEvent {
  t: "bye";
  retry_after_ms: number;
}

/** The server tells this viewer less, or more again, without having been asked. */
export interface ProfileChangedEvent {
  t: "profile.changed";
  profile: "full" | "lite" | "min";
  why: "calm" | "slow";
}

/** The ping's `c0`, when it came in and when it was answered, by the room's clock. */
export interface TimePongEvent {
  t: "time.pong";
  c0: number;
  s1: number;
  s2: number;
  cid?: number;
}

export interface RoomNoticeEvent {
  t: "room.notice";
  seq: number;
  ts: number;
  text: string;
  from: string;
}

export interface RoomClosedEvent {
  t: "room.closed";
  seq: number;
  ts: number;
}

/** Distinct viewers without staff on all nodes, likes, comments per second. */
export interface RoomStatsEvent {
  t: "room.stats";
  viewers: number;
  likes: number;
  rate: number;
  ver: number;
}

/** Who came: some names, and how many more. */
export interface RoomJoinedEvent {
  t: "room.joined";
  names: string[];
  more: number;
}

export interface StreamStartedEvent {
  t: "stream.started";
  seq: number;
  ts: number;
  id: string;
  title: string;
}

export interface StreamStoppedEvent {
  t: "stream.stopped";
  seq: number;
  ts: number;
  id: string;
}

export interface PlayAnnouncedEvent {
  t: "play.announced";
  seq: number;
  ts: number;
  what: string;
  at: number;
}

/** To hosts who watch: the report of `GET …/retention` with fewer points, and no curves of sources. */
export interface RetentionLiveEvent {
  t: "retention.live";
  stream: StreamAbout;
  start: number;
  now: number;
  units: string;
  definitions: Record<string, string>;
  uv: number;
  sessions: number;
  watch: Watched;
  stay: Settled;
  provisional: Stay[];
  sources: Record<string, StayCurve>;
  sources_hidden: number;
  sources_differ: Difference | null;
  online: Online;
  cohorts: Cohort[];
  reasons: Record<string, number>;
  interaction: Interaction;
}

/** `implicit`: it began by itself, with the first viewer. */
export interface StreamAbout {
  id: string;
  title: string;
  live: boolean;
  implicit: boolean;
}

/** Seconds. */
export interface Watched {
  total: number;
  of: string;
}

/** The stay curve as of one grace ago: nobody of it may still come back. */
export interface Settled {
  as_of: number;
  curve: Stay[];
  median: number | null;
  rmst: number | null;
  rmst_seconds: number | null;
  bounce: number | null;
  n: number;
}

/** A point of the stay curve: the share that stays longer than `t`, its 95 % band, and how many were at risk. */
export interface Stay {
  t: number;
  s: number;
  lo?: number | null;
  hi?: number | null;
  n?: number;
  grey?: boolean; // left out: false
}

export interface StayCurve {
  curve: Stay[];
  median: number | null;
  rmst: number | null;
  rmst_seconds: number | null;
  bounce: number | null;
  n: number;
}

/** How surely the sources keep viewers for different times: a log-rank test. */
export interface Difference {
  chi2: number;
  df: number;
  p: number;
}

export interface Online {
  bucket: number;
  curve: OnlinePoint[];
  now: number;
  pcu: number;
  acu: number | null;
}

export interface OnlinePoint {
  t: number;
  viewers: number;
  joins: number;
  leaves: number;
}

/** Who joined in the same five minutes, and the share of them that was there 5, 10, … minutes later. */
export interface Cohort {
  t: number;
  n: number | null;
  present: number[] | null;
}

export interface Interaction {
  light: Deeds;
  medium: Deeds;
  heavy: Deeds;
}

export interface Deeds {
  viewers: number;
  share: number | null;
  minutes: Minute[];
}

export interface Minute {
  t: number;
  n: number;
}

/** To hosts: how long nothing has happened, and what the audience does meanwhile. */
export interface RhythmHintEvent {
  t: "rhythm.hint";
  minutes: number;
  level: string;
  comments: number;
  leaves: number;
}

export interface ChatMessageEvent {
  t: "chat.message";
  id: string;
  ts: number;
  from: string;
  name: string;
  role: Role;
  text: string;
  reply_to?: string;
  mentions?: string[]; // left out: []
}

/** For the one who is named in a comment, or answered, also when the room was not shown it: kept until read. */
export interface ChatMentionedEvent {
  t: "chat.mentioned";
  by: string;
  id: string;
  text: string;
  of?: string;
  inbox?: string; // left out: ""
}

/** How many of how many comments were shown since the last of these. */
export interface ChatSampledEvent {
  t: "chat.sampled";
  shown: number;
  total: number;
}

export interface ChatPinnedEvent {
  t: "chat.pinned";
  seq: number;
  ts: number;
  comment: ChatMessageEvent;
  until: number;
}

/** These comments, or all that a viewer said until now. */
export interface ChatDeletedEvent {
  t: "chat.deleted";
  seq: number;
  ts: number;
  ids?: string[];
  viewer?: string;
}

export interface ChatUnpinnedEvent {
  t: "chat.unpinned";
  seq: number;
  ts: number;
  id: string;
}

/** Until when his comments are refused; 0: no longer. */
export interface ChatMutedEvent {
  t: "chat.muted";
  until: number;
}

/** How the chat is from now on; the words are not told. */
export interface ChatSettingsEvent {
  t: "chat.settings";
  seq: number;
  ts: number;
  mode: "members" | "muted" | "open" | "slow";
  slow_seconds: number;
  level?: number;
  rate?: number;
}

/** To the staff: how many reported comments wait for them. */
export interface ChatReportsEvent {
  t: "chat.reports";
  open: number;
  ver: number;
}

/** The room's likes; `delta` since the last of these. */
export interface LikeTotalEvent {
  t: "like.total";
  total: number;
  delta: number;
  ver: number;
}

/** To staff, when it changed: what waits, most asked first; `more` are left out. */
export interface QuestionsLiveEvent {
  t: "questions.live";
  questions: Question[];
  now: number;
  more?: number; // left out: 0
}

/** A question that waits for an answer, as the first asked it; in how many comments, of how many viewers, since when (`asked`, in epoch ms). `ids` are the newest of these comments. */
export interface Question {
  id: string;
  text: string;
  from: string;
  name: string;
  asked: number;
  waiting_ms: number;
  times: number;
  viewers: number;
  ids: string[];
}

export interface LotteryAnnouncedEvent {
  t: "lottery.announced";
  seq: number;
  ts: number;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

export interface LotteryOpenedEvent {
  t: "lottery.opened";
  seq: number;
  ts: number;
  prize: string;
  winners: number;
  alternates: number;
  commit: string;
  rules_hash: string;
  keyword?: string;
  match?: string;
  claim_seconds?: number;
  presence?: boolean; // left out: false
  eligible?: Eligible;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

/** So many entered; `head` is that of the chain over the first `n` entries. */
export interface LotteryProgressEvent {
  t: "lottery.progress";
  entrants: number;
  n: number;
  head: string;
  id: string;
  ver: number;
}

export interface LotteryFrozenEvent {
  t: "lottery.frozen";
  seq: number;
  ts: number;
  n: number;
  root: string;
  id: string;
}

export interface LotteryDrawnEvent {
  t: "lottery.drawn";
  seq: number;
  ts: number;
  winners: Winner[];
  winners_total: number;
  alternates: Waiting[];
  seed: string;
  proof: Proof;
  undersubscribed?: boolean; // left out: false
  delayed?: boolean; // left out: false
  id: string;
}

export interface Winner {
  viewer: string;
  name: string;
  tag: string;
  prize: string;
}

/** An alternate. */
export interface Waiting {
  viewer: string;
  name: string;
  tag: string;
}

export interface Proof {
  url: string;
  sha256: string;
}

/** So many prizes were lost; these lost them, and these got them. */
export interface LotteryReplacedEvent {
  t: "lottery.replaced";
  seq: number;
  ts: number;
  lost: number;
  out: string[];
  winners: Winner[];
  why: "absent" | "banned" | "unclaimed";
  id: string;
}

export interface LotterySettledEvent {
  t: "lottery.settled";
  seq: number;
  ts: number;
  winners_total: number;
  id: string;
}

export interface LotteryCancelledEvent {
  t: "lottery.cancelled";
  seq: number;
  ts: number;
  reason: string;
  id: string;
}

export interface LotteryVoidedEvent {
  t: "lottery.voided";
  seq: number;
  ts: number;
  reason: string;
  seed: string;
  id: string;
}

/** To a winner. */
export interface LotteryWonEvent {
  t: "lottery.won";
  prize: string;
  claim_by?: number;
  id: string;
  inbox: string;
}

/** To everybody who entered. */
export interface LotteryResultEvent {
  t: "lottery.result";
  rank: number;
  of: number;
  id: string;
}

export interface QuizAnnouncedEvent {
  t: "quiz.announced";
  seq: number;
  ts: number;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

export interface QuizOpenedEvent {
  t: "quiz.opened";
  seq: number;
  ts: number;
  question: string;
  choices: string[];
  series?: string;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

/** How many have answered, never how. */
export interface QuizProgressEvent {
  t: "quiz.progress";
  answered: number;
  id: string;
  ver: number;
}

export interface QuizRevealedEvent {
  t: "quiz.revealed";
  seq: number;
  ts: number;
  right: number;
  explain: string;
  counts: number[];
  id: string;
}

export interface QuizLeaderboardEvent {
  t: "quiz.leaderboard";
  series: string;
  top: Standing[];
  id: string;
  ver: number;
}

export interface Standing {
  viewer: string;
  name: string;
  points: number;
  rank: number;
}

export interface QuizVoidedEvent {
  t: "quiz.voided";
  seq: number;
  ts: number;
  reason: string;
  id: string;
}

/** To everybody who answered. The rank is that of the series, where the question belongs to one. */
export interface QuizResultEvent {
  t: "quiz.result";
  correct: boolean;
  points: number;
  rank: number;
  id: string;
}

export interface SprintAnnouncedEvent {
  t: "sprint.announced";
  seq: number;
  ts: number;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

export interface SprintOpenedEvent {
  t: "sprint.opened";
  seq: number;
  ts: number;
  target: number;
  levels?: number[]; // left out: []
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

/** Likes since the opening. */
export interface SprintProgressEvent {
  t: "sprint.progress";
  likes: number;
  target: number;
  id: string;
  ver: number;
}

export interface SprintReachedEvent {
  t: "sprint.reached";
  seq: number;
  ts: number;
  level: number;
  id: string;
}

export interface SprintClosedEvent {
  t: "sprint.closed";
  seq: number;
  ts: number;
  likes: number;
  reached: boolean;
  id: string;
}

export interface SprintCancelledEvent {
  t: "sprint.cancelled";
  seq: number;
  ts: number;
  reason: string;
  id: string;
}

export interface CountAnnouncedEvent {
  t: "count.announced";
  seq: number;
  ts: number;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

export interface CountOpenedEvent {
  t: "count.opened";
  seq: number;
  ts: number;
  keyword: string;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
}

/** So many viewers said it so many times. */
export interface CountProgressEvent {
  t: "count.progress";
  viewers: number;
  times: number;
  id: string;
  ver: number;
}

export interface CountClosedEvent {
  t: "count.closed";
  seq: number;
  ts: number;
  viewers: number;
  times: number;
  id: string;
}

export interface CountCancelledEvent {
  t: "count.cancelled";
  seq: number;
  ts: number;
  reason: string;
  id: string;
}

/** The countdown runs until `opens_at`. */
export interface SaleAnnouncedEvent {
  t: "sale.announced";
  seq: number;
  ts: number;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
  item: string;
  price: number;
  currency: string;
  stock: number;
  per_viewer: number;
  hold_seconds: number;
}

export interface SaleOpenedEvent {
  t: "sale.opened";
  seq: number;
  ts: number;
  id: string;
  opens_at: number;
  closes_at: number;
  rules: string;
  item: string;
  price: number;
  currency: string;
  stock: number;
  per_viewer: number;
  hold_seconds: number;
}

/** Nothing is free; what is held may still come back. */
export interface SaleSoldOutEvent {
  t: "sale.sold_out";
  seq: number;
  ts: number;
  id: string;
}

/** Something is free again. */
export interface SaleReopenedEvent {
  t: "sale.reopened";
  seq: number;
  ts: number;
  id: string;
}

export interface SalePausedEvent {
  t: "sale.paused";
  seq: number;
  ts: number;
  reason?: string; // left out: ""
  id: string;
}

export interface SaleResumedEvent {
  t: "sale.resumed";
  seq: number;
  ts: number;
  closes_at: number;
  id: string;
}

export interface SaleExtendedEvent {
  t: "sale.extended";
  seq: number;
  ts: number;
  closes_at: number;
  id: string;
}

export interface SaleRestockedEvent {
  t: "sale.restocked";
  seq: number;
  ts: number;
  qty: number;
  stock: number;
  id: string;
}

export interface SaleClosedEvent {
  t: "sale.closed";
  seq: number;
  ts: number;
  id: string;
}

export interface SaleCancelledEvent {
  t: "sale.cancelled";
  seq: number;
  ts: number;
  reason: string;
  id: string;
}

export interface SaleStockEvent {
  t: "sale.stock";
  left: number;
  held: number;
  sold: number;
  id: string;
  ver: number;
}

/** This is his until then. */
export interface SaleHeldEvent {
  t: "sale.held";
  hold: string;
  until: number;
  qty: number;
  id: string;
}

/** The hold is over: `why` is expired, cancelled or refunded. */
export interface SaleReleasedEvent {
  t: "sale.released";
  hold: string;
  why: string;
  qty: number;
  id: string;
  inbox: string;
}

/** A claim until then gets it. */
export interface SaleOfferedEvent {
  t: "sale.offered";
  until: number;
  qty: number;
  id: string;
  inbox: string;
}

/** It is paid; `rank` is that of the payments, from 1. */
export interface SaleConfirmedEvent {
  t: "sale.confirmed";
  hold: string;
  order: string;
  rank: number;
  qty: number;
  id: string;
  inbox: string;
}

/** `currency` (ISO 4217) of the room's sales; left out: the server's. */
export interface NewRoom {
  id: string;
  title: string; // 1…80
  currency?: string;
}

export interface RoomAbout {
  id: string;
  title: string;
  state: "closed" | "open";
  viewers: number;
  likes: number;
  created: number;
}

export interface RoomList {
  rooms: RoomAbout[];
}

/** A room with its live rounds. */
export interface RoomNow {
  id: string;
  title: string;
  state: "closed" | "open";
  viewers: number;
  likes: number;
  created: number;
  rounds: LiveRound[];
}

export interface RoomIsClosed {
  t: "ok";
  id: string;
  state: "closed";
}

/** What `liveroom verify-draw` checks. The order of `entries` is part of the proof. */
export interface ProofFile {
  v: 1;
  room: string;
  id: string;
  opened_at: number;
  closed_at: number;
  rules: Record<string, unknown>;
  rules_hash: string;
  commit: string;
  entries: Ticket[];
  chain: string;
  root: string;
  beacon: string;
  seed: string;
  winners: Prize[];
  alternates: string[];
}

export interface Ticket {
  n: number;
  tag: string;
  weight: number;
}

export interface Prize {
  tag: string;
  prize: string;
}

/** `paid_at` in epoch milliseconds, by the shop's clock. */
export interface Payment {
  payment_id: string; // 1…128
  paid_at?: number; // left out: 0
}

/** `late`: it was paid after it had run out, and could be had all the same. */
export interface HoldStands {
  durability?: "relaxed";
  hold: string;
  state: "cancelled" | "expired" | "held" | "refunded" | "sold";
  order?: string;
  rank?: number;
  late?: boolean;
}

export interface Why {
  reason?: string; // at most 200; left out: ""
}

/** How long viewers stay, and how many are here. `start`, `now`: epoch milliseconds; other times: seconds. `definitions` says by the name of a field where that is defined. Sources of few viewers are only counted, in `sources_hidden`. */
export interface Report {
  stream: StreamAbout;
  start: number;
  now: number;
  units: string;
  definitions: Record<string, string>;
  uv: number;
  sessions: number;
  watch: Watched;
  stay: Settled;
  provisional: Stay[];
  sources: Record<string, StayCurve>;
  sources_hidden: number;
  sources_differ: Difference | null;
  online: Online;
  cohorts: Cohort[];
  reasons: Record<string, number>;
  interaction: Interaction;
}

/** The newest first. */
export interface Bans {
  bans: Silenced[];
  mutes: Silenced[];
}

/** `until`: null is for good. */
export interface Silenced {
  viewer: string;
  until: number | null;
  at: number;
  by: string;
  reason: string;
  shadow?: boolean;
}

export interface ReportList {
  reports: ReportedComment[];
}

/** `n`: how many reported it, `at`: when the first did. */
export interface ReportedComment {
  comment: ChatMessageEvent;
  n: number;
  at: number;
  by: ReportedBy[];
}

export interface ReportedBy {
  viewer: string;
  why: string;
}

/** All questions that wait, as HTTP tells them. */
export interface Unanswered {
  questions: Question[];
  now: number;
}

export interface Alive {
  live: true;
}

/** `reason`: why not. */
export interface Ready {
  ready: boolean;
  reason?: string;
}

export interface NewToken {
  token: string;
}

/** `fail`: the payment does not go through. */
export interface Basket {
  room: string;
  hold: string;
  fail?: boolean; // left out: false
}

/** Oldest first. */
export interface CommentsOk {
  t: "ok";
  cid?: number;
  comments: ChatMessageEvent[];
}

/** Nothing more: it was done. */
export interface Ok {
  t: "ok";
  cid?: number;
}

/** The number of the event that everybody is told. */
export interface NumberedOk {
  t: "ok";
  cid?: number;
  seq: number;
}

/** The id of what was made. */
export interface MadeOk {
  t: "ok";
  cid?: number;
  id: string;
}

export interface WatchingOk {
  t: "ok";
  cid?: number;
  on: boolean;
}

/** `receipt`: the comment was an entry too. `shown` is false, and there is no `id`, where it only was that. */
export interface ToldOk {
  t: "ok";
  cid?: number;
  id?: string;
  receipt?: Receipt;
  shown?: boolean;
  why?: Code;
  refused?: NotEntered;
}

/** An entry as the proof of the draw will have it: complete at once, bound by the next head with `n` or more. */
export interface Receipt {
  n: number;
  tag: string;
  weight: number;
  leaf: string;
  draw: string;
}

/** The round that the comment would have entered, and why it did not. */
export interface NotEntered {
  id: string;
  code: Code;
  params: Record<string, unknown>;
}

/** The number of the event that everybody is told, if anything changed. */
export interface ChangedOk {
  t: "ok";
  cid?: number;
  seq?: number;
}

/** `until`: null is for good. */
export interface ImposedOk {
  t: "ok";
  cid?: number;
  until: number | null;
}

export interface CountedOk {
  t: "ok";
  cid?: number;
  counted: number;
}

export interface EnteredOk {
  t: "ok";
  cid?: number;
  receipt: Receipt;
}

export interface ClaimedOk {
  t: "ok";
  cid?: number;
  id: string;
}

/** How a round stands now. */
export interface StandsOk {
  t: "ok";
  cid?: number;
  id: string;
  state: string;
  ver: number;
}

export interface SaleMadeOk {
  t: "ok";
  cid?: number;
  durability?: "relaxed";
  id: string;
}

/** The claim was good: this is his until then. */
export interface HoldingOk {
  t: "ok";
  cid?: number;
  durability?: "relaxed";
  hold: string;
  until: number;
  qty: number;
}

/** `late`: it was paid after it had run out, and could be had all the same. */
export interface HoldStandsOk {
  t: "ok";
  cid?: number;
  durability?: "relaxed";
  hold: string;
  state: "cancelled" | "expired" | "held" | "refunded" | "sold";
  order?: string;
  rank?: number;
  late?: boolean;
}

/** His place among those who wait, from 1; 0: a unit is offered to him already. */
export interface InLineOk {
  t: "ok";
  cid?: number;
  durability?: "relaxed";
  place: number;
}

interface Refused<C extends Code, P> {
  t: "error";
  cid?: number;
  code: C;
  retryable: boolean;
  retry_after_ms?: number;
  params: P;
  message: string; // for logs
}

export type Command =
  | TimePingCommand
  | HistoryGetCommand
  | AuthRefreshCommand
  | ProfileSetCommand
  | RoomNoticeCommand
  | InboxAckCommand
  | PresenceSetCommand
  | ShareAddCommand
  | StreamStartCommand
  | StreamStopCommand
  | RetentionWatchCommand
  | PlayAnnounceCommand
  | ChatSayCommand
  | ChatReplyCommand
  | ChatDeleteCommand
  | ChatPinCommand
  | ChatUnpinCommand
  | ChatMuteCommand
  | ChatUnmuteCommand
  | ChatBanCommand
  | ChatUnbanCommand
  | ChatSettingsCommand
  | ChatReportCommand
  | ChatDismissCommand
  | LikeAddCommand
  | LotteryOpenCommand
  | LotteryEnterCommand
  | LotteryClaimCommand
  | LotteryCloseCommand
  | LotteryCancelCommand
  | LotteryVoidCommand
  | QuizOpenCommand
  | QuizAnswerCommand
  | QuizCloseCommand
  | QuizVoidCommand
  | SprintOpenCommand
  | SprintCloseCommand
  | SprintCancelCommand
  | CountOpenCommand
  | CountCloseCommand
  | CountCancelCommand
  | SaleOpenCommand
  | SaleClaimCommand
  | SaleCancelCommand
  | SaleWaitCommand
  | SaleExtendCommand
  | SaleRestockCommand
  | SalePauseCommand
  | SaleResumeCommand
  | SaleCloseCommand
  | SaleCancelAllCommand;

export type RoomEvent =
  | WelcomeEvent
  | RoomResetEvent
  | BeatEvent
  | ByeEvent
  | ProfileChangedEvent
  | TimePongEvent
  | RoomNoticeEvent
  | RoomClosedEvent
  | RoomStatsEvent
  | RoomJoinedEvent
  | StreamStartedEvent
  | StreamStoppedEvent
  | PlayAnnouncedEvent
  | RetentionLiveEvent
  | RhythmHintEvent
  | ChatMessageEvent
  | ChatMentionedEvent
  | ChatSampledEvent
  | ChatPinnedEvent
  | ChatDeletedEvent
  | ChatUnpinnedEvent
  | ChatMutedEvent
  | ChatSettingsEvent
  | ChatReportsEvent
  | LikeTotalEvent
  | QuestionsLiveEvent
  | LotteryAnnouncedEvent
  | LotteryOpenedEvent
  | LotteryProgressEvent
  | LotteryFrozenEvent
  | LotteryDrawnEvent
  | LotteryReplacedEvent
  | LotterySettledEvent
  | LotteryCancelledEvent
  | LotteryVoidedEvent
  | LotteryWonEvent
  | LotteryResultEvent
  | QuizAnnouncedEvent
  | QuizOpenedEvent
  | QuizProgressEvent
  | QuizRevealedEvent
  | QuizLeaderboardEvent
  | QuizVoidedEvent
  | QuizResultEvent
  | SprintAnnouncedEvent
  | SprintOpenedEvent
  | SprintProgressEvent
  | SprintReachedEvent
  | SprintClosedEvent
  | SprintCancelledEvent
  | CountAnnouncedEvent
  | CountOpenedEvent
  | CountProgressEvent
  | CountClosedEvent
  | CountCancelledEvent
  | SaleAnnouncedEvent
  | SaleOpenedEvent
  | SaleSoldOutEvent
  | SaleReopenedEvent
  | SalePausedEvent
  | SaleResumedEvent
  | SaleExtendedEvent
  | SaleRestockedEvent
  | SaleClosedEvent
  | SaleCancelledEvent
  | SaleStockEvent
  | SaleHeldEvent
  | SaleReleasedEvent
  | SaleOfferedEvent
  | SaleConfirmedEvent;

export type OkReply =
  | CommentsOk
  | Ok
  | NumberedOk
  | MadeOk
  | WatchingOk
  | ToldOk
  | ChangedOk
  | ImposedOk
  | CountedOk
  | EnteredOk
  | ClaimedOk
  | StandsOk
  | SaleMadeOk
  | HoldingOk
  | HoldStandsOk
  | InLineOk;

export type ErrorReply =
  | Refused<"BAD_MESSAGE", { field?: string; why: string; max?: number }>
  | Refused<"UNKNOWN_COMMAND", Record<string, never>>
  | Refused<"BAD_TOKEN", Record<string, never>>
  | Refused<"NOT_ALLOWED", { needs?: Role; max?: number }>
  | Refused<"NO_SUCH_ROOM", Record<string, never>>
  | Refused<"NO_SUCH_ROUND", Record<string, never>>
  | Refused<"NO_SUCH_COMMENT", Record<string, never>>
  | Refused<"NO_SUCH_VIEWER", Record<string, never>>
  | Refused<"NO_SUCH_HOLD", Record<string, never>>
  | Refused<"NO_STREAM", Record<string, never>>
  | Refused<"ROOM_EXISTS", Record<string, never>>
  | Refused<"ROOM_CLOSED", Record<string, never>>
  | Refused<"ROUND_STATE", { state?: string; ver?: number }>
  | Refused<"STREAM_RUNNING", { id: string; since: number }>
  | Refused<"KEYWORD_TAKEN", Record<string, never>>
  | Refused<"IDEMPOTENCY_MISMATCH", { refund_required?: boolean }>
  | Refused<"TEXT_EMPTY", Record<string, never>>
  | Refused<"TEXT_TOO_LONG", { max?: number }>
  | Refused<"DUPLICATE", Record<string, never>>
  | Refused<"WORD_BLOCKED", { why?: string }>
  | Refused<"MUTED", { until?: number }>
  | Refused<"ROOM_MUTED", Record<string, never>>
  | Refused<"MEMBERS_ONLY", { level?: number }>
  | Refused<"NOT_ELIGIBLE", { missing: (Record<string, unknown>)[] }>
  | Refused<"SLOW_MODE", Record<string, never>>
  | Refused<"RATE_LIMITED", Record<string, never>>
  | Refused<"ROUND_CLOSED", { closed_at?: number }>
  | Refused<"ALREADY_ANSWERED", Record<string, never>>
  | Refused<"NO_SUCH_CHOICE", Record<string, never>>
  | Refused<"SALE_NOT_OPEN", { opens_at?: number }>
  | Refused<"SALE_PAUSED", Record<string, never>>
  | Refused<"SALE_SOLD_OUT", { held: number }>
  | Refused<"SALE_LIMIT", { per_viewer: number; mine: Record<string, unknown> | null }>
  | Refused<"HOLD_EXPIRED", { hold: string; state: string; late_payment: boolean; refund_required: boolean }>
  | Refused<"WEAK_DURABILITY", Record<string, never>>
  | Refused<"TRY_LATER", { unknown?: boolean }>
  | Refused<"INTERNAL", Record<string, never>>;

export type ClientMessage =
  | Hello
  | Command;

export type ServerMessage =
  | RoomEvent
  | OkReply
  | ErrorReply;

/** What each command is answered, where it is not an error. */
export interface Answers {
  "time.ping": TimePongEvent;
  "history.get": CommentsOk;
  "auth.refresh": Ok;
  "profile.set": Ok;
  "room.notice": NumberedOk;
  "inbox.ack": Ok;
  "presence.set": Ok;
  "share.add": Ok;
  "stream.start": MadeOk;
  "stream.stop": MadeOk;
  "retention.watch": WatchingOk;
  "play.announce": Ok;
  "chat.say": ToldOk;
  "chat.reply": ToldOk;
  "chat.delete": NumberedOk;
  "chat.pin": NumberedOk;
  "chat.unpin": ChangedOk;
  "chat.mute": ImposedOk;
  "chat.unmute": Ok;
  "chat.ban": ImposedOk;
  "chat.unban": Ok;
  "chat.settings": NumberedOk;
  "chat.report": Ok;
  "chat.dismiss": Ok;
  "like.add": CountedOk;
  "lottery.open": MadeOk;
  "lottery.enter": EnteredOk;
  "lottery.claim": ClaimedOk;
  "lottery.close": StandsOk;
  "lottery.cancel": StandsOk;
  "lottery.void": StandsOk;
  "quiz.open": MadeOk;
  "quiz.answer": Ok;
  "quiz.close": StandsOk;
  "quiz.void": StandsOk;
  "sprint.open": MadeOk;
  "sprint.close": StandsOk;
  "sprint.cancel": StandsOk;
  "count.open": MadeOk;
  "count.close": StandsOk;
  "count.cancel": StandsOk;
  "sale.open": SaleMadeOk;
  "sale.claim": HoldingOk;
  "sale.cancel": HoldStandsOk;
  "sale.wait": InLineOk;
  "sale.extend": StandsOk;
  "sale.restock": StandsOk;
  "sale.pause": StandsOk;
  "sale.resume": StandsOk;
  "sale.close": StandsOk;
  "sale.cancel_all": StandsOk;
}

export const SUBPROTOCOLS = ["liveroom.v1.json", "liveroom.v1.msgpack"] as const;
export const MOST_BYTES = 4096; // of a frame that a client sends

/** What each code means over HTTP, and whether to try again. */
export const ERRORS = {
  BAD_MESSAGE: { http: 400, retryable: false },
  UNKNOWN_COMMAND: { http: 400, retryable: false },
  BAD_TOKEN: { http: 401, retryable: false },
  NOT_ALLOWED: { http: 403, retryable: false },
  NO_SUCH_ROOM: { http: 404, retryable: false },
  NO_SUCH_ROUND: { http: 404, retryable: false },
  NO_SUCH_COMMENT: { http: 404, retryable: false },
  NO_SUCH_VIEWER: { http: 404, retryable: false },
  NO_SUCH_HOLD: { http: 404, retryable: false },
  NO_STREAM: { http: 404, retryable: false },
  ROOM_EXISTS: { http: 409, retryable: false },
  ROOM_CLOSED: { http: 409, retryable: false },
  ROUND_STATE: { http: 409, retryable: false },
  STREAM_RUNNING: { http: 409, retryable: false },
  KEYWORD_TAKEN: { http: 409, retryable: false },
  IDEMPOTENCY_MISMATCH: { http: 409, retryable: false },
  TEXT_EMPTY: { http: 422, retryable: false },
  TEXT_TOO_LONG: { http: 422, retryable: false },
  DUPLICATE: { http: 422, retryable: false },
  WORD_BLOCKED: { http: 422, retryable: false },
  MUTED: { http: 403, retryable: false },
  ROOM_MUTED: { http: 403, retryable: false },
  MEMBERS_ONLY: { http: 403, retryable: false },
  NOT_ELIGIBLE: { http: 403, retryable: false },
  SLOW_MODE: { http: 429, retryable: true },
  RATE_LIMITED: { http: 429, retryable: true },
  ROUND_CLOSED: { http: 409, retryable: false },
  ALREADY_ANSWERED: { http: 409, retryable: false },
  NO_SUCH_CHOICE: { http: 409, retryable: false },
  SALE_NOT_OPEN: { http: 409, retryable: true },
  SALE_PAUSED: { http: 409, retryable: true },
  SALE_SOLD_OUT: { http: 409, retryable: false },
  SALE_LIMIT: { http: 409, retryable: false },
  HOLD_EXPIRED: { http: 409, retryable: false },
  WEAK_DURABILITY: { http: 409, retryable: false },
  TRY_LATER: { http: 503, retryable: true },
  INTERNAL: { http: 500, retryable: true },
} as const;

/** What each close code asks of a client. */
export const CLOSES = {
  4000: "reconnect",
  4001: "reconnect",
  4002: "reconnect",
  4003: "reconnect without resume",
  4408: "reconnect",
  4429: "reconnect, but later",
  4500: "fetch a new token and reconnect once",
  4501: "stay away",
  4502: "stay away",
  4503: "stay away",
  4504: "stay away",
  1007: "stay away",
  1009: "stay away",
  1011: "reconnect",
  1013: "reconnect",
} as const;

/** The least role that may give a command. */
export const NEEDS = {
  "time.ping": "viewer",
  "history.get": "viewer",
  "auth.refresh": "viewer",
  "profile.set": "viewer",
  "room.notice": "host",
  "inbox.ack": "viewer",
  "presence.set": "viewer",
  "share.add": "viewer",
  "stream.start": "host",
  "stream.stop": "host",
  "retention.watch": "host",
  "play.announce": "host",
  "chat.say": "viewer",
  "chat.reply": "moderator",
  "chat.delete": "moderator",
  "chat.pin": "moderator",
  "chat.unpin": "moderator",
  "chat.mute": "moderator",
  "chat.unmute": "moderator",
  "chat.ban": "moderator",
  "chat.unban": "moderator",
  "chat.settings": "host",
  "chat.report": "viewer",
  "chat.dismiss": "moderator",
  "like.add": "viewer",
  "lottery.open": "host",
  "lottery.enter": "viewer",
  "lottery.claim": "viewer",
  "lottery.close": "host",
  "lottery.cancel": "host",
  "lottery.void": "host",
  "quiz.open": "host",
  "quiz.answer": "viewer",
  "quiz.close": "host",
  "quiz.void": "host",
  "sprint.open": "host",
  "sprint.close": "host",
  "sprint.cancel": "host",
  "count.open": "host",
  "count.close": "host",
  "count.cancel": "host",
  "sale.open": "host",
  "sale.claim": "viewer",
  "sale.cancel": "viewer",
  "sale.wait": "viewer",
  "sale.extend": "host",
  "sale.restock": "host",
  "sale.pause": "host",
  "sale.resume": "host",
  "sale.close": "host",
  "sale.cancel_all": "host",
} as const;

/** How an event is delivered. */
export const DELIVERY = {
  "welcome": "connection",
  "room.reset": "connection",
  "beat": "connection",
  "bye": "connection",
  "profile.changed": "connection",
  "time.pong": "connection",
  "room.notice": "ledger",
  "room.closed": "ledger",
  "room.stats": "state",
  "room.joined": "crowd",
  "stream.started": "ledger",
  "stream.stopped": "ledger",
  "play.announced": "ledger",
  "retention.live": "private",
  "rhythm.hint": "private",
  "chat.message": "crowd",
  "chat.mentioned": "private",
  "chat.sampled": "crowd",
  "chat.pinned": "ledger",
  "chat.deleted": "ledger",
  "chat.unpinned": "ledger",
  "chat.muted": "private",
  "chat.settings": "ledger",
  "chat.reports": "state",
  "like.total": "state",
  "questions.live": "private",
  "lottery.announced": "ledger",
  "lottery.opened": "ledger",
  "lottery.progress": "state",
  "lottery.frozen": "ledger",
  "lottery.drawn": "ledger",
  "lottery.replaced": "ledger",
  "lottery.settled": "ledger",
  "lottery.cancelled": "ledger",
  "lottery.voided": "ledger",
  "lottery.won": "private",
  "lottery.result": "private",
  "quiz.announced": "ledger",
  "quiz.opened": "ledger",
  "quiz.progress": "state",
  "quiz.revealed": "ledger",
  "quiz.leaderboard": "state",
  "quiz.voided": "ledger",
  "quiz.result": "private",
  "sprint.announced": "ledger",
  "sprint.opened": "ledger",
  "sprint.progress": "state",
  "sprint.reached": "ledger",
  "sprint.closed": "ledger",
  "sprint.cancelled": "ledger",
  "count.announced": "ledger",
  "count.opened": "ledger",
  "count.progress": "state",
  "count.closed": "ledger",
  "count.cancelled": "ledger",
  "sale.announced": "ledger",
  "sale.opened": "ledger",
  "sale.sold_out": "ledger",
  "sale.reopened": "ledger",
  "sale.paused": "ledger",
  "sale.resumed": "ledger",
  "sale.extended": "ledger",
  "sale.restocked": "ledger",
  "sale.closed": "ledger",
  "sale.cancelled": "ledger",
  "sale.stock": "state",
  "sale.held": "private",
  "sale.released": "private",
  "sale.offered": "private",
  "sale.confirmed": "private",
} as const;
