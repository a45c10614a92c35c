-- renew: Renew the lock of a key.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token
-- ARGV[3]   milliseconds for which the lock lasts
-- ARGV[4…]  tags
-- Reply     {"HELD"} | {"LOST"}
--@include cache/entries

local key, token, lock_ms = ARGV[1], ARGV[2], ARGV[3]
local lock = load_lock(key)
if not lock or lock.token ~= token then
  return { "LOST" }
end
redis.call("PEXPIRE", locks .. key, lock_ms)
keep_tags(ARGV, 4, tonumber(lock_ms))
return { "HELD" }
