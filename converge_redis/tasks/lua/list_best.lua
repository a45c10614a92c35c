-- list_best: List the best claimable tasks of all lanes that match a filter.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most tasks to read
-- ARGV[2…]  the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"OK", task, task, …} (tasks/reply), best first
--@include tasks/lanes
--@include tasks/lane_heads
--@include tasks/reply

local remaining = tonumber(ARGV[1])
local TASKS_PER_READ = 10

local heads = {}
each_lane(read_filter(ARGV, 2), "-", function(name)
  heads[#heads + 1] = read_head(name, 0, 1)
end)
heapify(heads)

local reply = { "OK" }
while #heads > 0 and remaining > 0 do
  local head = heads[1]
  local record = load_readable(head.id)
  if record then
    reply[#reply + 1] = task_reply(head.id, record)
    remaining = remaining - 1
  end
  replace_top(heads, next_task(head) or read_head(head.lane, head.rank + #head.entries / 2, TASKS_PER_READ))
end
return reply
