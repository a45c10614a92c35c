-- audit: reads a page of one of the shard's sorted sets.
-- KEYS[1]   the sorted set
-- ARGV[1]   rank of the first member, ARGV[2] rank of the last
-- Reply     {"OK", member, member, …}

local set = KEYS[1]

local reply = redis.call("ZRANGE", set, ARGV[1], ARGV[2])
table.insert(reply, 1, "OK")
return reply
