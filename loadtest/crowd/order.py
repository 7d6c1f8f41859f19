"""Whether the unruly were held in check, and the others noticed nothing of it: pure functions, as in `verdict.py`."""

from collections.abc import Iterator, Mapping, Sequence

from loadtest.crowd.conduct import BANNED, CHAT_BURST, CHAT_RATE, Conduct, Deletion, Pace, Reading, unruly
from loadtest.crowd.notes import Notes, Probe
from loadtest.crowd.verdict import Check

SOON_MS = 2500  # what is promised in two seconds, and half a second for the way to a busy client
ROUNDING = 0.1  # of a comment: the server's limit counts in parts of a millisecond
LATE_MS = 2000  # nineteen of twenty comments are answered sooner, also on a machine that is busy with other things


def order(notes: Notes) -> Iterator[Check]:
    conduct = notes.conduct
    yield Check("no listed word is shown", conduct.evasions.total(), evasions(conduct), conduct.let_through)
    held_back = sum(n for what, n in conduct.held_back.items() if what.split()[1] in ("RATE_LIMITED", "DUPLICATE"))
    said = sum(map(len, conduct.spoken.values()))
    yield Check("floods are held back", said and held_back, f"refused, {said} let through", too_many(conduct))
    silenced = len(conduct.mutes) + len(conduct.bans)
    yield Check("the muted and banned are silent", silenced, f"mutes and bans, {len(conduct.bans)} bans", loud(conduct))
    yield Check("who is banned stays out", len(late_knocks(conduct)), "times come back", let_in(conduct))
    yield Check("wrong frames are named", conduct.frames.total(), frames(conduct), conduct.misjudged)
    yield Check("what is deleted stays gone", len(conduct.deletions), read(conduct), [*undeleted(conduct)])
    yield well_behaved(notes)


def evasions(conduct: Conduct) -> str:
    return f"evasions refused, in {len(conduct.evasions)} disguises"


def frames(conduct: Conduct) -> str:
    return f"frames, of {len(conduct.frames)} kinds"


def read(conduct: Conduct) -> str:
    return f"deletions, {len(conduct.readings)} snapshots and histories read"


# --- floods ----------------------------------------------------------------------------------------


def too_many(conduct: Conduct) -> list[str]:
    """More was accepted of somebody than the limit lets through, in all or at any time."""
    wrong = []
    for viewer, times in conduct.spoken.items():
        most = CHAT_BURST + CHAT_RATE * (times[-1] - times[0] + SOON_MS) / 1000
        if len(times) > most:
            wrong.append(f"{viewer}: {len(times)} in {(times[-1] - times[0]) / 1000:.0f} s")
    shown: dict[str, list[int]] = {}
    for one in conduct.shown.values():
        shown.setdefault(one.viewer, []).append(one.ts)
    return wrong + [f"{who}: {most:.0f} at once" for who, ts in shown.items() if (most := at_once(ts)) > CHAT_BURST]


def at_once(times: Sequence[int]) -> float:
    """The highest level of a bucket into which all these comments went."""
    pace = Pace()
    return max(pace.said(ms) for ms in sorted(times)) - ROUNDING


# --- mutes and bans --------------------------------------------------------------------------------


def loud(conduct: Conduct) -> list[str]:
    """Comments of somebody that were shown while he was to be silent."""
    return [
        f"{one.viewer} {(one.at - silence.since) / 1000:.1f} s later"
        for silence in (*conduct.mutes, *conduct.bans.values())
        for one in conduct.shown.values()
        if one.viewer == silence.viewer and one.at > silence.since + SOON_MS
        if not silence.until or one.ts < silence.until
    ]


def late_knocks(conduct: Conduct) -> list[tuple[str, int, int]]:
    """Viewer, node and close code of those who came back when their ban was to hold everywhere."""
    bans = conduct.bans
    return [
        (one.viewer, one.node, one.code)
        for one in conduct.knocks
        if one.viewer in bans and one.at > bans[one.viewer].since + SOON_MS
    ]


def let_in(conduct: Conduct) -> list[str]:
    wrong = [
        f"{viewer} came back to node {node}: {f'closed with {code}' if code else 'welcomed'}"
        for viewer, node, code in late_knocks(conduct)
        if code != BANNED
    ]
    for viewer, ban in conduct.bans.items():
        closed = conduct.shown_out.get(viewer)
        if closed is None or closed > ban.since + SOON_MS:
            wrong.append(f"{viewer} was {'not shown out' if closed is None else 'shown out too late'}")
    wrong += [f"{viewer} was shown out without a ban" for viewer in conduct.shown_out.keys() - conduct.bans.keys()]
    return wrong + conduct.unlisted


# --- deleted comments ------------------------------------------------------------------------------


def undeleted(conduct: Conduct) -> Iterator[str]:
    """What a reading holds although the reader, or the snapshot, was past its deletion."""
    yield from (f"{one} was shown when it was deleted" for one in conduct.undead)
    for reading in conduct.readings:
        past = [one for one in conduct.deletions.values() if one.seq <= reading.seq]
        yield from (f"{comment} in the {reading.where}" for comment in kept(reading, past))


def kept(reading: Reading, past: Sequence[Deletion]) -> list[str]:
    return [comment for comment, shown in reading.comments.items() if any(one.hides(comment, shown) for one in past)]


# --- the others ------------------------------------------------------------------------------------


def well_behaved(notes: Notes) -> Check:
    """Their comments are shown or counted, refused only when they were too fast themselves, and answered in time."""
    said = {author: ids for author, ids in notes.said.items() if not unruly(author)}
    wrong = [f"{count} × {what}" for what, count in sorted(notes.conduct.wronged.items())]
    wrong += [f"{probe.viewer} missed {lost}" for probe in notes.probes if (lost := missed(notes, said, probe)) > 0]
    waits = sorted(notes.conduct.waits)
    slow = waits[len(waits) * 95 // 100] if waits else 0
    if slow > LATE_MS:
        wrong.append(f"one of twenty waited {slow} ms or longer")
    return Check("the well-behaved notice nothing", len(waits), f"of their comments, 95 % within {slow} ms", wrong)


def missed(notes: Notes, said: Mapping[str, Sequence[str]], probe: Probe) -> int:
    """Of the comments of the well-behaved: not shown to a probe who heard it all, and not counted either."""
    whole = any(seat.viewer == probe.viewer and seat.from_begin and seat.to_end for seat in notes.seats)
    unseen = {comment for ids in said.values() for comment in ids} - set(probe.seen)
    return len(unseen) - probe.sampled if whole else 0
