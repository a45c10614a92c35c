-- look: finds an entry; or has the caller compute it; or has its listener told when another has computed it.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token of the lock that the caller gets if it is to compute; "": it does not
-- ARGV[3]   milliseconds for which the lock lasts
-- ARGV[4]   how many times its cost an entry is replaced before it is no longer fresh
-- ARGV[5]   listener; "": the caller looks only
-- ARGV[6]   token of the computation that the caller waits for, or ""
-- ARGV[7…]  tags
-- Reply     {"FRESH", entry, microseconds left or "", cost} | {"STALE", entry} | {"ABSENT"}
--           | {"COMPUTE", entry or ""} | {"WAIT", microseconds until the lock ends, its token}
--           | {"FAILED", error}
--@include cache/entries

local key, token, lock_ms, early, listener, awaited = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local entry = load_entry(key)
local lock, failure = load_lock(key)
local is_mine = lock ~= nil and lock.token == token -- the reply to a first call was lost

if entry and not is_mine then
  local is_early = token ~= "" and not lock and entry.left - entry.cost * tonumber(early) <= 0
  if entry.left > 0 and not is_early then
    return { "FRESH", entry.raw, entry.left < math.huge and int(entry.left) or "", int(entry.cost) }
  elseif lock or token == "" then
    return { "STALE", entry.raw }
  end
end
if token == "" then
  return { "ABSENT" }
elseif lock and not is_mine then
  local left = math.max(redis.call("PTTL", locks .. key), 0) * 1000
  if listener ~= "" then
    watch(values .. key, listener, now + left)
  end
  return { "WAIT", int(left), lock.token }
elseif failure and failure.token == awaited then
  return { "FAILED", failure.error }
end
local revision = redis.call("GET", revision) or "0"
local words = { "computing", token, now_text, revision, version_of(key) }
redis.call("SET", locks .. key, table.concat(words, " "), "PX", lock_ms)
keep_tags(ARGV, 7, tonumber(lock_ms))
return { "COMPUTE", entry and entry.raw or "" }
