-- audit: checks the counts of a shard against its indexes.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most lanes to add up; with more of them the pending tasks are not checked
-- Reply     {"OK", states, number counted, number in the indexes, …}: the violations
--@include core/shard_keys

local most = tonumber(ARGV[1])
local reply = { "OK" }

local function check(states, members)
  local counted = 0
  for _, state in ipairs(states) do
    counted = counted + tonumber(redis.call("HGET", counts, state) or 0)
  end
  if counted ~= members then
    reply[#reply + 1] = table.concat(states, "+")
    reply[#reply + 1] = counted
    reply[#reply + 1] = members
  end
end

check({ "assigned", "running" }, redis.call("ZCARD", leases))
check({ "completed", "failed", "cancelled" }, redis.call("ZCARD", finished))
local names = redis.call("ZRANGE", lanes, 0, most)
if #names <= most then
  local pending = redis.call("ZCARD", delayed)
  for _, name in ipairs(names) do
    pending = pending + redis.call("ZCARD", lane_prefix .. name)
  end
  check({ "pending" }, pending)
end
return reply
