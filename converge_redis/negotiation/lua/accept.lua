-- accept: an agent agrees with the standing proposal; with enough of them the negotiation is over.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] negotiation, ARGV[3] agent
-- ARGV[4]   the proposal that it has read, or ""
-- Reply     {"DONE"} | {"REFUSED", unknown, not_participant, late, stale or own}
--@include negotiation/negotiations

local call, id, agent, proposal = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local session = load_negotiation(id)
local reply = early_reply(session, agent, call) or stale_reply(id, session, proposal)
if reply then
  return reply
end
if agent == session.proposer then
  return { "REFUSED", "own" }
end
local accepted = session.accepted
if not contains(accepted, agent) then
  accepted = accepted .. agent .. ","
end
local fields = { accepted = accepted }
fields["call:" .. agent] = call
local _, of_all = string.gsub(session.participants, ",", "")
local _, so_far = string.gsub(accepted, ",", "")
if session.quorum == "any" or so_far == of_all - 1 then
  fields.by = agent
  finish(id, session, "accepted", now, fields)
else
  update_session(negotiations .. id, session, fields)
end
return { "DONE" }
