-- Waking a waiting claimer: the script removes it from the queue, and publishes the lane that has work to its
-- listener. The claimer then claims as usual: a message never carries a claim.
--@include tasks/claim_queue

local MAX_FILTERS = 1000
local MAX_WAITERS = 10000
local WAITERS_PER_READ = 100

-- Wake the first claimer of a queue whose listener receives the message, and drop the claimers before it.
-- Returns whether there was one, and whether the queue is empty now.
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

-- Wake one claimer with a filter, if the filter matches the lane. Returns whether there was one.
local function wake_one_with_filter(filter_id, index_key, lane)
  local text = redis.call("GET", filters .. filter_id)
  if not text then
    redis.call("ZREM", index_key, filter_id)
    return false
  end
  local filter = parse_filter(text)
  if next_candidate(filter, lane) then
    return false
  end
  local woken, is_empty = pop_waiter(waiting_claimers .. filter_id, lane)
  if is_empty then
    remove_filter(filter_id, filter)
  end
  return woken
end

local function find_and_wake(lane)
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

local has_listeners

-- Wake one waiting claimer that may claim from a lane. Returns whether there was one.
local function wake_claimer(lane)
  if has_listeners == nil then
    has_listeners = redis.call("EXISTS", listeners) == 1
  end
  return has_listeners and lazy.find_and_wake(lane)
end
