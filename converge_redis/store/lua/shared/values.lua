-- Stored values, in the slot of values: strings of a header line, whose first word is the version, and the
-- payload. The names are in the order of core/keys.py, which says what each key holds; KEYS[1] is their
-- prefix.
--@include core/clock
local values_prefix = KEYS[1]
local values, index = values_prefix .. "value:", values_prefix .. "values"
local expiring, revision = values_prefix .. "expiring", values_prefix .. "revision"
local store_calls = values_prefix .. "storer:"
local locks = values_prefix .. "lock:"
local tag_versions = values_prefix .. "tag:"

local SWEPT_PER_WRITE = 10

local function now_ms()
  return math.floor(now / 1000)
end

-- Return the version of the next stored value: one counter for all values of the namespace.
local function next_version()
  return int(redis.call("INCR", revision))
end

-- Return the version of a value; "0" where it does not exist.
local function version_of(key)
  return string.match(redis.call("GETRANGE", values .. key, 0, 20), "^%d+") or "0"
end

-- Store a value for some milliseconds, or, with "", until it is deleted.
local function store_value(key, header, data, ttl_ms)
  if ttl_ms == "" then
    redis.call("SET", values .. key, header .. "\n" .. data)
    redis.call("ZREM", expiring, key)
  else
    local expires = int(now_ms() + ttl_ms)
    redis.call("SET", values .. key, header .. "\n" .. data, "PXAT", expires)
    redis.call("ZADD", expiring, expires, key)
  end
  redis.call("ZADD", index, 0, key)
end

-- Delete a value and all that belongs to it, and return 1 if it existed. A computation of it that is in
-- progress loses its lock, so it stores nothing.
local function delete_value(key)
  redis.call("DEL", store_calls .. key, locks .. key)
  redis.call("ZREM", index, key)
  redis.call("ZREM", expiring, key)
  return redis.call("DEL", values .. key)
end

-- Remove up to `limit` expired values from the indexes, and return whether there may be more. Computations of
-- them keep their locks.
local function sweep_expired(limit)
  local expired = redis.call("ZRANGEBYSCORE", expiring, "-inf", int(now_ms()), "LIMIT", 0, limit)
  for _, key in ipairs(expired) do
    redis.call("DEL", values .. key) -- the server's own expiry may be a moment later
    redis.call("ZREM", index, key)
    redis.call("ZREM", expiring, key)
  end
  return #expired == limit
end
