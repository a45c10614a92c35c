-- Telling listeners. Each listening process has a channel of its own in every shard; what it is told is a
-- hint, and it reads again after a while whatever it was told. So all that is kept about listeners is soft:
-- it expires unless they renew it, and those that have gone are dropped when a message reaches nobody.
--@include core/shard_keys

local SOFT_TTL_US = 300 * 1000000
-- What is younger needs no renewal.
local RENEW_AFTER_US = SOFT_TTL_US / 10

-- Keeps a key about listeners for as long as they renew it.
local function touch_ttl(key)
  redis.call("PEXPIRE", key, SOFT_TTL_US / 1000)
end

-- Sends a message to a listener; returns whether it may have been heard. A user who may not publish can still
-- work, only without being woken.
local function notify(listener, message)
  local receivers = redis.pcall("PUBLISH", base .. "listener:" .. listener, message)
  if receivers ~= 0 then
    return true
  end
  redis.call("ZREM", listeners, listener)
  return false
end

-- Notes that a listener is there.
local function register_listener(listener)
  local noted = redis.call("ZSCORE", listeners, listener)
  if noted and tonumber(noted) > now - RENEW_AFTER_US then
    return
  end
  redis.call("ZREMRANGEBYSCORE", listeners, "-inf", int(now - SOFT_TTL_US))
  redis.call("ZADD", listeners, int(now), listener)
  touch_ttl(listeners)
end
