-- Negotiations. Agents are percent-encoded, so that lists of them are ",<agent>,<agent>,".
--@include notifications/session
local negotiations, proposals, sessions = base .. "negotiation:", base .. "proposals:", base .. "sessions:"

-- A negotiation is a session:
--   state                        proposed, countered; accepted, rejected, closed: it is over
--   participants, quorum         who takes part; any or all: how many of them have to accept
--   created, deadline, ended     times; reason, by: why it was closed, and who ended it
--   most, turns                  the most proposals; "1": each proposes in turn
--   rounds, proposer, accepted   the number of proposals; of the last one, who made and who has accepted it
--   call:<agent>                 the agent's last call
--   retention                    microseconds for which it is kept when it is over
-- Proposals are a list of "<time> <proposer> <content>"; their ids are "<negotiation>:<number>".
local MAX_PROPOSALS = 1000

local function is_over(session)
  return session.state ~= "proposed" and session.state ~= "countered"
end

local function finish(id, session, state, at, fields)
  fields.state, fields.ended = state, int(at)
  update_session(negotiations .. id, session, fields)
  for agent in string.gmatch(session.participants, "[^,]+") do
    redis.call("ZREM", sessions .. agent, id)
  end
  expire_at(at + tonumber(session.retention), { negotiations .. id, proposals .. id })
end

-- Returns a negotiation as it is now: past its deadline it was closed then.
local function load_negotiation(id)
  local session = load_session(negotiations .. id)
  local deadline = session and tonumber(session.deadline)
  if deadline and deadline <= now and not is_over(session) then
    finish(id, session, "closed", deadline, { reason = "deadline" })
  end
  return session
end

local function contains(list, agent)
  return string.find(list, "," .. agent .. ",", 1, true) ~= nil
end

-- Returns nil if an agent may act on a negotiation now, else the reply to its call.
local function early_reply(session, agent, call)
  if not session then
    return { "REFUSED", "unknown" }
  elseif not contains(session.participants, agent) then
    return { "REFUSED", "not_participant" }
  elseif session["call:" .. agent] == call then
    return { "DONE" }
  elseif is_over(session) then
    return { "REFUSED", "late" }
  end
end

-- Returns nil if an act names the standing proposal, or none, else the reply to the call.
local function stale_reply(id, session, proposal)
  if proposal ~= "" and proposal ~= id .. ":" .. session.rounds then
    return { "REFUSED", "stale" }
  end
end
