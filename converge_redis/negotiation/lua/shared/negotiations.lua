-- Negotiations. Agent ids are percent-encoded, so a list of them is ",<agent>,<agent>,".
--@include notifications/session

-- A negotiation is a session:
--   state                        proposed, countered: open; accepted, rejected, closed: over
--   participants, quorum         the agents; how many of the others must accept: any (one) or all
--   created, deadline, ended     times
--   reason, by                   why it was closed; the agent that ended it
--   most, turns                  the most proposals; "1": the participants propose in turn
--   rounds                       number of proposals
--   proposer, accepted           of the current proposal: its agent; the agents that have accepted it
--   call:<agent>                 the agent's last call
--   closer                       the call that closed it
--   retention                    microseconds for which it is kept after its end
-- Proposals are a list of "<time> <proposer> <content>"; the id of one is "<negotiation>:<number>".

local function is_over(session)
  return session.state ~= "proposed" and session.state ~= "countered"
end

-- End a negotiation, at a time that may be in the past.
local function finish(id, session, state, at, fields)
  fields.state, fields.ended = state, int(at)
  update_session(negotiations .. id, session, fields)
  for agent in string.gmatch(session.participants, "[^,]+") do
    redis.call("ZREM", sessions .. agent, id)
  end
  expire_at(at + tonumber(session.retention), { negotiations .. id, proposals .. id })
end

-- Load a negotiation; close it first if its deadline has passed.
local function load_negotiation(id)
  local session = read_hash(negotiations .. id)
  local deadline = session and tonumber(session.deadline)
  if deadline and deadline <= now and not is_over(session) then
    finish(id, session, "closed", deadline, { reason = "deadline" })
  end
  return session
end

local function contains(agents, agent)
  return string.find(agents, "," .. agent .. ",", 1, true) ~= nil
end

-- Load a negotiation for the call of an agent, and return also the reply to the call if it ends here.
-- `proposal` is the proposal that the agent has read ("": any), which must be the current one.
local function load_for_call(call, id, agent, proposal)
  local session = load_negotiation(id)
  if not session then
    return nil, { "REFUSED", "unknown" }
  elseif not contains(session.participants, agent) then
    return session, { "REFUSED", "not_participant" }
  elseif session["call:" .. agent] == call then
    return session, { "DONE" }
  elseif is_over(session) then
    return session, { "REFUSED", "late" }
  elseif proposal ~= "" and proposal ~= id .. ":" .. session.rounds then
    return session, { "REFUSED", "stale" }
  end
  return session
end
