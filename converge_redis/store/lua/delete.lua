-- delete: Delete values.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[…]   keys
-- Reply     {"DELETED", number of deleted values}
--@include store/values

local deleted = 0
for _, key in ipairs(ARGV) do
  deleted = deleted + delete_value(key)
end
return { "DELETED", deleted }
