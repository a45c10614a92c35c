-- The keys of all pools, in the order of `_POOL_KEYS` in keys.py. Those whose names end in a prefix there
-- (records, members, memberships, admits) take a last part: an id.
--@include core/clock
local records, members, memberships, admits, pools, deleted =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- A pool is a hash:
--   spec, created, version   what was given, and when; the version grows with each change of the members
--   admission                open, whitelist, token or custom
--   asks                     "1": the joining process is to ask its policy objects first
--   max                      the most members, where there is such a limit
--   calls                    ids of the last calls that changed the members
local function load(id)
  local flat = redis.call("HGETALL", records .. id)
  if #flat == 0 then
    return nil
  end
  local pool = {}
  for i = 1, #flat, 2 do
    pool[flat[i]] = flat[i + 1]
  end
  return pool
end

-- A call whose reply was lost is sent again with the same call id.
local CALL_LENGTH = 11
local CALLS_KEPT = 32

local function has_seen(pool, call)
  return string.find(pool.calls or "", call, 1, true) ~= nil
end

-- Versions only grow, also from a pool to the next one of the same id, and when the clock was set back.
local function changed(id, pool, call)
  local version = int(math.max(tonumber(pool.version) + 1, now))
  local calls = call .. string.sub(pool.calls or "", 1, (CALLS_KEPT - 1) * CALL_LENGTH)
  redis.call("HSET", records .. id, "version", version, "calls", calls)
end

local function last_score(key)
  return tonumber(redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")[2] or 0)
end

-- One score in both indexes, above all others there: it is the order of joining, and the place in a page.
local function enter(id, agent)
  local score = math.max(now, last_score(members .. id) + 1, last_score(memberships .. agent) + 1)
  redis.call("ZADD", members .. id, int(score), agent)
  redis.call("ZADD", memberships .. agent, int(score), id)
end

-- Clears away a bounded number of a deleted pool's members.
local CLEARED_AT_ONCE = 500

local function clear(id)
  local leaving = redis.call("ZRANGE", members .. id, 0, CLEARED_AT_ONCE - 1)
  for _, agent in ipairs(leaving) do
    redis.call("ZREM", memberships .. agent, id)
  end
  redis.call("ZREMRANGEBYRANK", members .. id, 0, CLEARED_AT_ONCE - 1)
  if redis.call("EXISTS", members .. id) == 0 then
    redis.call("HDEL", deleted, id)
  end
end

-- Does a part of what a process left behind that ended while it deleted a pool. What was deleted just now is
-- left alone: its deleter is at it, and may ask again under its call id, which goes when all is cleared.
local GRACE = 60 * 1000000

local function sweep_deleted_pools()
  local page = redis.call("HSCAN", deleted, 0, "COUNT", 1)[2]
  local id, mark = page[1], page[2]
  if id and tonumber(string.sub(mark, CALL_LENGTH + 1)) <= now - GRACE then
    clear(id)
  end
end

-- The call that deleted a pool whose members are still being cleared away.
local function deleting_call(id)
  local mark = redis.call("HGET", deleted, id)
  return mark and string.sub(mark, 1, CALL_LENGTH)
end
