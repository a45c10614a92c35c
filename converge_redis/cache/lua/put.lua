-- put: stores an entry, in place of what was there.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   value
-- ARGV[3]   milliseconds for which it is fresh
-- ARGV[4]   milliseconds for which it is kept
-- ARGV[5…]  tags
-- Reply     {"STORED"}
--@include cache/entries

sweep(SWEPT_PER_WRITE)
local begun = tonumber(redis.call("GET", revision) or 0)
store_entry(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), 0, begun, ARGV, 5)
tell_onlookers(values .. ARGV[1])
return { "STORED" }
