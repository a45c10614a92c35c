-- propose: puts a proposal in the place of the standing one.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   call id, ARGV[2] negotiation, ARGV[3] agent, ARGV[4] what it proposes
-- Reply     {"DONE"} | {"REFUSED", unknown, not_participant, late, rounds or turn}
--@include negotiation/negotiations

local call, id, agent, content = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- Whose turn it is: that of the one after the last proposer.
local function next_in_turn(session)
  local _, last = string.find(session.participants, "," .. session.proposer .. ",", 1, true)
  return string.match(session.participants, "[^,]+", last) or string.match(session.participants, "[^,]+")
end

local session = load_negotiation(id)
local reply = early_reply(session, agent, call)
if reply then
  return reply
end
local rounds = tonumber(session.rounds)
if rounds >= (tonumber(session.most) or MAX_PROPOSALS) then
  return { "REFUSED", "rounds" }
end
if session.turns and agent ~= next_in_turn(session) then
  return { "REFUSED", "turn" }
end
redis.call("RPUSH", proposals .. id, now_text .. " " .. agent .. " " .. content)
local fields = { state = "countered", rounds = int(rounds + 1), proposer = agent, accepted = "," }
fields["call:" .. agent] = call
update_session(negotiations .. id, session, fields)
return { "DONE" }
