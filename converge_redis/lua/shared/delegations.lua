-- Delegations, in the slot of the pools, since members of pools hold them too. The keys are those of
-- `_DELEGATION_KEYS` in keys.py, in that order; all but the last end in a prefix, and take an id.
--@include shared/clock
local records, given, held, pooled, members, over = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- A delegation is a hash:
--   from, to, type           who delegates, the agent or pool that holds it, direct or pooled
--   scope                    ",<part>,<part>,", each percent-encoded, each once
--   parent                   the delegation that is handed on
--   depth, left              how many are above it; how many levels may be below it
--   created, expires         times
--   revoked, revoker, call   when it was revoked, by whom, by which call
--   place                    its score in the indexes of those who gave and who hold it
local KEPT = 86400 * 1000000 -- after its end
local MOST_DEPTH = 32

local function load(id)
  local flat = redis.call("HGETALL", records .. id)
  if #flat == 0 then
    return nil
  end
  local delegation = {}
  for i = 1, #flat, 2 do
    delegation[flat[i]] = flat[i + 1]
  end
  return delegation
end

-- The index of those delegations that an agent or a pool holds.
local function holders_index(delegation)
  return (delegation.type == "pooled" and pooled or held) .. delegation.to
end

local function is_held_by(delegation, agent)
  if delegation.type == "pooled" then
    return redis.call("ZSCORE", members .. delegation.to, agent) ~= false
  end
  return delegation.to == agent
end

-- Returns nil while a delegation counts, else the id of the link that does not, and why: revoked, expired, or
-- its pool was left by the one who has handed it on.
local function broken_link(id, delegation)
  while true do
    if delegation.revoked then
      return id, "revoked"
    end
    if delegation.expires and tonumber(delegation.expires) <= now then
      return id, "expired"
    end
    if not delegation.parent then
      return nil
    end
    local parent = load(delegation.parent)
    if not parent then
      return delegation.parent, "gone"
    end
    if not is_held_by(parent, delegation.from) then
      return delegation.parent, "left"
    end
    id, delegation = delegation.parent, parent
  end
end

-- Whether every part of the one scope is in the other.
local function covers(scope, wanted)
  for part in string.gmatch(wanted, "[^,]+") do
    if not string.find(scope, "," .. part .. ",", 1, true) then
      return false
    end
  end
  return true
end

local function last_score(key)
  return tonumber(redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")[2] or 0)
end

-- Deletes a bounded number of delegations that have ended long ago.
local SWEPT = 20

local function sweep()
  for _, id in ipairs(redis.call("ZRANGEBYSCORE", over, "-inf", now_text, "LIMIT", 0, SWEPT)) do
    local delegation = load(id)
    if delegation then
      redis.call("ZREM", given .. delegation.from, id)
      redis.call("ZREM", holders_index(delegation), id)
      redis.call("DEL", records .. id)
    end
    redis.call("ZREM", over, id)
  end
end
