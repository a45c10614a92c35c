-- audit_members: List a page of a sorted set.
-- KEYS[1]   the sorted set
-- ARGV[1]   rank of the first member, ARGV[2] rank of the last
-- Reply     {"OK", member, member, …}

local index = KEYS[1]

local reply = redis.call("ZRANGE", index, ARGV[1], ARGV[2])
table.insert(reply, 1, "OK")
return reply
