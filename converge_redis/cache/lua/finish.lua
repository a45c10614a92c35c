-- finish: stores what the holder of a lock has computed, unless it is out of date; tells who waits.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token
-- ARGV[3]   value
-- ARGV[4]   milliseconds for which it is fresh
-- ARGV[5]   milliseconds for which it is kept
-- ARGV[6…]  tags
-- Reply     {"STORED"} | {"REFUSED"}: the lock was lost, the value written, or a tag deleted meanwhile
--@include cache/entries

local key, token, data, fresh, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
sweep_expired(SWEPT_PER_WRITE)
local lock = load_lock(key)
local reply = "REFUSED"
if lock and lock.token == token then
  local there = version_of(key)
  if (there == "0" or there == lock.version) and not tag_dropped_since(ARGV, 6, lock.revision) then
    store_entry(key, data, fresh, life, now - lock.since, lock.revision, ARGV, 6)
    reply = "STORED"
  end
  redis.call("DEL", locks .. key)
end
notify_session_watchers(values .. key)
return { reply }
