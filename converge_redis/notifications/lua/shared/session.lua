-- Sessions in which several agents act: negotiations, auctions, ballots, calls for proposals. A session is a
-- hash under the shard's prefix, its kind and its id. Its version grows with each change, and its watchers
-- are notified.
--@include core/collections
--@include notifications/notify

-- Return the name of a session, or of another watched key, in messages: "auction:<id>".
local function watch_name(key)
  return string.sub(key, #base + 1)
end

-- Notify the watchers of a change, and remove them: they read the session again, and watch it again if they
-- must.
local function notify_session_watchers(key)
  local name = watch_name(key)
  local watching = redis.call("SMEMBERS", session_watchers .. name)
  if #watching == 0 then
    return
  end
  redis.call("DEL", session_watchers .. name)
  for _, listener in ipairs(watching) do
    notify(listener, "news " .. name)
  end
end

-- Set fields of a session, in its hash and in the loaded table, and notify its watchers.
local function update_session(key, session, fields)
  fields.version = int(tonumber(session.version or 0) + 1)
  local flat = {}
  for name, value in pairs(fields) do
    session[name] = value
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call("HSET", key, unpack(flat))
  notify_session_watchers(key)
end

-- Let keys expire at a time in microseconds.
local function expire_at(time, keys)
  for _, key in ipairs(keys) do
    redis.call("PEXPIREAT", key, int(math.ceil(time / 1000)))
  end
end

-- Register a listener for the next change of a session, and return the reply for it. `due` is the time at
-- which the session changes without a call (math.huge: never).
local function watch(key, listener, due)
  redis.call("SADD", session_watchers .. watch_name(key), listener)
  touch_ttl(session_watchers .. watch_name(key))
  return { "WAIT", due < math.huge and int(math.max(due - now, 0)) or "" }
end

-- Append the names and values of a session's fields to a reply.
local function session_reply(reply, session)
  for name, value in pairs(session) do
    reply[#reply + 1] = name
    reply[#reply + 1] = value
  end
  return reply
end
