-- The due timer of a shard. While all claimers wait, no script runs in the shard. So one listener, the owner,
-- runs `apply_due` when the next delay or lease ends. The hash `timer` holds the owner, and the time at which
-- it does so.
--@include notifications/notify

local NEVER = 2 ^ 53

-- Return when the next delay or lease of the shard ends.
local function next_due()
  local earliest = NEVER
  for _, index in ipairs({ leases, delayed }) do
    local first = redis.call("ZRANGE", index, 0, 0, "WITHSCORES")
    earliest = math.min(earliest, tonumber(first[2]) or NEVER)
  end
  return earliest
end

-- An owner that is this late is gone: the next listener that waits or renews becomes the owner.
local TIMER_LATE_US = 2 * 1000000

-- Make a listener the owner, unless there is another one. `due_at` is when the next delay or lease ends.
-- Returns the microseconds until the listener must run `apply_due`; "": it must not.
local function elect_timer(listener, due_at)
  local current = redis.call("HMGET", timer, "listener", "at")
  if current[1] and current[1] ~= listener and tonumber(current[2]) + TIMER_LATE_US > now then
    touch_ttl(timer)
    return ""
  end
  local at, scheduled_at = due_at, current[1] and tonumber(current[2]) or 0
  if scheduled_at > now then
    at = math.min(at, scheduled_at) -- one early run is cheaper than a message for each new lease
  end
  if current[1] ~= listener or scheduled_at ~= at then
    redis.call("HSET", timer, "listener", listener, "at", int(at))
  end
  touch_ttl(timer)
  return at < NEVER and int(math.max(at - now, 0)) or ""
end

local MAX_NOTIFIED = 100

local timer_at -- when the owner fires

-- Notify the owner of a time before the one at which it fires. If the message has no receiver, make another
-- listener the owner.
local function schedule_due(at)
  if timer_at and timer_at <= at then
    return
  end
  local current = redis.call("HMGET", timer, "listener", "at")
  timer_at = current[1] and tonumber(current[2]) or 0
  if timer_at <= at then
    return
  end
  local owner, message = current[1], "time " .. int(math.max(at - now, 0))
  for _ = 1, MAX_NOTIFIED do
    if notify(owner, message) then
      redis.call("HSET", timer, "listener", owner, "at", int(at))
      timer_at = at
      return
    end
    owner = redis.call("ZRANGE", listeners, -1, -1)[1]
    if not owner then
      break
    end
  end
  redis.call("DEL", timer)
end
