-- find_or_lock: Find an entry; or lock its computation; or register a listener for the end of that.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token of the lock that the caller gets if it must compute; "": it only reads
-- ARGV[3]   milliseconds for which the lock lasts
-- ARGV[4]   how many times its cost before the end of its freshness the entry is computed again
-- ARGV[5]   listener; "": none
-- ARGV[6]   token of the computation that the caller waits for, or ""
-- ARGV[7…]  tags
-- Reply     {"FRESH", entry, microseconds left or "", cost} | {"STALE", entry} | {"ABSENT"}
--           | {"COMPUTE", entry or ""} | {"WAIT", microseconds until the lock expires, its token}
--           | {"FAILED", error}
--@include cache/entries

-- Return an entry: `raw`, `cost` and `left`, the microseconds for which it is fresh (math.huge: until it is
-- deleted); nil where it does not exist or one of its tags was deleted.
local function load_entry(key)
  local raw = redis.call("GET", values .. key)
  if not raw then
    return nil
  end
  local words = header_fields(string.match(raw, "^[^\n]*"))
  if #words > 4 and tag_dropped_since(words, 5, tonumber(words[4])) then
    return nil
  end
  local fresh, left = tonumber(words[2]), math.huge
  if fresh then
    left = fresh * 1000 - now
  else
    local left_ms = redis.call("PTTL", values .. key)
    if left_ms >= 0 then
      left = left_ms * 1000 + 1 -- 0 ms is less than a millisecond, but not expired
    end
  end
  return { raw = raw, cost = tonumber(words[3] or 0), left = left }
end

local key, token, lock_ms, early, listener, awaited = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local entry = load_entry(key)
local lock, failure = load_lock(key)
local is_holder = lock ~= nil and lock.token == token -- a retry: the reply to the first call was lost

if entry and not is_holder then
  local is_early = token ~= "" and not lock and entry.left - entry.cost * tonumber(early) <= 0
  if entry.left > 0 and not is_early then
    return { "FRESH", entry.raw, entry.left < math.huge and int(entry.left) or "", int(entry.cost) }
  elseif lock or token == "" then
    return { "STALE", entry.raw }
  end
end
if token == "" then
  return { "ABSENT" }
elseif lock and not is_holder then
  local left = math.max(redis.call("PTTL", locks .. key), 0) * 1000
  if listener ~= "" then
    watch(values .. key, listener, now + left)
  end
  return { "WAIT", int(left), lock.token }
elseif failure and failure.token == awaited then
  return { "FAILED", failure.error }
end
local words = { "computing", token, now_text, redis.call("GET", revision) or "0", version_of(key) }
redis.call("SET", locks .. key, table.concat(words, " "), "PX", lock_ms)
keep_tags(ARGV, 7, tonumber(lock_ms))
return { "COMPUTE", entry and entry.raw or "" }
