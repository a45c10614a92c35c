-- create_session: begins a negotiation with a first proposal.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   id, ARGV[2] participants, as ",<agent>,<agent>,", ARGV[3] who begins it, ARGV[4] what it proposes
-- ARGV[5]   any or all: who has to accept
-- ARGV[6]   microseconds until it is closed, or ""
-- ARGV[7]   the most proposals, or ""
-- ARGV[8]   "1": each proposes in turn, or ""
-- ARGV[9]   microseconds for which it is kept when it is over
-- Reply     {"DONE"}
--@include negotiation/negotiations

local id, participants, initiator, content, quorum = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local lasts, most, turns, retention = tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
if redis.call("EXISTS", negotiations .. id) == 1 then
  return { "DONE" }
end
local fields = { state = "proposed", participants = participants, quorum = quorum, created = now_text }
fields.rounds, fields.proposer, fields.accepted, fields.retention = "1", initiator, ",", retention
fields.deadline = lasts and int(now + lasts)
fields.most = most ~= "" and most or nil
fields.turns = turns ~= "" and turns or nil
redis.call("RPUSH", proposals .. id, now_text .. " " .. initiator .. " " .. content)
update_session(negotiations .. id, {}, fields)
if lasts then
  expire_at(now + lasts + tonumber(retention), { negotiations .. id, proposals .. id })
end
for agent in string.gmatch(participants, "[^,]+") do
  -- The oldest of an agent's may have gone, untouched since their deadlines.
  for _, other in ipairs(redis.call("ZRANGE", sessions .. agent, 0, 4)) do
    if redis.call("EXISTS", negotiations .. other) == 0 then
      redis.call("ZREM", sessions .. agent, other)
    end
  end
  local left = redis.call("PTTL", sessions .. agent) -- -1: for ever; -2: there is none
  local last = tonumber(redis.call("ZREVRANGE", sessions .. agent, 0, 0, "WITHSCORES")[2] or 0)
  redis.call("ZADD", sessions .. agent, int(math.max(now, last + 1)), id)
  if not lasts then
    redis.call("PERSIST", sessions .. agent)
  elseif left ~= -1 then
    expire_at(now + math.max(left * 1000, lasts + tonumber(retention)), { sessions .. agent })
  end
end
return { "DONE" }
