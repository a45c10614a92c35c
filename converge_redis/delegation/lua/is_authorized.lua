-- is_authorized: Find an active delegation that an agent holds and that covers a scope.
-- KEYS[1]   the prefix of the delegations' keys (delegation/delegations)
-- ARGV[1]   agent
-- ARGV[2]   scope
-- ARGV[3]   the pool whose delegations are searched, or "": the agent's own
-- ARGV[4]   position of the last entry of the previous page, or "-inf"
-- ARGV[5]   the most delegations to check
-- Reply     {"YES", id of the delegation} | {"NO"} | {"MORE", position of the last entry checked}
--@include delegation/delegations

local prefix = KEYS[1]
local delegations = make_delegations(prefix)
local agent, wanted, pool, after, limit = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if pool ~= "" and not redis.call("ZSCORE", delegations.members .. pool, agent) then
  return { "NO" }
end
local index = pool ~= "" and delegations.pooled .. pool or delegations.held .. agent
local page = redis.call("ZRANGEBYSCORE", index, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, limit)
for i = 1, #page, 2 do
  local delegation = delegations.load_delegation(page[i])
  if delegation and delegations.covers(delegation.scope, wanted) then
    if not delegations.broken_link(page[i], delegation) then
      return { "YES", page[i] }
    end
  end
end
if #page < 2 * limit then
  return { "NO" }
end
return { "MORE", int(tonumber(page[#page])) }
