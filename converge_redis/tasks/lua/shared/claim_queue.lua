-- Claimers that wait. Those with the same filter share a profile:
--   waiting:<profile>   who waits, `<listener> <number>`, in the order of their last renewals
--   profile:<profile>   the filter, each part followed by a blank
--   door:<pool>:<topic> the profiles that may have tasks of this pool and topic; `*` stands for any. A task
--                       goes to at most four doors; behind them its lane is held against each filter.
-- A claimer is woken by being taken from its queue and told the lane that has work for it. It then claims as
-- everybody does: a message never carries a claim.
--@include notifications/notify
--@include tasks/filter

-- Most scripts need none of it, and each function that is made costs them time: so it is made on demand.
-- Returns a table of three functions: wake, register, unregister.
local function make_claim_queue()
  local read_filter, next_candidate = make_filters()
  local waiting, filters, filter_index = base .. "waiting:", base .. "profile:", base .. "door:"
  local MAX_INDEX_KEYS = 64
  local MAX_FILTERS = 1000
  local WAITERS_PER_READ = 100
  local MAX_WAITERS = 10000

  local function parse(text)
    local parts = {}
    for part in string.gmatch(text, "([^ ]*) ") do
      parts[#parts + 1] = part
    end
    return read_filter(parts, 1)
  end

  -- The doors of a filter. Where they would be too many, one of each pool or for all serves as well.
  local function index_keys(filter)
    local any = { "*" }
    local pools, topics = filter.pools or any, filter.topics or any
    if #pools * #topics > MAX_INDEX_KEYS then
      topics = any
    end
    if #pools > MAX_INDEX_KEYS then
      pools = any
    end
    local names = {}
    for _, pool in ipairs(pools) do
      for _, topic in ipairs(topics) do
        names[#names + 1] = filter_index .. pool .. ":" .. topic
      end
    end
    return names
  end

  -- Takes a profile for which nobody waits from its doors.
  local function remove_filter(filter_id, filter)
    for _, index_key in ipairs(index_keys(filter)) do
      redis.call("ZREM", index_key, filter_id)
    end
    redis.call("DEL", filters .. filter_id)
  end

  -- Puts claimers of a listener in the queue of their profile, or renews their places.
  local function register(listener, filter_id, filter, text, numbers)
    register_listener(listener)
    local queue = waiting .. filter_id
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

  local function unregister(listener, filter_id, numbers)
    local queue, removed = waiting .. filter_id, 0
    for _, number in ipairs(numbers) do
      removed = removed + redis.call("ZREM", queue, listener .. " " .. number)
    end
    if removed > 0 and redis.call("EXISTS", queue) == 0 then
      local text = redis.call("GET", filters .. filter_id)
      if text then
        remove_filter(filter_id, parse(text))
      end
    end
  end

  -- Wakes the first of a queue whose listener is there, and drops those before it. Returns whether there was
  -- one, and whether the queue is empty now.
  local function pop_waiter(queue, lane)
    local without_receivers = {}
    for _ = 1, MAX_WAITERS / WAITERS_PER_READ do
      local first = redis.call("ZRANGE", queue, 0, WAITERS_PER_READ - 1)
      for i, waiter in ipairs(first) do
        redis.call("ZREM", queue, waiter)
        local listener, number = string.match(waiter, "^(.-) (.*)$")
        if not without_receivers[listener] then
          if notify(listener, "work " .. number .. " " .. lane) then
            return true, i == #first and i < WAITERS_PER_READ
          end
          without_receivers[listener] = true
        end
      end
      if #first < WAITERS_PER_READ then
        return false, true
      end
    end
    return false, false
  end

  -- Wakes one claimer of a profile if it may have the lane.
  local function wake_one_with_filter(filter_id, index_key, lane)
    local text = redis.call("GET", filters .. filter_id)
    if not text then
      redis.call("ZREM", index_key, filter_id)
      return false
    end
    local filter = parse(text)
    if next_candidate(filter, lane) then
      return false
    end
    local woken, is_empty = pop_waiter(waiting .. filter_id, lane)
    if is_empty then
      remove_filter(filter_id, filter)
    end
    return woken
  end

  -- Wakes one of those who wait and may claim from a lane; returns whether there was one.
  local function wake(lane)
    local pool, topic = string.match(lane, "^(.-):(.-):")
    for _, name in ipairs({ pool .. ":" .. topic, pool .. ":*", "*:" .. topic, "*:*" }) do
      local index_key = filter_index .. name
      for _, filter_id in ipairs(redis.call("ZRANGE", index_key, 0, MAX_FILTERS - 1)) do
        if wake_one_with_filter(filter_id, index_key, lane) then
          return true
        end
      end
    end
    return false
  end

  return { wake = wake, register = register, unregister = unregister }
end

local made_claim_queue

local function claim_queue()
  made_claim_queue = made_claim_queue or make_claim_queue()
  return made_claim_queue
end

-- Wakes one of those who wait and may claim from a lane; returns whether there was one.
local has_listeners

local function wake(lane)
  if has_listeners == nil then
    has_listeners = redis.call("EXISTS", listeners) == 1
  end
  return has_listeners and lazy.claim_queue().wake(lane)
end
