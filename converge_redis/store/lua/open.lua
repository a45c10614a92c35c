-- open: a store's first call: agrees with the namespace's other stores on the layout of its keys.
-- KEYS[1]   the namespace's layout
-- ARGV[1]   version of the layout
-- ARGV[2]   number of shards
-- Reply     {"OPEN", version, number of shards, maxmemory-policy or ""}: what holds in the namespace

local layout = KEYS[1]

if redis.call("EXISTS", layout) == 0 then -- else nothing is written: a full server would refuse it
  redis.call("HSET", layout, "version", ARGV[1], "shards", ARGV[2])
end
local info = redis.pcall("INFO", "memory") -- refused to some users, and unknown to some servers
local policy = type(info) == "string" and string.match(info, "maxmemory_policy:([%w-]+)") or ""
return { "OPEN", redis.call("HGET", layout, "version"), redis.call("HGET", layout, "shards"), policy }
