-- reject: Reject the current proposal for an agent, which ends the negotiation.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] negotiation, ARGV[3] agent
-- ARGV[4]   the proposal that the agent has read, or "": any
-- Reply     {"DONE"} | {"REFUSED", unknown, not_participant, late or stale}
--@include negotiation/negotiations

local call, id, agent, proposal = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local session, reply = load_for_call(call, id, agent, proposal)
if reply then
  return reply
end
local fields = { by = agent }
fields["call:" .. agent] = call
finish(id, session, "rejected", now, fields)
return { "DONE" }
