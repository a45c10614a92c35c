-- propose: Make a proposal, which replaces the current one.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] negotiation, ARGV[3] agent, ARGV[4] content
-- Reply     {"DONE"} | {"REFUSED", unknown, not_participant, late, rounds or turn}
--@include negotiation/negotiations

local call, id, agent, content = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local MAX_PROPOSALS = 1000

-- Return the participant that follows the last proposer.
local function next_in_turn(session)
  local _, last = string.find(session.participants, "," .. session.proposer .. ",", 1, true)
  return string.match(session.participants, "[^,]+", last) or string.match(session.participants, "[^,]+")
end

local session, reply = load_for_call(call, id, agent, "")
if reply then
  return reply
end
local rounds = tonumber(session.rounds)
if rounds >= (tonumber(session.most) or MAX_PROPOSALS) then
  return { "REFUSED", "rounds" }
elseif session.turns and agent ~= next_in_turn(session) then
  return { "REFUSED", "turn" }
end
redis.call("RPUSH", proposals .. id, now_text .. " " .. agent .. " " .. content)
local fields = { state = "countered", rounds = int(rounds + 1), proposer = agent, accepted = "," }
fields["call:" .. agent] = call
update_session(negotiations .. id, session, fields)
return { "DONE" }
