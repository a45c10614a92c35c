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
local function make_queues()
  local read_filter, obstacle = make_filters()
  local waiting, profiles, doors = base .. "waiting:", base .. "profile:", base .. "door:"
  local MOST_DOORS = 64
  local MOST_PROFILES = 1000
  local WAITERS_AT_ONCE = 100
  local MOST_WAITERS = 10000

  local function parse(text)
    local parts = {}
    for part in string.gmatch(text, "([^ ]*) ") do
      parts[#parts + 1] = part
    end
    return read_filter(parts, 1)
  end

  -- The doors of a filter. Where they would be too many, one of each pool or for all serves as well.
  local function doors_of(filter)
    local any = { "*" }
    local pools, topics = filter.pools or any, filter.topics or any
    if #pools * #topics > MOST_DOORS then
      topics = any
    end
    if #pools > MOST_DOORS then
      pools = any
    end
    local names = {}
    for _, pool in ipairs(pools) do
      for _, topic in ipairs(topics) do
        names[#names + 1] = doors .. pool .. ":" .. topic
      end
    end
    return names
  end

  -- Takes a profile for which nobody waits from its doors.
  local function close(profile, filter)
    for _, door in ipairs(doors_of(filter)) do
      redis.call("ZREM", door, profile)
    end
    redis.call("DEL", profiles .. profile)
  end

  -- Puts claimers of a listener in the queue of their profile, or renews their places.
  local function register(listener, profile, filter, text, numbers)
    note_listener(listener)
    local queue = waiting .. profile
    for _, number in ipairs(numbers) do
      redis.call("ZADD", queue, now_text, listener .. " " .. number)
    end
    keep(queue)
    local is_fresh = redis.call("PTTL", profiles .. profile) > (SOFT - FRESH) / 1000
    if not is_fresh then
      redis.call("ZREMRANGEBYSCORE", queue, "-inf", int(now - SOFT))
      redis.call("SET", profiles .. profile, text, "PX", SOFT / 1000)
    end
    for _, door in ipairs(doors_of(filter)) do
      redis.call("ZADD", door, now_text, profile)
      if not is_fresh then
        keep(door)
      end
    end
  end

  local function unregister(listener, profile, numbers)
    local queue, removed = waiting .. profile, 0
    for _, number in ipairs(numbers) do
      removed = removed + redis.call("ZREM", queue, listener .. " " .. number)
    end
    if removed > 0 and redis.call("EXISTS", queue) == 0 then
      local text = redis.call("GET", profiles .. profile)
      if text then
        close(profile, parse(text))
      end
    end
  end

  -- Wakes the first of a queue whose listener is there, and drops those before it. Returns whether there was
  -- one, and whether the queue is empty now.
  local function wake_first(queue, lane)
    local gone = {}
    for _ = 1, MOST_WAITERS / WAITERS_AT_ONCE do
      local first = redis.call("ZRANGE", queue, 0, WAITERS_AT_ONCE - 1)
      for i, waiter in ipairs(first) do
        redis.call("ZREM", queue, waiter)
        local listener, number = string.match(waiter, "^(.-) (.*)$")
        if not gone[listener] then
          if tell(listener, "work " .. number .. " " .. lane) then
            return true, i == #first and i < WAITERS_AT_ONCE
          end
          gone[listener] = true
        end
      end
      if #first < WAITERS_AT_ONCE then
        return false, true
      end
    end
    return false, false
  end

  -- Wakes one claimer of a profile if it may have the lane.
  local function wake_of(profile, door, lane)
    local text = redis.call("GET", profiles .. profile)
    if not text then
      redis.call("ZREM", door, profile)
      return false
    end
    local filter = parse(text)
    if obstacle(filter, lane) then
      return false
    end
    local woken, is_empty = wake_first(waiting .. profile, lane)
    if is_empty then
      close(profile, filter)
    end
    return woken
  end

  -- Wakes one of those who wait and may claim from a lane; returns whether there was one.
  local function wake(lane)
    local pool, topic = string.match(lane, "^(.-):(.-):")
    for _, name in ipairs({ pool .. ":" .. topic, pool .. ":*", "*:" .. topic, "*:*" }) do
      local door = doors .. name
      for _, profile in ipairs(redis.call("ZRANGE", door, 0, MOST_PROFILES - 1)) do
        if wake_of(profile, door, lane) then
          return true
        end
      end
    end
    return false
  end

  return { wake = wake, register = register, unregister = unregister }
end

local made_queues

local function queues()
  made_queues = made_queues or make_queues()
  return made_queues
end

-- Wakes one of those who wait and may claim from a lane; returns whether there was one.
local someone_listens

local function wake(lane)
  if someone_listens == nil then
    someone_listens = redis.call("EXISTS", listeners) == 1
  end
  return someone_listens and lazy.queues().wake(lane)
end
