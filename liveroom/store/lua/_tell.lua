-- Shared: number an event, remember it, hand it to the ledger and tell every node, in one step.

-- `event` is a JSON object without seq and ts; they are put in front. Returns {seq, ts}.
local function tell(meta, log, outbox, channel, event, fact_id, room, actor, log_length)
    local now = room_ms(meta)
    local seq = redis.call("HINCRBY", meta, "seq", 1)
    redis.call("HSET", meta, "ms", now)
    local told = '{"seq":' .. seq .. ',"ts":' .. now .. "," .. string.sub(event, 2)
    redis.call("XADD", log, "MAXLEN", "~", log_length, seq .. "-0", "e", told)
    local epoch = redis.call("HGET", meta, "epoch")
    redis.call("XADD", outbox, "*", "id", fact_id, "room", room, "what", "event", "epoch", epoch, "actor", actor, "event", told)
    redis.call("PUBLISH", channel, '{"epoch":"' .. epoch .. '","seq":' .. seq .. ',"ts":' .. now .. ',"e":' .. told .. "}")
    return { seq, now }
end
