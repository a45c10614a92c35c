-- list_pending: reads claimable tasks, lane by lane, a page at a time. The place after which a page begins is
-- a task's lane, score and id, not its rank: what is claimed between two pages hides nothing.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most tasks to read
-- ARGV[2]   the most tasks of one lane to read, over all pages
-- ARGV[3]   lane, ARGV[4] priority and ARGV[5] id after which to begin; "" for the first page
-- ARGV[6…]  the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"MORE" or "DONE", task, task, …} (tasks/reply); the next page begins after the last of them
--@include tasks/lanes
--@include tasks/reply

local room, most_of_lane = tonumber(ARGV[1]), tonumber(ARGV[2])
local after = { lane = ARGV[3], score = 0 - (tonumber(ARGV[4]) or 0), id = ARGV[5] }

-- The number of the lane's entries up to the place where the page before ended: a binary search.
local function entries_before(key)
  local low, high = 0, redis.call("ZCARD", key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call("ZRANGE", key, middle, middle, "WITHSCORES")
    local score = tonumber(entry[2])
    if score < after.score or (score == after.score and not is_before(after.id, entry[1])) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local reply = { "DONE" }
local from = after.lane == "" and "-" or "[" .. after.lane
each_lane((read_filter(ARGV, 6)), from, function(name)
  local key = lane_prefix .. name
  local start = name == after.lane and entries_before(key) or 0
  local stop = math.min(start + room, most_of_lane) - 1
  if stop >= start then
    for _, id in ipairs(redis.call("ZRANGE", key, start, stop)) do
      local record = load_readable(id)
      if record then
        reply[#reply + 1] = task_reply(id, record)
        room = room - 1
      end
    end
  end
  if room <= 0 then
    reply[1] = "MORE"
  end
  return room <= 0
end)
return reply
