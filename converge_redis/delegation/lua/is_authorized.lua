-- is_authorized: looks for a delegation that counts, that an agent holds, and that covers a scope.
-- KEYS[1]   what the delegations' keys begin with (delegation/delegations)
-- ARGV[1]   agent
-- ARGV[2]   scope
-- ARGV[3]   pool whose delegations to look at, or "": the agent's own
-- ARGV[4]   the place after which to begin, or "-inf"
-- ARGV[5]   the most delegations to look at
-- Reply     {"YES", id of the delegation} | {"NO"} | {"MORE", place of the last one looked at}
--@include delegation/delegations

local home = KEYS[1]
local delegations = make_delegations(home)
local agent, wanted, pool, after, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if pool ~= "" and not redis.call("ZSCORE", delegations.members .. pool, agent) then
  return { "NO" }
end
local key = pool ~= "" and delegations.pooled .. pool or delegations.held .. agent
local page = redis.call("ZRANGEBYSCORE", key, "(" .. after, "+inf", "WITHSCORES", "LIMIT", 0, most)
for i = 1, #page, 2 do
  local delegation = delegations.load(page[i])
  if delegation and delegations.covers(delegation.scope, wanted) then
    if not delegations.broken_link(page[i], delegation) then
      return { "YES", page[i] }
    end
  end
end
if #page < 2 * most then
  return { "NO" }
end
return { "MORE", int(tonumber(page[#page])) }
