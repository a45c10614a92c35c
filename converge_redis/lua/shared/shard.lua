-- The keys of one shard, in the order of `_TASK_KEYS` in keys.py, and the server's time.
-- Names that end in a prefix below (tasks, specs, results, lane_prefix, claims, done) take a last part: an id.
local tasks, specs, results, lane_prefix, lanes, delayed, deadlines, leases, claims, finished, counts, done, work =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13]

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
