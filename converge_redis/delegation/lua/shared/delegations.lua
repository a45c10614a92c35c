-- Delegations. They are in the slot of the pools, since the members of a pool hold delegations too.
--@include core/clock
--@include core/collections

-- A delegation is a hash:
--   from, to, type           delegator; the agent or pool that holds it; direct (agent) or pooled (pool)
--   scope                    ",<part>,<part>,", each part percent-encoded and only once
--   parent                   the delegation that this one passes on
--   depth, left              number of delegations above it; levels that may follow below it
--   created, expires         times
--   revoked, revoker, call   time, agent and call of its revocation
--   place                    its score in the indexes of its delegator and of its holder
--
-- Return functions on the delegations whose key names begin with a prefix, and those names. core/keys.py says
-- what each key holds. All of it is made on demand: a claim without `enforce` needs none of it.
local function make_delegations(prefix)
  local records, given, held = prefix .. "delegation:", prefix .. "given:", prefix .. "held:"
  local pooled, members = prefix .. "pooled:", prefix .. "members:"

  local function load_delegation(id)
    return read_hash(records .. id)
  end

  local function is_held_by(delegation, agent)
    if delegation.type == "pooled" then
      return redis.call("ZSCORE", members .. delegation.to, agent) ~= false
    end
    return delegation.to == agent
  end

  -- Return nil for an active delegation; else the id of the delegation in its chain that ends it, and the
  -- reason: revoked, expired, gone (deleted after its end), or left: its delegator no longer holds the one
  -- above.
  local function broken_link(id, delegation)
    while true do
      if delegation.revoked then
        return id, "revoked"
      elseif delegation.expires and tonumber(delegation.expires) <= now then
        return id, "expired"
      elseif not delegation.parent then
        return nil
      end
      local parent = load_delegation(delegation.parent)
      if not parent then
        return delegation.parent, "gone"
      elseif not is_held_by(parent, delegation.from) then
        return delegation.parent, "left"
      end
      id, delegation = delegation.parent, parent
    end
  end

  -- Return whether a scope has all parts of the wanted one.
  local function covers(scope, wanted)
    for part in string.gmatch(wanted, "[^,]+") do
      if not string.find(scope, "," .. part .. ",", 1, true) then
        return false
      end
    end
    return true
  end

  -- Return whether an agent ("": any) issued a delegation, or one above it.
  local function is_issued_by(delegation, agent)
    while agent ~= "" and delegation and delegation.from ~= agent do
      delegation = delegation.parent and load_delegation(delegation.parent)
    end
    return delegation ~= nil
  end

  return {
    records = records,
    given = given,
    held = held,
    pooled = pooled,
    members = members,
    memberships = prefix .. "agent:",
    ended = prefix .. "over",
    load_delegation = load_delegation,
    is_held_by = is_held_by,
    broken_link = broken_link,
    covers = covers,
    is_issued_by = is_issued_by,
  }
end
