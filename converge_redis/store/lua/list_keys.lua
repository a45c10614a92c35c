-- list: reads a page of the keys that begin with a prefix, in the order of their bytes.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   where to begin: "[" and the prefix, or "(" and the last key of the page before
-- ARGV[2]   where to end: "(" and what comes after everything with the prefix, or "+"
-- ARGV[3]   the most keys to read
-- Reply     {"OK", key, key, …} | {"AGAIN"}: what has expired is not yet cleared away
--@include store/values

if sweep_expired(tonumber(ARGV[3])) then
  return { "AGAIN" }
end
local reply = redis.call("ZRANGEBYLEX", index, ARGV[1], ARGV[2], "LIMIT", 0, ARGV[3])
table.insert(reply, 1, "OK")
return reply
