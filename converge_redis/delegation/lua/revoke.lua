-- revoke: ends a delegation, and with it all below it, which count by their links only.
-- KEYS[1]   what the delegations' keys begin with (delegation/delegations)
-- ARGV[1]   call id
-- ARGV[2]   id of the delegation
-- ARGV[3]   who revokes it, or "": not said
-- Reply     {"REVOKED"} | {"ENDED"}: revoked before, or expired | {"UNKNOWN"}
--           {"NOT_ISSUER"}: who revokes it has issued neither it nor any above it
--@include delegation/ended_delegations

local call, id, by = ARGV[1], ARGV[2], ARGV[3]
local delegation = load(id)
if not delegation then
  return { "UNKNOWN" }
end
if not delegations.is_issued_by(delegation, by) then
  return { "NOT_ISSUER" }
end
if delegation.call == call then
  return { "REVOKED" }
end
if delegation.revoked or (tonumber(delegation.expires) or math.huge) <= now then
  return { "ENDED" }
end
redis.call("HSET", records .. id, "revoked", now_text, "call", call)
if by ~= "" then
  redis.call("HSET", records .. id, "revoker", by)
end
redis.call("ZADD", over, int(now + KEPT), id)
sweep_expired()
return { "REVOKED" }
