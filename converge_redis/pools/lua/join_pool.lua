-- join_pool: Make an agent a member, if the pool admits it. An agent that is a member stays one.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   pool id
-- ARGV[4]   SHA-256 of the token, hexadecimal, or ""
-- ARGV[5]   version of the pool for which the policy objects have admitted the agent, or ""
-- Reply     {"JOINED"} | {"UNKNOWN"} | {"DENIED", reason}
--           {"ASK"}: the policy objects must be called first, or again, as the pool has changed
--@include pools/pools

local call, agent, id, digest, version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local pool = load_pool(id)
if not pool then
  return { "UNKNOWN" }
end
if seen_call(pool, call) or redis.call("ZSCORE", members .. id, agent) then
  return { "JOINED" }
end
if pool.admission == "whitelist" and redis.call("SISMEMBER", admits .. id, agent) == 0 then
  return { "DENIED", "not_on_whitelist" }
end
if pool.admission == "token" and redis.call("SISMEMBER", admits .. id, digest) == 0 then
  return { "DENIED", "wrong_token" }
end
if pool.max and redis.call("ZCARD", members .. id) >= tonumber(pool.max) then
  return { "DENIED", "full" }
end
if pool.asks and version ~= pool.version then
  return { "ASK" }
end
-- The score is the same in both indexes, and the highest in each: the order of joining, and the position in
-- pages.
local score = math.max(now, last_score(members .. id) + 1, last_score(memberships .. agent) + 1)
redis.call("ZADD", members .. id, int(score), agent)
redis.call("ZADD", memberships .. agent, int(score), id)
update_version(id, pool, call)
return { "JOINED" }
