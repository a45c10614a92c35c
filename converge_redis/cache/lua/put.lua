-- put: Store an entry, new or in place of an existing value.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   value
-- ARGV[3]   milliseconds for which it is fresh
-- ARGV[4]   milliseconds for which it is stored
-- ARGV[5…]  tags
-- Reply     {"STORED"}
--@include cache/entries

local key, data, fresh_ms, ttl_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
sweep_expired(SWEPT_PER_WRITE)
store_entry(key, data, fresh_ms, ttl_ms, 0, tonumber(redis.call("GET", revision) or 0), ARGV, 5)
notify_session_watchers(values .. key)
return { "STORED" }
