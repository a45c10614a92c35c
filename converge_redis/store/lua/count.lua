-- count: counts the keys that begin with a prefix.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   where to begin: "[" and the prefix
-- ARGV[2]   where to end: "(" and what comes after everything with the prefix, or "+"
-- ARGV[3]   the most keys to clear away
-- Reply     {"OK", how many} | {"AGAIN"}: what has expired is not yet cleared away
--@include store/values

if sweep_expired(tonumber(ARGV[3])) then
  return { "AGAIN" }
end
return { "OK", redis.call("ZLEXCOUNT", index, ARGV[1], ARGV[2]) }
