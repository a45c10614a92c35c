-- clear: Delete a page of the values whose keys begin with a prefix.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   start: "[" and the prefix, or "(" and the last key of the previous page
-- ARGV[2]   end: "(" and the first text after all keys with the prefix, or "+"
-- ARGV[3]   the most values to delete
-- Reply     {"OK", number of deleted values, last key, or "" when fewer than ARGV[3] keys were left}
--@include store/values

local keys = redis.call("ZRANGEBYLEX", index, ARGV[1], ARGV[2], "LIMIT", 0, ARGV[3])
local deleted = 0
for _, key in ipairs(keys) do
  deleted = deleted + delete_value(key)
end
return { "OK", deleted, #keys == tonumber(ARGV[3]) and keys[#keys] or "" }
