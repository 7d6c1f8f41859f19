-- Shared: the server's clock, and the fence that keeps a node from writing to a server it does not know yet.

local FENCED, GONE, LATE = -1, -2, -3

local function server_ms()
    local time = redis.call("TIME")
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function run_id()
    return string.match(redis.call("INFO", "server"), "run_id:(%x+)")
end

-- Room time: the server's clock, which never goes back in a room.
local function room_ms(meta)
    return math.max(server_ms(), tonumber(redis.call("HGET", meta, "ms") or "0"))
end

-- 0, or why nothing may be written: GONE (there is no such room) or FENCED (recover the room first).
local function barred(meta)
    local run = redis.call("HGET", meta, "run")
    if not run then
        return GONE
    end
    return run == run_id() and 0 or FENCED
end
