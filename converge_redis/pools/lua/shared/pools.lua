-- Pools. The keys are in the order of `_POOL_KEYS` in core/keys.py; records, members, memberships and admits
-- are prefixes, and an id follows.
--@include core/clock
--@include core/collections
local records, members, memberships, admits, pools, deleted =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- A pool is a hash:
--   spec, created, version   specification; time; a number that grows with each change of the members
--   admission                open, whitelist, token or custom
--   asks                     "1": the joining process must call its policy objects first
--   max                      the most members; none: no limit
--   calls                    ids of the last calls that changed the members
local function load_pool(id)
  return read_hash(records .. id)
end

-- A retry of a call whose reply was lost has the same call id.
local CALL_LENGTH = 11
local MAX_CALLS = 32

local function seen_call(pool, call)
  return string.find(pool.calls or "", call, 1, true) ~= nil
end

-- Store a change of the members: a new version, and the call. Versions only grow, also from a deleted pool to
-- a new one with its id, and when the clock was set back.
local function update_version(id, pool, call)
  local version = int(math.max(tonumber(pool.version) + 1, now))
  local calls = call .. string.sub(pool.calls or "", 1, (MAX_CALLS - 1) * CALL_LENGTH)
  redis.call("HSET", records .. id, "version", version, "calls", calls)
end

-- Return the call that deleted a pool whose members are still being removed.
local function deletion_call(id)
  local mark = redis.call("HGET", deleted, id)
  return mark and string.sub(mark, 1, CALL_LENGTH)
end

-- Remove a batch of the members of a deleted pool; after the last batch, remove its mark.
local REMOVED_PER_CALL = 500

local function remove_members(id)
  for _, agent in ipairs(redis.call("ZRANGE", members .. id, 0, REMOVED_PER_CALL - 1)) do
    redis.call("ZREM", memberships .. agent, id)
  end
  redis.call("ZREMRANGEBYRANK", members .. id, 0, REMOVED_PER_CALL - 1)
  if redis.call("EXISTS", members .. id) == 0 then
    redis.call("HDEL", deleted, id)
  end
end

-- Continue one interrupted deletion of a pool. A recent deletion is left to its own process, which may retry
-- with its call id: the mark with that id must stay until all members are removed.
local GRACE_US = 60 * 1000000

local function sweep_deleted_pools()
  local page = redis.call("HSCAN", deleted, 0, "COUNT", 1)[2]
  local id, mark = page[1], page[2]
  if id and tonumber(string.sub(mark, CALL_LENGTH + 1)) <= now - GRACE_US then
    remove_members(id)
  end
end
