-- list_best: reads the best claimable tasks over all lanes that an agent may claim from.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most tasks to read
-- ARGV[2…]  the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"OK", task, task, …} (tasks/reply), best first
--@include tasks/lanes
--@include tasks/heap
--@include tasks/reply

local room = tonumber(ARGV[1])
local CHUNK_OF_LANE = 10

-- Reads on in a lane from a rank: all of it that was listed so far comes before.
local function read_on(name, rank)
  local stop = rank == 0 and 0 or rank + CHUNK_OF_LANE - 1
  local best = redis.call("ZRANGE", lane_prefix .. name, rank, stop, "WITHSCORES")
  local id, score = best[1], tonumber(best[2])
  return id and { lane = name, best = best, at = 1, rank = rank, id = id, score = score }
end

local function next_of(head)
  head.at, head.rank = head.at + 2, head.rank + 1
  head.id, head.score = head.best[head.at], tonumber(head.best[head.at + 1])
  return head.id and head or read_on(head.lane, head.rank)
end

local heads = {}
each_lane(read_filter(ARGV, 2), "-", function(name)
  heads[#heads + 1] = read_on(name, 0)
end)
heapify(heads)

local reply = { "OK" }
while #heads > 0 and room > 0 do
  local head = heads[1]
  local record = load_readable(head.id)
  if record then
    reply[#reply + 1] = task_reply(head.id, record)
    room = room - 1
  end
  replace_top(heads, next_of(head))
end
return reply
