-- Stored values, in the slot of values. Each is a string: a line of words, of which the first is the version,
-- and the bytes after it. The names begin with KEYS[1]; the list, with what each holds, is in keys.py.
--@include core/clock
local house = KEYS[1]
local values, index, expiring = house .. "value:", house .. "values", house .. "expiring"
local storers, locks, revision = house .. "storer:", house .. "lock:", house .. "revision"

local SWEPT_PER_WRITE = 10

local function milliseconds()
  return math.floor(now / 1000)
end

-- Returns the version of what is stored next: they count up over all values of the namespace.
local function next_version()
  return int(redis.call("INCR", revision))
end

-- Returns the version of a value, "0" when there is none.
local function version_of(key)
  return string.match(redis.call("GETRANGE", values .. key, 0, 20), "^%d+") or "0"
end

-- Stores a value, for some milliseconds or, with "", until it is deleted.
local function store(key, line, data, life)
  if life == "" then
    redis.call("SET", values .. key, line .. "\n" .. data)
    redis.call("ZREM", expiring, key)
  else
    local ends = int(milliseconds() + life)
    redis.call("SET", values .. key, line .. "\n" .. data, "PXAT", ends)
    redis.call("ZADD", expiring, ends, key)
  end
  redis.call("ZADD", index, 0, key)
end

-- Deletes a value with all that belongs to it; a computation for it that is under way stores nothing. Returns
-- 1 if there was a value.
local function delete(key)
  redis.call("DEL", storers .. key, locks .. key)
  redis.call("ZREM", index, key)
  redis.call("ZREM", expiring, key)
  return redis.call("DEL", values .. key)
end

-- Takes values that have expired from the indexes, the most given; returns whether there may be more. Who
-- computes one again goes on.
local function sweep_expired(most)
  local over = redis.call("ZRANGEBYSCORE", expiring, "-inf", int(milliseconds()), "LIMIT", 0, most)
  for _, key in ipairs(over) do
    redis.call("DEL", values .. key) -- the server may look at its clock a moment later
    redis.call("ZREM", index, key)
    redis.call("ZREM", expiring, key)
  end
  return #over == most
end
