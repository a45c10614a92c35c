-- renew: renews the places of claimers who wait with one filter, and tells whether there is work for them. It
-- heals what a lost message or a lost connection has left.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- ARGV[2]   profile
-- ARGV[3]   n, then n numbers of claimers
-- ARGV[4…]  after those, the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"OK", microseconds until the listener is to tick (tasks/due_timer) or "", lane, number of its
--           tasks, lane, number of its tasks, …}: work, up to the number of claimers
--@include tasks/expiry
--@include tasks/lanes

local listener, filter_id, size = ARGV[1], ARGV[2], tonumber(ARGV[3])
local soonest = sweep_due()
local numbers = {}
for i = 1, size do
  numbers[i] = ARGV[3 + i]
end
local filter = read_filter(ARGV, 4 + size)
claim_queue().register(listener, filter_id, filter, table.concat(ARGV, " ", 4 + size) .. " ", numbers)
local reply = { "OK", elect_timer(listener, soonest) }
local found = 0
each_lane(filter, "-", function(name)
  local tasks_there = redis.call("ZCARD", lane_prefix .. name)
  reply[#reply + 1] = name
  reply[#reply + 1] = tasks_there
  found = found + tasks_there
  return found >= size
end)
return reply
