-- Remove facts that the ledger has, if this node still has the shard's lease.
--
-- KEYS[1]  recorder  string: the node that has the lease
-- KEYS[2]  outbox    stream
-- ARGV[1]  node
-- ARGV[2...]  ids in the stream
--
-- returns  how many were removed

if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call("XDEL", KEYS[2], unpack(ARGV, 2))
