-- join_pool: makes an agent a member, if the pool admits it. A member stays one, whatever the rules say.
-- KEYS      the pools' keys (pools/pools)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   pool id
-- ARGV[4]   SHA-256 of the token, hexadecimal, or ""
-- ARGV[5]   the version under which the policy objects have admitted the agent, or ""
-- Reply     {"JOINED"} | {"UNKNOWN"} | {"DENIED", reason}
--           {"ASK"}: the policy objects have not been asked, or the pool has changed since
--@include pools/pools

local call, agent, id, digest, version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local pool = load(id)
if not pool then
  return { "UNKNOWN" }
end
if has_seen(pool, call) or redis.call("ZSCORE", members .. id, agent) then
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
enter(id, agent)
changed(id, pool, call)
return { "JOINED" }
