-- delegate: Create a delegation, if the delegator may pass on what it gives.
-- KEYS[1]   the prefix of the delegations' keys (delegation/delegations)
-- ARGV[1]   id of the delegation, ARGV[2] delegator, ARGV[3] delegatee, ARGV[4] direct or pooled
-- ARGV[5]   scope, or "": the parent's
-- ARGV[6]   parent, or ""
-- ARGV[7]   microseconds until it expires, or "": when the parent expires
-- ARGV[8]   the most levels below it, or "": as the parent allows
-- Reply     {"DELEGATED"}: by this call or an earlier try of it
--           {"REFUSED", reason, the delegation or the agent that is the reason}
--@include delegation/ended_delegations

local MAX_DEPTH = 32

local id, from, to, kind, scope = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local parent_id, duration, max_below = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call("EXISTS", records .. id) == 1 then
  return { "DELEGATED" }
end
sweep_expired()
local expires, depth = duration and now + duration, 0
if parent_id ~= "" then
  local parent = load_delegation(parent_id)
  if not parent then
    return { "REFUSED", "unknown", parent_id }
  elseif not delegations.is_held_by(parent, from) then
    return { "REFUSED", "not_holder", parent_id }
  end
  local link, reason = delegations.broken_link(parent_id, parent)
  if link then
    return { "REFUSED", reason, link }
  end
  local parent_expires, parent_below = tonumber(parent.expires), tonumber(parent.left)
  depth = tonumber(parent.depth) + 1
  if depth > MAX_DEPTH or parent_below == 0 then
    return { "REFUSED", "depth", parent_id }
  end
  if scope == "" then
    scope = parent.scope
  elseif not delegations.covers(parent.scope, scope) then
    return { "REFUSED", "scope", parent_id }
  end
  if parent_expires and expires and expires > parent_expires then
    return { "REFUSED", "time", parent_id }
  elseif parent_below and max_below and max_below > parent_below - 1 then
    return { "REFUSED", "depth", parent_id }
  end
  expires = expires or parent_expires
  max_below = max_below or parent_below and parent_below - 1
  local above = parent
  while above and kind == "direct" do
    if above.from == to then
      return { "REFUSED", "cycle", to }
    end
    above = above.parent and load_delegation(above.parent)
  end
end
local given_index, held_index = given .. from, holder_index({ type = kind, to = to })
local score = int(math.max(now, last_score(given_index) + 1, last_score(held_index) + 1))
redis.call("HSET", records .. id, "from", from, "to", to, "type", kind, "scope", scope)
redis.call("HSET", records .. id, "created", now_text, "depth", depth, "place", score)
if parent_id ~= "" then
  redis.call("HSET", records .. id, "parent", parent_id)
end
if max_below then
  redis.call("HSET", records .. id, "left", int(max_below))
end
if expires then
  redis.call("HSET", records .. id, "expires", int(expires))
  redis.call("ZADD", ended, int(expires + RETENTION_US), id)
end
redis.call("ZADD", given_index, score, id)
redis.call("ZADD", held_index, score, id)
return { "DELEGATED" }
