"""The account of a replay in words: a table, and whether it adds up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from liveroom.replay.account import Account

LATE_SECONDS = 1  # less is not worth a line


def report(account: Account, console: Console) -> None:
    table = Table(title="replay", show_header=False)
    for name, value in rows(account):
        table.add_row(name, value)
    console.print(table)
    for line in verdict(account):
        console.print(line, soft_wrap=True)


def rows(account: Account) -> list[tuple[str, str]]:
    latencies = account.latencies_ms()
    return [
        ("sent", str(account.sent)),
        ("accepted", str(len(account.accepted))),
        *([("accepted as entry, not shown", str(account.unshown))] if account.unshown else []),
        ("refused", str(account.refused.total())),
        *((f"  {code}", str(count)) for code, count in account.refused.most_common()),
        ("unanswered", str(account.unanswered)),
        *([("not sent, viewer away", str(account.away))] if account.away else []),
        ("delivered", spread([account.delivered(probe) for probe in account.probes])),
        ("sampled", spread([probe.sampled for probe in account.probes])),
        ("latency p50", percentile(latencies, 0.5)),
        ("latency p99", percentile(latencies, 0.99)),
    ]


def spread(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}, by probe"


def percentile(ordered: Sequence[float], part: float) -> str:
    return f"{ordered[min(len(ordered) - 1, int(len(ordered) * part))]:.1f} ms" if ordered else "none seen"


def verdict(account: Account) -> list[str]:
    """The two equations, and what kept them from holding."""
    answered = "yes" if account.all_answered else f"NO, {account.unanswered} unanswered"
    return [
        f"sent = accepted + refused: {answered}",
        f"accepted = delivered + sampled for each of {len(account.probes)} probes: {balance(account)}",
        *reasons(account),
    ]


def balance(account: Account) -> str:
    """Yes; or which probe is how many off; or that other people's comments blur it."""
    wrong = [(n, account.surplus(probe)) for n, probe in enumerate(account.probes) if not account.agrees(probe)]
    if wrong:
        return f"NO, {', '.join(f'probe {n}: {off(surplus)}' for n, surplus in wrong)}"
    blur = max((account.surplus(probe) for probe in account.probes), default=0)
    return f"cannot be told, up to {blur} too many with others' among them" if blur else "yes"


def off(surplus: int) -> str:
    return f"{-surplus} missing" if surplus < 0 else f"{surplus} too many"


def reasons(account: Account) -> Iterator[str]:
    if foreign := max((probe.foreign for probe in account.probes), default=0):
        yield f"others spoke too ({foreign} comments heard): `sampled` counts theirs with ours, so it may be too high"
    faults = [account.surplus(probe) for probe in account.probes if not account.agrees(probe)]
    if any(surplus < 0 for surplus in faults):
        yield "missing: accepted, but neither delivered nor counted as sampled"
    if any(surplus > 0 for surplus in faults):
        yield "too many: counted as sampled, but never accepted: others' comments, or ours cut off before the reply"
    if cut := [str(n) for n, probe in enumerate(account.probes) if probe.visits != 1]:
        yield f"probes that were cut off or never in, and so missed something: {', '.join(cut)}"
    if account.late_s > LATE_SECONDS:
        yield f"this machine fell behind the recording by up to {account.late_s:.1f} s"
