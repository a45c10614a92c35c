-- accept: Accept the current proposal for an agent; the negotiation ends once its quorum has accepted.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] negotiation, ARGV[3] agent
-- ARGV[4]   the proposal that the agent has read, or "": any
-- Reply     {"DONE"} | {"REFUSED", unknown, not_participant, late, stale or own}
--@include negotiation/negotiations

local call, id, agent, proposal = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local session, reply = load_for_call(call, id, agent, proposal)
if reply then
  return reply
elseif agent == session.proposer then
  return { "REFUSED", "own" }
end
local accepted = session.accepted
if not contains(accepted, agent) then
  accepted = accepted .. agent .. ","
end
local fields = { accepted = accepted }
fields["call:" .. agent] = call
local _, commas = string.gsub(session.participants, ",", "") -- one more than the participants
local _, accepted_commas = string.gsub(accepted, ",", "")
if session.quorum == "any" or accepted_commas == commas - 1 then
  fields.by = agent
  finish(id, session, "accepted", now, fields)
else
  update_session(negotiations .. id, session, fields)
end
return { "DONE" }
