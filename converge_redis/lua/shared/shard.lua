-- The keys of one shard, in the order of `_TASK_KEYS` in keys.py, and the server's time.
-- Of these, tasks, specs, results, lane_prefix, claims and done are prefixes, and take a last part: an id.
local tasks, specs, results, lane_prefix, lanes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local delayed, deadlines, leases, claims, finished = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local counts, done, work = KEYS[11], KEYS[12], KEYS[13]

-- Microseconds since 1970. Doubles hold them exactly until the year 2255.
local now
do
  local time = redis.call("TIME")
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Lua's own conversion of a number to text keeps 14 digits only.
local function int(number)
  return string.format("%.0f", number)
end
