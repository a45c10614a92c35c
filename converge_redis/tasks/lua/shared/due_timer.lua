-- The time keeper. While all claimers of a shard wait, nobody runs a script, so one listener keeps time for
-- all: it calls `tick` when the next delay or lease ends. `timer` names it, and the time that it knows of.
--@include notifications/notify

local NEVER = 2 ^ 53
-- A keeper that is so late has gone: the next listener that looks takes over.
local TIMER_LATE_US = 2 * 1000000

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
local function elect_timer(listener, soonest)
  local known = redis.call("HMGET", timer, "listener", "at")
  if known[1] and known[1] ~= listener and tonumber(known[2]) + TIMER_LATE_US > now then
    touch_ttl(timer)
    return ""
  end
  local at, known_at = soonest, known[1] and tonumber(known[2]) or 0
  if known_at > now then
    at = math.min(at, known_at) -- to tick in vain is cheaper than to be told of each new lease
  end
  if known[1] ~= listener or known_at ~= at then
    redis.call("HSET", timer, "listener", listener, "at", int(at))
  end
  touch_ttl(timer)
  return at < NEVER and int(math.max(at - now, 0)) or ""
end

-- Tells the time keeper, or another listener in its place, of a time before the one that it knows.
local MAX_NOTIFIED = 100

local scheduled -- the time that the keeper knows of

local function schedule_due(at)
  if scheduled and scheduled <= at then
    return
  end
  local known = redis.call("HMGET", timer, "listener", "at")
  scheduled = known[1] and tonumber(known[2]) or 0
  if scheduled <= at then
    return
  end
  local owner, message = known[1], "time " .. int(math.max(at - now, 0))
  for _ = 1, MAX_NOTIFIED do
    if notify(owner, message) then
      redis.call("HSET", timer, "listener", owner, "at", int(at))
      scheduled = at
      return
    end
    owner = redis.call("ZRANGE", listeners, -1, -1)[1]
    if not owner then
      break
    end
  end
  redis.call("DEL", timer)
end
