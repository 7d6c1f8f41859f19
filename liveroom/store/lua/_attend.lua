-- Shared: who attends a room, as sessions: the open ones as records, all of them counted in cells.

local SOURCES, COHORT_MS, LAST_CELL = 11, 300000, 11219
-- Cells lie side by side, so many in one field: of each how many it counts, and by how many ms those lie behind its start.
local CHUNK, CELL, CELL_BYTES = 32, ">I4I8", 12
local BLANK = string.rep("\0", CELL_BYTES * CHUNK)
-- Who took part in a minute is known for so long: word of it may be late.
local ACTED_SECONDS = 180
-- Who came back within the grace may be told of so much later.
local LATE_MS = 1000
-- A stream that runs is looked at so often, whatever happens: its room may be closed, or empty for long.
local LOOK_MS = 60000
-- And one that was forgotten is named so often until the room was told of its end.
local UNTOLD_MS = 2000

-- The cell of a stay, as ``cells.py`` has them, and the ms by which it lies behind the cell's start.
local function cell_of(ms)
    if ms < 600000 then
        return math.floor(ms / 1000), ms % 1000
    elseif ms < 3600000 then
        return 600 + math.floor((ms - 600000) / 5000), ms % 5000
    end
    local cell = 1200 + math.floor((ms - 3600000) / 60000)
    return math.min(cell, LAST_CELL), cell > LAST_CELL and 59999 or ms % 60000
end

-- `at`: keys by name; `about`: {room, now, grace, fact, stream}, of which `stream` names one that begins by itself.
local function open_roll(at, about)
    local is = redis.call("HMGET", at.stream, "id", "start", "last", "last_end", "closed")
    return { at = at, about = about, now = about.now, id = is[1] or nil, start = tonumber(is[2] or "0"),
        last = is[3] or nil, last_end = tonumber(is[4] or "0"), closed = is[5] and true, facts = {}, counts = {},
        cells = {} }
end

local function begin_stream(roll, id, start, title, by)
    roll.id, roll.start = id, start
    redis.call("HSET", roll.at.stream, "id", id, "start", start, "title", title, "by", by)
    redis.call("HDEL", roll.at.stream, "empty", "untold")
end

-- No session outlives its stream: those that are open then are finished as who stayed to its end.
local function end_stream(roll, ends)
    if roll.id then
        local about = redis.call("HMGET", roll.at.stream, "title", "by")
        redis.call("HSET", roll.at.stream, "last", roll.id, "last_end", ends, "last_start", roll.start,
            "last_title", about[1], "last_by", about[2])
        redis.call("HSET", roll.at.stream, "ended:" .. roll.id, ends)
        redis.call("HDEL", roll.at.stream, "id", "start", "title", "by")
        roll.last, roll.last_end, roll.id = roll.id, ends, nil
    end
end

local function part_of(whole, name)
    local part = whole[name] or {}
    whole[name] = part
    return part
end

-- Gathered, for many who come at once are counted in the same few cells; `close_roll` writes them.
local function count(roll, stream, field, n)
    local fields = part_of(roll.counts, stream)
    fields[field] = (fields[field] or 0) + n
end

local function count_in(roll, stream, kind, cohort, cell, n, behind)
    local field = kind .. ":" .. cohort .. ":" .. math.floor(cell / CHUNK)
    local place = part_of(part_of(part_of(roll.cells, stream), field), cell % CHUNK)
    place[1], place[2] = (place[1] or 0) + n, (place[2] or 0) + n * behind
end

-- A field with cells changed in some places.
local function changed(blob, places)
    local at, parts = 1, {}
    for place = 0, CHUNK - 1 do
        if places[place] then
            local start = place * CELL_BYTES + 1
            local n, behind = struct.unpack(CELL, blob, start)
            table.insert(parts, string.sub(blob, at, start - 1))
            table.insert(parts, struct.pack(CELL, n + places[place][1], behind + places[place][2]))
            at = start + CELL_BYTES
        end
    end
    return table.concat(parts) .. string.sub(blob, at)
end

local function write_counts(roll)
    for stream, fields in pairs(roll.counts) do
        for field, n in pairs(fields) do
            if n ~= 0 then
                redis.call("HINCRBY", roll.at.cells .. stream, field, n)
            end
        end
    end
    for stream, fields in pairs(roll.cells) do
        for field, places in pairs(fields) do
            local blob = changed(redis.call("HGET", roll.at.cells .. stream, field) or BLANK, places)
            if blob == BLANK then
                redis.call("HDEL", roll.at.cells .. stream, field)
            else
                redis.call("HSET", roll.at.cells .. stream, field, blob)
            end
        end
    end
end

-- The ten seconds of the stream in which something lies.
local function tenth(start, ms)
    return math.max(0, math.floor((ms - start) / 10000))
end

-- The first few sources of viewers have curves of their own: of those that tokens name, and, beside them so that what is
-- made up takes no place of theirs, of those that only pages name.
local function cohort_of(roll, source, vouched)
    local named, cells = source == "" and "direct" or source, roll.at.cells .. roll.id
    local many = (vouched or source == "") and "sources" or "unvouched"
    if redis.call("HEXISTS", cells, "S:" .. named) == 1 then
        return named
    elseif redis.call("HINCRBY", cells, many, 1) <= SOURCES then
        redis.call("HSET", cells, "S:" .. named, 1)
        return named
    end
    redis.call("HINCRBY", cells, many, -1)
    return "other"
end

local function session_of(roll, viewer)
    local kept = redis.call("HGET", roll.at.sessions, viewer)
    return kept and cjson.decode(kept)
end

local function keep(roll, viewer, session)
    redis.call("HSET", roll.at.sessions, viewer, cjson.encode(session))
end

-- Who is here, by when he came.
local function count_here(roll, session, n, kind)
    local behind = session.start - session.origin - session.bucket * 10000
    count_in(roll, session.stream, kind, session.source, session.bucket, n, behind)
end

-- Away, perhaps for good: counted beside the others, and taken back when that is known.
local function count_away(roll, session, n)
    local cell, behind = cell_of(session.ends - session.start)
    count_in(roll, session.stream, "P", session.source, cell, n, behind)
    count_here(roll, session, n, "B")
end

-- A session is over: he left, or the stream did (`event` 0), and nobody knows how long he would have stayed.
local function finish(roll, viewer, session, event, ends)
    local stream, cohort, span = session.stream, session.source, math.max(0, ends - session.start)
    local cell, behind = cell_of(span)
    if #session.nodes == 0 then
        count_away(roll, session, -1)
    else
        session.watch = session.watch + math.max(0, ends - session.since)
        count_in(roll, stream, "L", "", tenth(session.origin, ends), 1, 0)
    end
    count_here(roll, session, -1, "O")
    if event == 1 then
        count_in(roll, stream, "D", cohort, cell, 1, behind)
        count(roll, stream, "R:" .. (session.why == "" and "close" or session.why), 1)
        count(roll, stream, "C:" .. math.floor((session.start - session.origin) / COHORT_MS) .. ":"
            .. math.floor(span / COHORT_MS), 1)
    else
        count_in(roll, stream, "X", cohort, cell, 1, behind)
    end
    count(roll, stream, "watch", math.floor(session.watch))
    redis.call("HDEL", roll.at.sessions, viewer)
    redis.call("ZREM", roll.at.pending, viewer)
    table.insert(roll.facts, cjson.encode({ stream = stream, viewer = viewer, start = session.start, ends = ends,
        watch = session.watch, event = event, why = event == 1 and session.why or "stream_end", source = cohort,
        rtt = session.rtt }))
end

local function end_of(roll, stream)
    return tonumber(redis.call("HGET", roll.at.stream, "ended:" .. stream) or "nil")
end

-- One that an earlier stream left behind: he was here when it ended, or had gone shortly before.
local function finish_old(roll, viewer, session)
    local known = end_of(roll, session.stream)
    local ends = known or session.ends
    if #session.nodes > 0 then
        return finish(roll, viewer, session, 0, ends)
    end
    local left = known and session.ends + roll.about.grace <= ends
    finish(roll, viewer, session, left and 1 or 0, math.min(ends, session.ends))
end

local function set_out(roll, viewer, source, vouched, came)
    if not roll.id then
        begin_stream(roll, roll.about.stream, came, "", "")
    end
    redis.call("HDEL", roll.at.stream, "empty")
    local cohort, start = cohort_of(roll, source, vouched), math.max(came, roll.start)
    local session = { stream = roll.id, origin = roll.start, start = start, source = cohort, since = start, watch = 0,
        bucket = tenth(roll.start, start), ends = start, why = "", nodes = {}, rtt = 0 }
    count_here(roll, session, 1, "O")
    count(roll, roll.id, "M:" .. math.floor((start - roll.start) / COHORT_MS), 1)
    count(roll, roll.id, "sessions", 1)
    redis.call("PFADD", roll.at.viewers .. roll.id, viewer)
    return session
end

-- He sits down on a node; within the grace it is the session that he left.
local function join(roll, viewer, node, source, vouched, came)
    local session, fresh = session_of(roll, viewer), false
    if session and session.stream ~= roll.id then
        finish_old(roll, viewer, session)
        session = nil
    elseif session and #session.nodes == 0 and came - session.ends > roll.about.grace then
        finish(roll, viewer, session, 1, session.ends)
        session = nil
    end
    if not session and not roll.id and (came < roll.last_end or roll.closed) then
        return -- word of it comes behind the end of the stream, or the room is closed: that begins no other
    end
    if not session then
        session, fresh = set_out(roll, viewer, source, vouched, came), true
    end
    for _, one in ipairs(session.nodes) do
        if one == node then
            return
        end
    end
    if #session.nodes == 0 then
        if not fresh then
            count_away(roll, session, -1)
        end
        session.since = math.max(came, session.ends)
        count_in(roll, session.stream, "J", "", tenth(session.origin, session.since), 1, 0)
        redis.call("ZREM", roll.at.pending, viewer)
    end
    table.insert(session.nodes, node)
    keep(roll, viewer, session)
end

-- He was last heard of on a node. Where that was the last of them he may come back within the grace.
local function leave(roll, viewer, node, heard, why, rtt)
    local session = session_of(roll, viewer)
    local left, here = {}, false
    for _, one in ipairs(session and session.nodes or {}) do
        if one == node then
            here = true
        else
            table.insert(left, one)
        end
    end
    if not here then
        return
    end
    local over = session.stream ~= roll.id
    -- What ended last says when and why; and nobody left before he came, nor behind the end of the stream.
    heard = math.max(session.since, over and math.min(heard, end_of(roll, session.stream) or heard) or heard)
    if heard >= session.ends then
        session.ends, session.why, session.rtt = heard, why, rtt
    end
    if #left == 0 and (session.why == "stream_end" or session.why == "stream_down") then
        return finish(roll, viewer, session, 0, session.ends)
    end
    session.nodes = left
    if #left == 0 then
        session.watch = session.watch + math.max(0, session.ends - session.since)
        count_in(roll, session.stream, "L", "", tenth(session.origin, session.ends), 1, 0)
        count_away(roll, session, 1)
        if over then
            return finish_old(roll, viewer, session)
        end
        redis.call("ZADD", roll.at.pending, session.ends + roll.about.grace + LATE_MS, viewer)
    end
    keep(roll, viewer, session)
end

-- He took part; within a minute of the stream he counts once, on whichever nodes he did.
local function act(roll, viewer, deed, when)
    if not roll.id then
        return
    end
    local minute = math.max(0, math.floor((when - roll.start) / 60000))
    local found = roll.at.viewers .. roll.id .. ":" .. deed .. ":" .. minute
    if redis.call("SADD", found, viewer) == 1 then
        redis.call("EXPIRE", found, ACTED_SECONDS)
        redis.call("PFADD", roll.at.viewers .. roll.id .. ":" .. deed, viewer)
        count(roll, roll.id, "I:" .. deed .. ":" .. minute, 1)
    end
end

-- Those who did not come back within the grace have left.
local function sweep(roll, most)
    for _, viewer in ipairs(redis.call("ZRANGEBYSCORE", roll.at.pending, "-inf", roll.now, "LIMIT", 0, most)) do
        local session = session_of(roll, viewer)
        if not session then
            redis.call("ZREM", roll.at.pending, viewer)
        elseif session.stream == roll.id then
            finish(roll, viewer, session, 1, session.ends)
        else
            finish_old(roll, viewer, session)
        end
    end
end

-- Hand what is over to the ledger, and say when to look again: when somebody's grace is over, or at once while there
-- are sessions of a stream that ended; and not later than at `look` while a stream runs.
local function close_roll(roll, again, look)
    write_counts(roll)
    if #roll.facts > 0 then
        redis.call("XADD", roll.at.outbox, "*", "id", roll.about.fact, "room", roll.about.room, "what", "sessions",
            "sessions", "[" .. table.concat(roll.facts, ",") .. "]")
    end
    local is = redis.call("HMGET", roll.at.stream, "ending", "untold")
    local due = tonumber(redis.call("ZRANGE", roll.at.pending, 0, 0, "WITHSCORES")[2] or "inf")
    if again or is[1] then
        due = roll.now
    elseif roll.id or is[2] then
        due = math.min(due, roll.now + (is[2] and UNTOLD_MS or LOOK_MS), look or math.huge)
    end
    if due < math.huge then
        redis.call("ZADD", roll.at.bells, due, roll.about.room)
    else
        redis.call("ZREM", roll.at.bells, roll.about.room)
    end
end
