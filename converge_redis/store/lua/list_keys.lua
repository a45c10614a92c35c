-- list_keys: List a page of the keys that begin with a prefix, in the order of their bytes.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   start: "[" and the prefix, or "(" and the last key of the previous page
-- ARGV[2]   end: "(" and the first text after all keys with the prefix, or "+"
-- ARGV[3]   the most keys to list, and the most expired values to remove
-- Reply     {"OK", key, …} | {"AGAIN"}: there may be more expired values to remove
--@include store/values

if sweep_expired(tonumber(ARGV[3])) then
  return { "AGAIN" }
end
local reply = redis.call("ZRANGEBYLEX", index, ARGV[1], ARGV[2], "LIMIT", 0, ARGV[3])
table.insert(reply, 1, "OK")
return reply
