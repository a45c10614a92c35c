-- Entries of a shared cache: stored values whose line goes on with
--   fresh    the time in milliseconds until which it is fresh; "-": for as long as it is kept
--   cost     the microseconds that it took to compute
--   begun    the version of what was stored last when its computation began
--   tag …    percent-encoded
-- A value without these words is fresh until it expires. An entry is over when one of its tags was dropped
-- at a version after `revision`.
--
-- Who computes holds the lock of the key, a string that expires:
--   computing <token> <since> <begun> <version>   since when (microseconds); the version that it replaces
--   failed <token> <error>
--@include notifications/session
--@include store/values
local tag_versions = house .. "tag:"

local FAILURE_MS = 10000

local function header_fields(line)
  local words = {}
  for word in string.gmatch(line, "%S+") do
    words[#words + 1] = word
  end
  return words
end

-- Tells whether a tag was dropped after a version.
local function tag_dropped_since(tags, first, version)
  for i = first, #tags do
    if tonumber(redis.call("GET", tag_versions .. tags[i]) or 0) > version then
      return true
    end
  end
  return false
end

-- Keeps what is known of tags for at least some milliseconds. Each change has near caches drop what has the
-- tag, so it is kept for twice as long when it has to be kept for longer.
local function keep_tags(tags, first, life)
  for i = first, #tags do
    local name = tag_versions .. tags[i]
    local left = redis.call("PTTL", name)
    if left == -2 then
      redis.call("SET", name, 0, "PX", int(2 * life))
    elseif left < life then
      redis.call("PEXPIRE", name, int(2 * life))
    end
  end
end

-- Returns an entry, unless there is none or one of its tags was dropped.
local function load_entry(key)
  local raw = redis.call("GET", values .. key)
  if not raw then
    return nil
  end
  local words = header_fields(string.match(raw, "^[^\n]*"))
  local entry = { raw = raw, fresh = tonumber(words[2]), cost = tonumber(words[3] or 0) }
  if #words > 4 and tag_dropped_since(words, 5, tonumber(words[4])) then
    return nil
  end
  -- Microseconds for which it is fresh; math.huge: until it is deleted.
  if entry.fresh then
    entry.left = entry.fresh * 1000 - now
  else
    local left = redis.call("PTTL", values .. key)
    entry.left = left < 0 and math.huge or left * 1000 + 1 -- 0: less than a millisecond
  end
  return entry
end

local function store_entry(key, data, fresh, life, cost, revision, tags, first)
  local until_ms = tonumber(fresh) == life and "-" or int(milliseconds() + fresh)
  local line = { next_version(), until_ms, int(cost), int(revision) }
  for i = first, #tags do
    line[#line + 1] = tags[i]
  end
  store(key, table.concat(line, " "), data, life)
  keep_tags(tags, first, life)
end

-- Returns the lock of a key if somebody computes, and else why that failed last.
local function load_lock(key)
  local text = redis.call("GET", locks .. key)
  if not text then
    return nil, nil
  end
  local token, rest = string.match(text, "^failed (%S+) (.*)$")
  if token then
    return nil, { token = token, error = rest }
  end
  local fields = header_fields(text)
  local lock = { token = fields[2], since = tonumber(fields[3]) }
  lock.revision, lock.version = tonumber(fields[4]), fields[5]
  return lock, nil
end
