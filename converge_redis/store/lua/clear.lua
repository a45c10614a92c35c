-- clear: deletes some of the values whose keys begin with a prefix.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   where to begin: "[" and the prefix, or "(" and the last key before
-- ARGV[2]   where to end: "(" and what comes after everything with the prefix, or "+"
-- ARGV[3]   the most values to delete
-- Reply     {"OK", how many there were, the last key or ""}; fewer keys than ARGV[3] are left when it is ""
--@include store/values

local keys = redis.call("ZRANGEBYLEX", index, ARGV[1], ARGV[2], "LIMIT", 0, ARGV[3])
local deleted = 0
for _, key in ipairs(keys) do
  deleted = deleted + delete(key)
end
return { "OK", deleted, #keys == tonumber(ARGV[3]) and keys[#keys] or "" }
