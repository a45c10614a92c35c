-- Telling listeners. Each listening process has a channel of its own in every shard; what it is told is a
-- hint, and it reads again after a while whatever it was told. So all that is kept about listeners is soft:
-- it expires unless they renew it, and those that have gone are dropped when a message reaches nobody.
--@include core/shard_keys

local SOFT = 300 * 1000000
-- What is younger needs no renewal.
local FRESH = SOFT / 10

-- Keeps a key about listeners for as long as they renew it.
local function keep(key)
  redis.call("PEXPIRE", key, SOFT / 1000)
end

-- Sends a message to a listener; returns whether it may have been heard. A user who may not publish can still
-- work, only without being woken.
local function tell(listener, message)
  local heard = redis.pcall("PUBLISH", base .. "listener:" .. listener, message)
  if heard ~= 0 then
    return true
  end
  redis.call("ZREM", listeners, listener)
  return false
end

-- Notes that a listener is there.
local function note_listener(listener)
  local noted = redis.call("ZSCORE", listeners, listener)
  if noted and tonumber(noted) > now - FRESH then
    return
  end
  redis.call("ZREMRANGEBYSCORE", listeners, "-inf", int(now - SOFT))
  redis.call("ZADD", listeners, int(now), listener)
  keep(listeners)
end
