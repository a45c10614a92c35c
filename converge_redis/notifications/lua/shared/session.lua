-- Sessions, in which several agents act: negotiations, auctions, ballots, contracts. Each is a hash; its
-- version grows with each change, and those who wait for one are told. Its key is `base`, what it is, its id.
--@include notifications/notify
local watchers_of = base .. "onlookers:"

local function load_session(key)
  local flat = redis.call("HGETALL", key)
  if #flat == 0 then
    return nil
  end
  local session = {}
  for i = 1, #flat, 2 do
    session[flat[i]] = flat[i + 1]
  end
  return session
end

-- What a session is called in messages: "auction:<id>".
local function watch_name(key)
  return string.sub(key, #base + 1)
end

-- Tells those who wait that a session has changed. What it says is read from the session only.
local function notify_session_watchers(key)
  local what = watch_name(key)
  local receivers = redis.call("SMEMBERS", watchers_of .. what)
  if #receivers == 0 then
    return
  end
  redis.call("DEL", watchers_of .. what)
  for _, listener in ipairs(receivers) do
    notify(listener, "news " .. what)
  end
end

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

-- Has keys deleted at a time.
local function expire_at(time, keys)
  for _, key in ipairs(keys) do
    redis.call("PEXPIREAT", key, int(math.ceil(time / 1000)))
  end
end

-- Has a listener told of the next change; returns the reply for that, with the time at which the session
-- changes by itself (math.huge: it does not).
local function watch(key, listener, at)
  redis.call("SADD", watchers_of .. watch_name(key), listener)
  touch_ttl(watchers_of .. watch_name(key))
  return { "WAIT", at < math.huge and int(math.max(at - now, 0)) or "" }
end

-- A session as a flat list of names and values after what a reply begins with.
local function session_reply(reply, session)
  for name, value in pairs(session) do
    reply[#reply + 1] = name
    reply[#reply + 1] = value
  end
  return reply
end
