-- audit_counts: Check the counts of a shard against its indexes.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most lanes to add up; in a shard with more lanes, pending tasks are not checked
-- Reply     {"OK", states, counted, indexed, states, counted, indexed, …}: the violations
--@include core/shard_keys

local max_lanes = tonumber(ARGV[1])
local reply = { "OK" }

local function check(states, indexed)
  local counted = 0
  for _, state in ipairs(states) do
    counted = counted + tonumber(redis.call("HGET", counts, state) or 0)
  end
  if counted ~= indexed then
    reply[#reply + 1] = table.concat(states, "+")
    reply[#reply + 1] = counted
    reply[#reply + 1] = indexed
  end
end

check({ "assigned", "running" }, redis.call("ZCARD", leases))
check({ "completed", "failed", "cancelled" }, redis.call("ZCARD", finished))
local names = redis.call("ZRANGE", lanes, 0, max_lanes)
if #names <= max_lanes then
  local pending = redis.call("ZCARD", delayed)
  for _, name in ipairs(names) do
    pending = pending + redis.call("ZCARD", lane_prefix .. name)
  end
  check({ "pending" }, pending)
end
return reply
