-- revoke: Revoke a delegation. All delegations below it end too, since each is active only with its chain.
-- KEYS[1]   the prefix of the delegations' keys (delegation/delegations)
-- ARGV[1]   call id
-- ARGV[2]   id of the delegation
-- ARGV[3]   the agent that revokes it, or "": not checked
-- Reply     {"REVOKED"} | {"ENDED"}: revoked before, or expired | {"UNKNOWN"}
--           {"NOT_ISSUER"}: the agent issued neither the delegation nor one above it
--@include delegation/ended_delegations

local call, id, by = ARGV[1], ARGV[2], ARGV[3]
local delegation = load_delegation(id)
if not delegation then
  return { "UNKNOWN" }
elseif not delegations.is_issued_by(delegation, by) then
  return { "NOT_ISSUER" }
elseif delegation.call == call then
  return { "REVOKED" }
elseif delegation.revoked or (tonumber(delegation.expires) or math.huge) <= now then
  return { "ENDED" }
end
redis.call("HSET", records .. id, "revoked", now_text, "call", call)
if by ~= "" then
  redis.call("HSET", records .. id, "revoker", by)
end
redis.call("ZADD", ended, int(now + RETENTION_US), id)
sweep_expired()
return { "REVOKED" }
