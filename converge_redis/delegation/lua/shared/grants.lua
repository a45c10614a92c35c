-- The check of claims with `enforce`: may an agent act for a principal? Call it as `lazy.is_granted`.
--@include delegation/delegations

-- Return whether an agent holds, itself or in a pool, an active delegation that covers a scope and that a
-- principal ("": any) issued, directly or through others. Checks the latest 200 delegations of each holder.
-- `prefix` is that of the delegations' keys.
local function is_granted(prefix, agent, principal, wanted)
  local delegations = make_delegations(prefix)
  local MAX_CHECKED = 200

  local function has_grant(index)
    for _, id in ipairs(redis.call("ZREVRANGE", index, 0, MAX_CHECKED - 1)) do
      local delegation = delegations.load_delegation(id)
      if delegation and delegations.covers(delegation.scope, wanted) then
        local is_active = not delegations.broken_link(id, delegation)
        if is_active and delegations.is_issued_by(delegation, principal) then
          return true
        end
      end
    end
    return false
  end

  if has_grant(delegations.held .. agent) then
    return true
  end
  for _, pool in ipairs(redis.call("ZREVRANGE", delegations.memberships .. agent, 0, MAX_CHECKED - 1)) do
    if has_grant(delegations.pooled .. pool) then
      return true
    end
  end
  return false
end
