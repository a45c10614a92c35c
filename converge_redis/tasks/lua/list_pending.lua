-- list_pending: List a page of the claimable tasks that match a filter, lane by lane.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   the most tasks to read
-- ARGV[2]   the most tasks of one lane to read, over all pages
-- ARGV[3]   lane, ARGV[4] priority and ARGV[5] id of the previous page's last task; "" for the first page
-- ARGV[6…]  the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"MORE" or "DONE", task, task, …} (tasks/reply)
--@include tasks/lanes
--@include tasks/reply

-- The cursor is a lane, a score and an id, not a rank: tasks that are claimed between two pages move the
-- ranks of those that remain.
local remaining, max_of_lane = tonumber(ARGV[1]), tonumber(ARGV[2])
local cursor = { lane = ARGV[3], score = 0 - (tonumber(ARGV[4]) or 0), id = ARGV[5] }

-- Return the number of entries of the cursor's lane up to the cursor: a binary search.
local function entries_before(key)
  local low, high = 0, redis.call("ZCARD", key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call("ZRANGE", key, middle, middle, "WITHSCORES")
    local score = tonumber(entry[2])
    if score < cursor.score or (score == cursor.score and not is_before(cursor.id, entry[1])) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local reply = { "DONE" }
local first_lane = cursor.lane == "" and "-" or "[" .. cursor.lane
each_lane(read_filter(ARGV, 6), first_lane, function(name)
  local key = lane_prefix .. name
  local start = name == cursor.lane and entries_before(key) or 0
  local stop = math.min(start + remaining, max_of_lane) - 1
  if stop >= start then
    for _, id in ipairs(redis.call("ZRANGE", key, start, stop)) do
      local record = load_readable(id)
      if record then
        reply[#reply + 1] = task_reply(id, record)
        remaining = remaining - 1
      end
    end
  end
  if remaining <= 0 then
    reply[1] = "MORE"
  end
  return remaining <= 0
end)
return reply
