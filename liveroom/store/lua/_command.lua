-- Shared: a command of the staff is done in an open room, in time, and once per idempotency key; and it is recorded.

local CLOSED = -4

-- Nil where it may be done now; else what the script answers: why not, or {1, what it was answered before}, which is
-- empty where the key was used for another command. Of one that is under way, the key holds the hash and no answer.
local function answered(meta, info, once, hash, not_after)
    local bar = barred(meta)
    if bar ~= 0 then
        return { bar }
    end
    local before = hash ~= "" and redis.call("GET", once)
    if before then
        local kept, answer = string.match(before, "^(%S+) (.*)$")
        if kept ~= hash then
            return { 1, "" }
        elseif answer ~= "" then
            return { 1, answer }
        end
    end
    if redis.call("HGET", info, "state") ~= "open" then
        return { CLOSED }
    end
    if server_ms() > tonumber(not_after) then
        return { LATE }
    end
end

-- Record it, remember what it is answered for so many seconds, and answer that.
local function done(meta, outbox, once, hash, seconds, fact, room, actor, role, command, answer)
    redis.call("XADD", outbox, "*", "id", fact .. "c", "room", room, "what", "command", "round", "", "actor", actor,
        "role", role, "at", room_ms(meta), "before", 0, "after", 0, "body", command)
    if hash ~= "" then
        redis.call("SET", once, hash .. " " .. answer, "EX", seconds)
    end
    return { 0, answer }
end
