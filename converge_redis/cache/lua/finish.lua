-- finish: Store a computed value unless it is outdated, release its lock, and notify the callers that wait.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token
-- ARGV[3]   value
-- ARGV[4]   milliseconds for which it is fresh
-- ARGV[5]   milliseconds for which it is stored
-- ARGV[6…]  tags
-- Reply     {"STORED"} | {"REFUSED"}: the lock was lost, the value written, or a tag deleted meanwhile
--@include cache/entries

local key, token, data, fresh_ms, ttl_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
sweep_expired(SWEPT_PER_WRITE)
local lock = load_lock(key)
local reply = "REFUSED"
if lock and lock.token == token then
  local version = version_of(key)
  if (version == "0" or version == lock.version) and not tag_dropped_since(ARGV, 6, lock.revision) then
    store_entry(key, data, fresh_ms, ttl_ms, now - lock.since, lock.revision, ARGV, 6)
    reply = "STORED"
  end
  redis.call("DEL", locks .. key)
end
notify_session_watchers(values .. key)
return { reply }
