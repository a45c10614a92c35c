-- renew: goes on holding the lock of a key.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token
-- ARGV[3]   milliseconds for which the lock lasts
-- ARGV[4…]  tags
-- Reply     {"HELD"} | {"LOST"}
--@include cache/entries

local lock = load_lock(ARGV[1])
if not lock or lock.token ~= ARGV[2] then
  return { "LOST" }
end
redis.call("PEXPIRE", locks .. ARGV[1], ARGV[3])
keep_tags(ARGV, 4, tonumber(ARGV[3]))
return { "HELD" }
