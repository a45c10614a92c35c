-- compare_and_set: Store a value if the stored version is the one that the caller knows.
-- KEYS[1]   the slot of values (store/values)
-- ARGV[1]   key
-- ARGV[2]   value
-- ARGV[3]   the expected version; "0": no value
-- ARGV[4]   milliseconds after which it expires, or ""
-- ARGV[5]   call id
-- Reply     {"STORED", version}: by this call or an earlier try of it | {"CONFLICT", stored version}
--@include store/values
local MAX_CALLS, CALLS_TTL_SEC = 16, 3600

local key, call = ARGV[1], ARGV[5]
local stored_version = version_of(key)
if stored_version ~= ARGV[3] then
  -- An earlier try of this call may have stored it and lost the reply; other calls may have stored since.
  for _, store_call in ipairs(redis.call("LRANGE", store_calls .. key, 0, -1)) do
    local caller, version = string.match(store_call, "^(%S+) (%d+)$")
    if caller == call then
      return { "STORED", version }
    end
  end
  return { "CONFLICT", stored_version }
end
sweep_expired(SWEPT_PER_WRITE)
local version = next_version()
store_value(key, version, ARGV[2], ARGV[4])
redis.call("LPUSH", store_calls .. key, call .. " " .. version)
redis.call("LTRIM", store_calls .. key, 0, MAX_CALLS - 1)
redis.call("EXPIRE", store_calls .. key, CALLS_TTL_SEC)
return { "STORED", version }
