-- delete: removes values, and their keys from the index.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[…]   keys
-- Reply     {"DELETED", how many there were}
--@include store/values

local deleted = 0
for _, key in ipairs(ARGV) do
  deleted = deleted + delete(key)
end
return { "DELETED", deleted }
