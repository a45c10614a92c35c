-- The time keeper. While all claimers of a shard wait, nobody runs a script, so one listener keeps time for
-- all: it calls `tick` when the next delay or lease ends. `alarm` names it, and the time that it knows of.
--@include notifications/notify

local NEVER = 2 ^ 53
-- A keeper that is so late has gone: the next listener that looks takes over.
local LATE = 2 * 1000000

-- When the next delay or lease of the shard ends.
local function next_due()
  local soonest = NEVER
  for _, index in ipairs({ leases, delayed }) do
    local first = redis.call("ZRANGE", index, 0, 0, "WITHSCORES")
    soonest = math.min(soonest, tonumber(first[2]) or NEVER)
  end
  return soonest
end

-- Makes a listener the time keeper unless there is another; `soonest` is when the next delay or lease ends.
-- Returns the microseconds until it is to tick; "": it is not to.
local function keep_time(listener, soonest)
  local known = redis.call("HMGET", alarm, "listener", "at")
  if known[1] and known[1] ~= listener and tonumber(known[2]) + LATE > now then
    keep(alarm)
    return ""
  end
  local at, known_at = soonest, known[1] and tonumber(known[2]) or 0
  if known_at > now then
    at = math.min(at, known_at) -- to tick in vain is cheaper than to be told of each new lease
  end
  if known[1] ~= listener or known_at ~= at then
    redis.call("HSET", alarm, "listener", listener, "at", int(at))
  end
  keep(alarm)
  return at < NEVER and int(math.max(at - now, 0)) or ""
end

-- Tells the time keeper, or another listener in its place, of a time before the one that it knows.
local MOST_TOLD = 100

local expected -- the time that the keeper knows of

local function expect(at)
  if expected and expected <= at then
    return
  end
  local known = redis.call("HMGET", alarm, "listener", "at")
  expected = known[1] and tonumber(known[2]) or 0
  if expected <= at then
    return
  end
  local keeper, message = known[1], "time " .. int(math.max(at - now, 0))
  for _ = 1, MOST_TOLD do
    if tell(keeper, message) then
      redis.call("HSET", alarm, "listener", keeper, "at", int(at))
      expected = at
      return
    end
    keeper = redis.call("ZRANGE", listeners, -1, -1)[1]
    if not keeper then
      break
    end
  end
  redis.call("DEL", alarm)
end
