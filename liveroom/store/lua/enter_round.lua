-- Let many into a round, in their order: each once, or as often as he likes, while it is open.
--
-- uses  fence
--
-- KEYS[1]  meta     hash: run, epoch, seq, ms, ctl
-- KEYS[2]  round    hash
-- KEYS[3]  who      hash: viewer -> "n word", or how often
-- KEYS[4]  entries  list of JSON arrays
-- KEYS[5]  outbox   stream
-- KEYS[6]  devices  hash: device -> viewer
-- ARGV[1]  room id
-- ARGV[2]  round id
-- ARGV[3]  id of the fact
-- ARGV[4]  the play's kind
-- ARGV[5]  1 if a viewer may enter again and again
-- ARGV[6]  1 if each device may enter once
-- ARGV[7]  ms that an entry may come after the end
-- ARGV[8...]  five for each entry: viewer, JSON array without its last element, what the play keeps with it,
--             room time in ms at which it came in, device
--
-- returns  {ver, state, closes_at, then three for each entry: how it went, its number, what is kept with it}
--          how: 0 entered, 1 entered before, -1 too early, -2 closed, -3 too late to be sure, -4 the device entered
--          {-1} fenced, {-2} no such room, {-8} no such round

local NO_ROUND, EARLY, CLOSED, TOO_LATE, DEVICE = -8, -1, -2, -3, -4
local bar = barred(KEYS[1])
if bar ~= 0 then
    return { bar }
end
local is = redis.call("HMGET", KEYS[2], "kind", "state", "ver", "opens_at", "closes_at")
if is[1] ~= ARGV[4] then
    return { NO_ROUND }
end
local now, state, opens, closes = room_ms(KEYS[1]), is[2], tonumber(is[4]), tonumber(is[5])
local often, by_device, grace = ARGV[5] == "1", ARGV[6] == "1", tonumber(ARGV[7])
local going = state == "open" or (state == "announced" and now >= opens)

local function judge(viewer, at, device)
    if now > at + 2000 then
        return TOO_LATE
    elseif state == "announced" and not going then
        return EARLY
    elseif not going or math.min(at, now) > closes + grace then
        return CLOSED
    elseif by_device and (redis.call("HGET", KEYS[6], device) or viewer) ~= viewer then
        return DEVICE
    end
    return 0
end

local answer, facts = { tonumber(is[3]), state, closes }, {}
for i = 8, #ARGV, 5 do
    local viewer, head, word, at, device = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), ARGV[i + 4]
    local before = not often and redis.call("HGET", KEYS[3], viewer)
    local how, n = 1, 0
    if before then
        local number, kept = string.match(before, "^(%d+) (.*)$")
        n, word = tonumber(number), kept
    else
        how = judge(viewer, at, device)
    end
    if how == 0 then
        local row = head .. string.format("%.0f", math.min(at, now)) .. "]"
        if often then
            n = redis.call("HINCRBY", KEYS[2], "times", 1)
            redis.call("HINCRBY", KEYS[3], viewer, 1)
        else
            n = redis.call("RPUSH", KEYS[4], row)
            redis.call("HSET", KEYS[3], viewer, n .. " " .. word)
        end
        if by_device then
            redis.call("HSET", KEYS[6], device, viewer)
        end
        table.insert(facts, "[" .. n .. "," .. string.sub(row, 2))
    end
    table.insert(answer, how)
    table.insert(answer, n)
    table.insert(answer, word)
end
if #facts > 0 then
    redis.call("XADD", KEYS[5], "*", "id", ARGV[3], "room", ARGV[1], "what", "entries", "round", ARGV[2],
        "kind", ARGV[4], "entries", "[" .. table.concat(facts, ",") .. "]")
end
return answer
