-- claim: Claim a task by its id (pending -> assigned).
-- KEYS[1]   the shard (core/shard_keys)
-- KEYS[2]   with a scope: the prefix of the delegations' keys (delegation/delegations)
-- ARGV[1]   call id
-- ARGV[2]   task id
-- ARGV[3]   agent id
-- ARGV[4]   the agent whose authority is needed ("": any), ARGV[5] the scope to check; or neither
-- Reply     {"CLAIMED"} | {"NOT_PENDING"} | {"NOT_DUE"} | {"UNKNOWN"} | {"NOT_GRANTED"}
--@include tasks/sweep_due
--@include delegation/grants

local delegations_prefix = KEYS[2]
local call_id, id, agent, principal, scope = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local record = load(id)
if not record then
  return { "UNKNOWN" }
end
if seen_call(record, call_id) then
  return { "CLAIMED" }
end
if scope and not lazy.is_granted(delegations_prefix, agent, principal, scope) then
  return { "NOT_GRANTED" }
end
apply_due(id, record, now)
if record.state ~= "pending" then
  return { "NOT_PENDING" }
end
if record.due then
  return { "NOT_DUE" }
end
assign(id, record, agent, call_id)
sweep_due()
return { "CLAIMED" }
