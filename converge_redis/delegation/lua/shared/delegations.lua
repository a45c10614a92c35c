-- Delegations, in the slot of the pools, since members of pools hold them too.
--@include core/clock

-- A delegation is a hash:
--   from, to, type           who delegates, the agent or pool that holds it, direct or pooled
--   scope                    ",<part>,<part>,", each percent-encoded, each once
--   parent                   the delegation that is handed on
--   depth, left              how many are above it; how many levels may be below it
--   created, expires         times
--   revoked, revoker, call   when it was revoked, by whom, by which call
--   place                    its score in the indexes of those who gave and who hold it
--
-- Returns what works on them. Their keys begin with `home`; the list, with what each holds, is in keys.py.
-- Those that end in a colon are prefixes, and take an id.
local function make_delegations(home)
  local records, given, held = home .. "delegation:", home .. "given:", home .. "held:"
  local pooled, members, memberships = home .. "pooled:", home .. "members:", home .. "agent:"
  local LOOKED_AT = 200

  local function load_delegation(id)
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

  local function is_held_by(delegation, agent)
    if delegation.type == "pooled" then
      return redis.call("ZSCORE", members .. delegation.to, agent) ~= false
    end
    return delegation.to == agent
  end

  -- Returns nil while a delegation counts, else the id of the link that does not, and why: revoked, expired,
  -- or its pool was left by the one who has handed it on.
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
      local parent = load_delegation(delegation.parent)
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

  -- Whether an agent has issued a delegation, or one above it ("": any has).
  local function is_issued_by(delegation, agent)
    while agent ~= "" and delegation and delegation.from ~= agent do
      delegation = delegation.parent and load_delegation(delegation.parent)
    end
    return delegation ~= nil
  end

  local function is_among(key, principal, scope)
    for _, id in ipairs(redis.call("ZREVRANGE", key, 0, LOOKED_AT - 1)) do
      local delegation = load_delegation(id)
      if delegation and covers(delegation.scope, scope) and not broken_link(id, delegation) then
        if is_issued_by(delegation, principal) then
          return true
        end
      end
    end
    return false
  end

  -- Whether an agent holds, itself or in a pool, a delegation that counts, covers a scope, and goes back to a
  -- principal. The latest 200 of each holder are looked at.
  local function is_granted(agent, principal, scope)
    if is_among(held .. agent, principal, scope) then
      return true
    end
    for _, pool in ipairs(redis.call("ZREVRANGE", memberships .. agent, 0, LOOKED_AT - 1)) do
      if is_among(pooled .. pool, principal, scope) then
        return true
      end
    end
    return false
  end

  return {
    records = records,
    given = given,
    held = held,
    pooled = pooled,
    members = members,
    over = home .. "over",
    load = load_delegation,
    is_held_by = is_held_by,
    broken_link = broken_link,
    covers = covers,
    is_issued_by = is_issued_by,
    is_granted = is_granted,
  }
end
