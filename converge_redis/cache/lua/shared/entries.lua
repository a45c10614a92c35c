-- Entries of a shared cache: stored values with the header "<version> <fresh> <cost> <revision> <tag> …":
--   fresh      the time in milliseconds until which it is fresh; "-": as long as it is stored
--   cost       microseconds that its computation took
--   revision   the version of the last stored value when its computation began
-- Tags are percent-encoded; when one was deleted after `revision`, the entry is invalid. A value with a
-- shorter header is fresh until it expires.
-- The caller that computes an entry holds the lock of its key, a string that expires:
--   computing <token> <since> <revision> <version>   since: microseconds; version: of the value to replace
--   failed <token> <error>
--@include notifications/session
--@include store/values

local function header_fields(header)
  local words = {}
  for word in string.gmatch(header, "%S+") do
    words[#words + 1] = word
  end
  return words
end

-- Return whether one of the tags from index `first` on was deleted after a version.
local function tag_dropped_since(tags, first, version)
  for i = first, #tags do
    if tonumber(redis.call("GET", tag_versions .. tags[i]) or 0) > version then
      return true
    end
  end
  return false
end

-- Keep the versions of tags for at least some milliseconds. Each change of them invalidates all entries with
-- the tag in near caches; so a lifetime that is too short is set to twice as long, to change it seldom.
local function keep_tags(tags, first, ttl_ms)
  for i = first, #tags do
    local name = tag_versions .. tags[i]
    local left_ms = redis.call("PTTL", name)
    if left_ms == -2 then
      redis.call("SET", name, 0, "PX", int(2 * ttl_ms))
    elseif left_ms < ttl_ms then
      redis.call("PEXPIRE", name, int(2 * ttl_ms))
    end
  end
end

local function store_entry(key, data, fresh_ms, ttl_ms, cost, base_revision, tags, first)
  local fresh_until = tonumber(fresh_ms) == ttl_ms and "-" or int(now_ms() + fresh_ms)
  local header = { next_version(), fresh_until, int(cost), int(base_revision) }
  for i = first, #tags do
    header[#header + 1] = tags[i]
  end
  store_value(key, table.concat(header, " "), data, ttl_ms)
  keep_tags(tags, first, ttl_ms)
end

-- Return the lock of a key while a caller computes the value; else nil, and the last failure.
local function load_lock(key)
  local text = redis.call("GET", locks .. key)
  if not text then
    return nil
  end
  local token, message = string.match(text, "^failed (%S+) (.*)$")
  if token then
    return nil, { token = token, error = message }
  end
  local words = header_fields(text)
  return { token = words[2], since = tonumber(words[3]), revision = tonumber(words[4]), version = words[5] }
end
