-- delegate: stores a new delegation, if what it hands on is the delegator's, and is not widened.
-- KEYS[1]   what the delegations' keys begin with (delegation/delegations)
-- ARGV[1]   id of the delegation, ARGV[2] delegator, ARGV[3] delegatee, ARGV[4] direct or pooled
-- ARGV[5]   scope, or "": the parent's
-- ARGV[6]   parent, or ""
-- ARGV[7]   microseconds until it ends, or "": as the parent
-- ARGV[8]   the most levels below it, or "": as the parent allows
-- Reply     {"DELEGATED"}: now, or by the same call before
--           {"REFUSED", reason, the link or the person that is the reason}
--@include delegation/ended_delegations

local MAX_DEPTH = 32

local function last_score(key)
  return tonumber(redis.call("ZREVRANGE", key, 0, 0, "WITHSCORES")[2] or 0)
end

local id, from, to, kind, scope = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local parent_id, lasts, left = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
if redis.call("EXISTS", records .. id) == 1 then
  return { "DELEGATED" }
end
sweep_expired()
local expires, depth = lasts and now + lasts, 0
if parent_id ~= "" then
  local parent = load(parent_id)
  if not parent then
    return { "REFUSED", "unknown", parent_id }
  end
  if not delegations.is_held_by(parent, from) then
    return { "REFUSED", "not_holder", parent_id }
  end
  local link, why = delegations.broken_link(parent_id, parent)
  if link then
    return { "REFUSED", why, link }
  end
  local ends, below = tonumber(parent.expires), tonumber(parent.left)
  depth = tonumber(parent.depth) + 1
  if depth > MAX_DEPTH or below == 0 then
    return { "REFUSED", "depth", parent_id }
  end
  if scope == "" then
    scope = parent.scope
  elseif not delegations.covers(parent.scope, scope) then
    return { "REFUSED", "scope", parent_id }
  end
  if ends and expires and expires > ends then
    return { "REFUSED", "time", parent_id }
  end
  if below and left and left > below - 1 then
    return { "REFUSED", "depth", parent_id }
  end
  expires = expires or ends
  left = left or below and below - 1
  local above = parent
  while above and kind == "direct" do
    if above.from == to then
      return { "REFUSED", "cycle", to }
    end
    above = above.parent and load(above.parent)
  end
end
local delegation = { from = from, to = to, type = kind }
local mine, theirs = given .. from, holders_index(delegation)
local place = int(math.max(now, last_score(mine) + 1, last_score(theirs) + 1))
redis.call("HSET", records .. id, "from", from, "to", to, "type", kind, "scope", scope)
redis.call("HSET", records .. id, "created", now_text, "depth", depth, "place", place)
if parent_id ~= "" then
  redis.call("HSET", records .. id, "parent", parent_id)
end
if left then
  redis.call("HSET", records .. id, "left", int(left))
end
if expires then
  redis.call("HSET", records .. id, "expires", int(expires))
  redis.call("ZADD", over, int(expires + KEPT), id)
end
redis.call("ZADD", mine, place, id)
redis.call("ZADD", theirs, place, id)
return { "DELEGATED" }
