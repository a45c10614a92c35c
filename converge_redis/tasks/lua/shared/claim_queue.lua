-- The claim queue: the claimers that wait for a task. Claimers with the same filter wait together:
--   waiting:<filter id>   the claimers, as `<listener> <number>`, by the time of their last renewal
--   profile:<filter id>   the filter, with a blank after each part
--   door:<pool>:<topic>   the filters that may match tasks of this pool and topic; `*`: any
--@include notifications/notify
--@include tasks/filter

local MAX_INDEX_KEYS = 64

local function parse_filter(text)
  local parts = {}
  for part in string.gmatch(text, "([^ ]*) ") do
    parts[#parts + 1] = part
  end
  return read_filter(parts, 1)
end

-- Return the index keys of a filter. A filter with too many of them is indexed by pool only, or as `*:*`;
-- `next_candidate` still decides whether it matches.
local function index_keys(filter)
  local any = { "*" }
  local pools, topics = filter.pools or any, filter.topics or any
  if #pools * #topics > MAX_INDEX_KEYS then
    topics = any
  end
  if #pools > MAX_INDEX_KEYS then
    pools = any
  end
  local keys = {}
  for _, pool in ipairs(pools) do
    for _, topic in ipairs(topics) do
      keys[#keys + 1] = filter_index .. pool .. ":" .. topic
    end
  end
  return keys
end

-- Remove a filter with which no claimer waits.
local function remove_filter(filter_id, filter)
  for _, index_key in ipairs(index_keys(filter)) do
    redis.call("ZREM", index_key, filter_id)
  end
  redis.call("DEL", filters .. filter_id)
end

-- Put claimers of a listener into the queue, or renew their places. `text` is the filter as it is stored.
local function register_claimers(listener, filter_id, filter, text, numbers)
  register_listener(listener)
  local queue = waiting_claimers .. filter_id
  for _, number in ipairs(numbers) do
    redis.call("ZADD", queue, now_text, listener .. " " .. number)
  end
  touch_ttl(queue)
  local is_fresh = redis.call("PTTL", filters .. filter_id) > (SOFT_TTL_US - RENEW_AFTER_US) / 1000
  if not is_fresh then
    redis.call("ZREMRANGEBYSCORE", queue, "-inf", int(now - SOFT_TTL_US))
    redis.call("SET", filters .. filter_id, text, "PX", SOFT_TTL_US / 1000)
  end
  for _, index_key in ipairs(index_keys(filter)) do
    redis.call("ZADD", index_key, now_text, filter_id)
    if not is_fresh then
      touch_ttl(index_key)
    end
  end
end

local function unregister_claimers(listener, filter_id, numbers)
  local queue, removed = waiting_claimers .. filter_id, 0
  for _, number in ipairs(numbers) do
    removed = removed + redis.call("ZREM", queue, listener .. " " .. number)
  end
  if removed > 0 and redis.call("EXISTS", queue) == 0 then
    local text = redis.call("GET", filters .. filter_id)
    if text then
      remove_filter(filter_id, parse_filter(text))
    end
  end
end
