-- close: End a negotiation without a result.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] negotiation
-- ARGV[3]   the agent that closes it, which must be a participant, or "": not checked
-- Reply     {"DONE"} | {"REFUSED", unknown, not_participant or late}
--@include negotiation/negotiations

local call, id, agent = ARGV[1], ARGV[2], ARGV[3]
local session = load_negotiation(id)
if not session then
  return { "REFUSED", "unknown" }
elseif agent ~= "" and not contains(session.participants, agent) then
  return { "REFUSED", "not_participant" }
elseif session.closer == call then
  return { "DONE" }
elseif is_over(session) then
  return { "REFUSED", "late" }
end
local fields = { reason = "closed", closer = call }
if agent ~= "" then
  fields.by = agent
end
finish(id, session, "closed", now, fields)
return { "DONE" }
