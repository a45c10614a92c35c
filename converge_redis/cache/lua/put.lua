-- put: stores an entry, in place of what was there.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   value
-- ARGV[3]   milliseconds for which it is fresh
-- ARGV[4]   milliseconds for which it is kept
-- ARGV[5…]  tags
-- Reply     {"STORED"}
--@include cache/entries

sweep_expired(SWEPT_PER_WRITE)
local revision = tonumber(redis.call("GET", revision) or 0)
store_entry(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), 0, revision, ARGV, 5)
notify_session_watchers(values .. ARGV[1])
return { "STORED" }
