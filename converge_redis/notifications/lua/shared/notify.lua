-- Notifying listeners. Each listener has one channel per shard. A message is a hint: listeners also read
-- again after a while without one. So all state about listeners is soft: it expires unless they renew it, and
-- a listener is dropped when a message to it has no receiver.
--@include core/shard_keys

local SOFT_TTL_US = 300 * 1000000
-- Younger entries are not renewed.
local RENEW_AFTER_US = SOFT_TTL_US / 10

-- Restart the lifetime of a key about listeners.
local function touch_ttl(key)
  redis.call("PEXPIRE", key, SOFT_TTL_US / 1000)
end

-- Publish a message to a listener, and return whether it may have been received. Users whose ACL denies
-- PUBLISH can still work; their changes wake no listener.
local function notify(listener, message)
  local receivers = redis.pcall("PUBLISH", base .. "listener:" .. listener, message)
  if receivers ~= 0 then
    return true
  end
  redis.call("ZREM", listeners, listener)
  return false
end

-- Add a listener to the index of listeners, or renew its entry.
local function register_listener(listener)
  local renewed_at = redis.call("ZSCORE", listeners, listener)
  if renewed_at and tonumber(renewed_at) > now - RENEW_AFTER_US then
    return
  end
  redis.call("ZREMRANGEBYSCORE", listeners, "-inf", int(now - SOFT_TTL_US))
  redis.call("ZADD", listeners, int(now), listener)
  touch_ttl(listeners)
end
