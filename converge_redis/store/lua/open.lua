-- open: Create or read the layout of the namespace: the first call of every store.
-- KEYS[1]   the namespace's layout
-- ARGV[1]   version of the layout, for a new namespace
-- ARGV[2]   number of shards, for a new namespace
-- Reply     {"OPEN", version, number of shards, maxmemory-policy or ""}, as they are on the server

local layout = KEYS[1]

if redis.call("EXISTS", layout) == 0 then -- write only if needed: a full server refuses writes
  redis.call("HSET", layout, "version", ARGV[1], "shards", ARGV[2])
end
local info = redis.pcall("INFO", "memory") -- some ACLs deny it, and some servers lack it
local policy = type(info) == "string" and string.match(info, "maxmemory_policy:([%w-]+)") or ""
return { "OPEN", redis.call("HGET", layout, "version"), redis.call("HGET", layout, "shards"), policy }
