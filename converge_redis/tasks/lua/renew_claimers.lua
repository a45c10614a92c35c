-- renew_claimers: Renew the places of waiting claimers with one filter in the queue; return lanes with work.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener
-- ARGV[2]   filter id
-- ARGV[3]   n, then n numbers of claimers
-- ARGV[4…]  after those, the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"OK", microseconds until the due timer of the listener fires (tasks/due_timer) or "",
--           lane, number of its tasks, lane, number of its tasks, …}, until there are n tasks
--@include tasks/sweep_due
--@include tasks/lanes

-- A claimer may find work in this reply for which the message was lost, with its connection for instance.
local listener, filter_id, size = ARGV[1], ARGV[2], tonumber(ARGV[3])
local next_due_at = sweep_due()
local numbers = {}
for i = 1, size do
  numbers[i] = ARGV[3 + i]
end
local filter = read_filter(ARGV, 4 + size)
register_claimers(listener, filter_id, filter, table.concat(ARGV, " ", 4 + size) .. " ", numbers)
local reply = { "OK", elect_timer(listener, next_due_at) }
local found = 0
each_lane(filter, "-", function(name)
  local task_count = redis.call("ZCARD", lane_prefix .. name)
  reply[#reply + 1] = name
  reply[#reply + 1] = task_count
  found = found + task_count
  return found >= size
end)
return reply
