"""The Redis or Valkey server itself: how it is reached, and whether it is good enough."""

from __future__ import annotations

from msgspec import Struct
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

LEAST = {"redis": (7, 0), "valkey": (7, 2)}


class WeakServer(Exception):
    """One line for the operator: what the server lacks and what to do."""


class Report(Struct, frozen=True):
    """What a server says of itself."""

    kind: str  # redis or valkey
    version: str
    run: str
    primary: bool
    replicas: int
    promoted: bool  # was a replica before: it may lack what the one before it had acknowledged
    appendonly: str  # "" where CONFIG is forbidden
    appendfsync: str
    eviction: str

    @property
    def new_enough(self) -> bool:
        return tuple(int(part) for part in self.version.split(".")[:2]) >= LEAST[self.kind]

    @property
    def keeps_every_write(self) -> bool:
        """A single server that answers only when a write is on disk: what was acknowledged outlives its death."""
        return (
            self.appendonly == "yes"
            and self.appendfsync == "always"
            and self.primary
            and not (self.replicas or self.promoted)
        )

    @property
    def remarks(self) -> list[tuple[bool, str]]:
        """Lines for the operator, each with whether all is well."""
        return [
            (self.new_enough, f"{self.kind} {self.version}" + ("" if self.new_enough else old(self.kind))),
            (self.keeps_every_write, f"persistence: {self.persistence}"),
            (
                self.eviction in ("noeviction", ""),
                f"eviction: {self.eviction or 'unknown (CONFIG is forbidden)'}"
                + ("" if self.eviction in ("noeviction", "") else "; set maxmemory-policy noeviction"),
            ),
        ]

    @property
    def persistence(self) -> str:
        if not self.appendfsync:
            return "unknown (CONFIG is forbidden)"
        if self.keeps_every_write:
            return "appendonly yes, appendfsync always: an acknowledged write is on disk"
        if self.appendonly == "yes" and self.appendfsync == "always":
            return "appendfsync always, with replicas: a failover may lose the last writes"
        return (
            f"appendonly {self.appendonly}, appendfsync {self.appendfsync}: the last writes may be lost;"
            " set appendonly yes and appendfsync always"
        )


def old(kind: str) -> str:
    return f" is too old: use {kind} {'.'.join(map(str, LEAST[kind]))} or newer"


def client(url: str, seconds: float, connections: int = 8) -> Redis:
    """A client that waits so long and no longer, and never sends anything twice by itself."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=seconds,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
    return Redis.from_pool(pool)


async def examine(redis: Redis) -> Report:
    """Ask a server what it is. Raises redis-py's errors where it does not answer."""
    info = await redis.info()
    kind = "valkey" if "valkey_version" in info else "redis"
    config: dict[str, str] = {}
    try:
        for name in ("appendonly", "appendfsync", "maxmemory-policy"):
            config |= {as_text(key): as_text(value) for key, value in (await redis.config_get(name)).items()}
    except ResponseError:
        config = {}  # a hosted server may forbid CONFIG
    return Report(
        kind=kind,
        version=str(info[f"{kind}_version"]),
        run=str(info["run_id"]),
        primary=info.get("role") == "master",
        replicas=int(info.get("connected_slaves", 0)),
        promoted=int(info.get("second_repl_offset", -1)) != -1,
        appendonly=config.get("appendonly", ""),
        appendfsync=config.get("appendfsync", ""),
        eviction=config.get("maxmemory-policy", ""),
    )


def as_text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


async def inspect(url: str, seconds: float = 2) -> Report:
    """Connect, ask and disconnect. Raises WeakServer with one line where that fails."""
    try:
        redis = client(url, seconds)
    except ValueError as error:
        raise WeakServer(f"{place(url)!r} is no Redis URL ({error}); use redis://HOST:PORT or unix://PATH") from None
    try:
        report = await examine(redis)
    except (RedisError, OSError) as error:
        raise WeakServer(f"no answer from Redis at {place(url)}: {error}; start it, or mend --redis") from None
    except ValueError as error:
        raise WeakServer(f"{place(url)!r} is no Redis URL ({error}); use redis://HOST:PORT or unix://PATH") from None
    finally:
        await redis.aclose()
    if not report.new_enough:
        raise WeakServer(f"{report.kind} {report.version}{old(report.kind)}")
    if not report.primary:
        raise WeakServer(f"the server at {place(url)} is a replica; name the primary with --redis")
    return report


def place(url: str) -> str:
    """The URL without what is secret in it."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else url
