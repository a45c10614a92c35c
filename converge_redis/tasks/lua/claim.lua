-- claim: pending -> assigned, of one task that the agent names.
-- KEYS[1]   the shard (core/shard_keys)
-- KEYS[2]   where a scope is needed: what the delegations' keys begin with (delegation/delegations)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   agent id
-- ARGV[4]   on whose behalf it claims ("": anybody's), ARGV[5] the scope that it needs for that; or neither
-- Reply     {"CLAIMED"} | {"NOT_PENDING"} | {"NOT_DUE"} | {"UNKNOWN"} | {"NOT_GRANTED"}
--@include tasks/expiry
--@include delegation/grants

local home = KEYS[2]
local call, id, agent, principal, scope = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local record = load(id)
if not record then
  return { "UNKNOWN" }
end
if seen_call(record, call) then
  return { "CLAIMED" }
end
if scope and not lazy.is_granted(home, agent, principal, scope) then
  return { "NOT_GRANTED" }
end
apply_due(id, record, now)
if record.state ~= "pending" then
  return { "NOT_PENDING" }
end
if record.due then
  return { "NOT_DUE" }
end
assign(id, record, agent, call)
sweep_due()
return { "CLAIMED" }
