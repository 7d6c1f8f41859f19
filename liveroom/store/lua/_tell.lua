-- Shared: number an event, remember it, hand it to the ledger and tell every node, in one step.

local LOG_LENGTH = 1000

-- `event` is a JSON object without seq and ts; they are put in front. Returns {seq, ts}.
local function tell(meta, log, outbox, channel, event, fact_id)
    local now = room_ms(meta)
    local seq = redis.call("HINCRBY", meta, "seq", 1)
    redis.call("HSET", meta, "ms", now)
    local told = '{"seq":' .. seq .. ',"ts":' .. now .. "," .. string.sub(event, 2)
    redis.call("XADD", log, "MAXLEN", "~", LOG_LENGTH, seq .. "-0", "e", told)
    redis.call("XADD", outbox, "*", "id", fact_id, "channel", channel, "event", told)
    local epoch = redis.call("HGET", meta, "epoch")
    redis.call("PUBLISH", channel, '{"epoch":"' .. epoch .. '","seq":' .. seq .. ',"ts":' .. now .. ',"e":' .. told .. "}")
    return { seq, now }
end
