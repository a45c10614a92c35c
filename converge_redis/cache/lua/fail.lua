-- fail: gives a lock up, and tells those who wait why.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   token
-- ARGV[3]   error; "": none, another one is to compute
-- Reply     {"OK"}
--@include cache/entries

local key, token, text = ARGV[1], ARGV[2], ARGV[3]
local lock = load_lock(key)
if lock and lock.token == token then
  if text == "" then
    redis.call("DEL", locks .. key)
  else
    redis.call("SET", locks .. key, "failed " .. token .. " " .. text, "PX", FAILURE_MS)
  end
  notify_session_watchers(values .. key)
end
return { "OK" }
