-- count: Count the keys that begin with a prefix.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   start: "[" and the prefix
-- ARGV[2]   end: "(" and the first text after all keys with the prefix, or "+"
-- ARGV[3]   the most expired values to remove
-- Reply     {"OK", number of keys} | {"AGAIN"}: there may be more expired values to remove
--@include store/values

if sweep_expired(tonumber(ARGV[3])) then
  return { "AGAIN" }
end
return { "OK", redis.call("ZLEXCOUNT", index, ARGV[1], ARGV[2]) }
