-- compare_and_set: stores a value in place of the version that the caller knows.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   value
-- ARGV[3]   the version that has to be there; "0": none
-- ARGV[4]   milliseconds after which it expires, or ""
-- ARGV[5]   call id
-- Reply     {"STORED", version}: by this call, now or before | {"CONFLICT", version that is there}
--@include store/values
local REMEMBERED, SECONDS = 16, 3600

local key, call = ARGV[1], ARGV[5]
local found = version_of(key)
if found ~= ARGV[3] then
  -- The reply to a call that stored it may have been lost; others may have stored since.
  for _, made in ipairs(redis.call("LRANGE", storers .. key, 0, -1)) do
    local caller, version = string.match(made, "^(%S+) (%d+)$")
    if caller == call then
      return { "STORED", version }
    end
  end
  return { "CONFLICT", found }
end
sweep_expired(SWEPT_PER_WRITE)
local version = next_version()
store(key, version, ARGV[2], ARGV[4])
redis.call("LPUSH", storers .. key, call .. " " .. version)
redis.call("LTRIM", storers .. key, 0, REMEMBERED - 1)
redis.call("EXPIRE", storers .. key, SECONDS)
return { "STORED", version }
