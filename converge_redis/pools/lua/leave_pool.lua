-- leave_pool: End the membership of an agent.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   pool id
-- Reply     {"LEFT"} | {"NOT_MEMBER"} | {"UNKNOWN"}
--@include pools/pools

local call, agent, id = ARGV[1], ARGV[2], ARGV[3]
local pool = load_pool(id)
if not pool then
  return { "UNKNOWN" }
end
if seen_call(pool, call) then
  return { "LEFT" }
end
if redis.call("ZREM", members .. id, agent) == 0 then
  return { "NOT_MEMBER" }
end
redis.call("ZREM", memberships .. agent, id)
update_version(id, pool, call)
return { "LEFT" }
