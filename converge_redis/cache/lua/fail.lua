-- fail: Release the lock of a key without a value, and notify the callers that wait.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token
-- ARGV[3]   error for the callers that wait; "": none, and one of them computes instead
-- Reply     {"OK"}
--@include cache/entries

local key, token, message = ARGV[1], ARGV[2], ARGV[3]
local FAILURE_MS = 10000
local lock = load_lock(key)
if lock and lock.token == token then
  if message == "" then
    redis.call("DEL", locks .. key)
  else
    redis.call("SET", locks .. key, "failed " .. token .. " " .. message, "PX", FAILURE_MS)
  end
  notify_session_watchers(values .. key)
end
return { "OK" }
