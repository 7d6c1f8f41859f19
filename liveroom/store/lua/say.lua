-- Publish one tick of a room's comments; one with an idempotency key is said once.
--
-- uses  fence
--
-- KEYS[1...]  once  strings, one for each comment that has an idempotency key: "hash id more"; last commenters, a hash:
--             viewer -> how many comments
-- ARGV[1]  crowd channel
-- ARGV[2]  the blob's head: JSON fields, each with a comma behind it
-- ARGV[3]  clock time of the server in ms after which nothing is done
-- ARGV[4]  seconds to remember an idempotency key
-- ARGV[5...]  six for each comment: JSON, empty if it is not shown, or - if nobody is told that there is one; its place
--             in KEYS or 0; hash; id; who says it; what more its author is answered, as JSON
--
-- returns  {how many were published, then "id more" or "" (the key was used for something else) for each with a key}
--          {-3} too late

if server_ms() > tonumber(ARGV[3]) then
    return { LATE }
end
local shown, answers, counted = {}, { 0 }, 0
for i = 5, #ARGV, 6 do
    local comment, place, hash, id = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
    local fresh = place == 0 or redis.call("SET", KEYS[place], hash .. " " .. id .. " " .. ARGV[i + 5], "NX",
        "EX", ARGV[4])
    if place > 0 then
        local kept_hash, kept = string.match(redis.call("GET", KEYS[place]), "^(%S+) (.*)$")
        table.insert(answers, kept_hash == hash and kept or "")
    end
    if fresh then
        redis.call("HINCRBY", KEYS[#KEYS], ARGV[i + 4], 1)
    end
    if fresh and comment ~= "-" then
        counted = counted + 1
        if comment ~= "" then
            table.insert(shown, comment)
        end
    end
end
answers[1] = counted
local rest = '"total":' .. counted .. ',"comments":[' .. table.concat(shown, ",") .. "]}"
redis.call("PUBLISH", ARGV[1], "{" .. ARGV[2] .. rest)
return answers
