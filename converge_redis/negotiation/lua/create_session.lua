-- create_session: Create a negotiation with its first proposal.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   id, ARGV[2] participants, as ",<agent>,<agent>,", ARGV[3] initiator, ARGV[4] its proposal
-- ARGV[5]   quorum: any or all
-- ARGV[6]   microseconds until it is closed, or ""
-- ARGV[7]   the most proposals, or ""
-- ARGV[8]   "1": the participants propose in turn, or ""
-- ARGV[9]   microseconds for which it is kept after its end
-- Reply     {"DONE"}
--@include negotiation/negotiations

local id, participants, initiator, content, quorum = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local duration, max_proposals, turns, retention = tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
if redis.call("EXISTS", negotiations .. id) == 1 then
  return { "DONE" }
end
local fields = { state = "proposed", participants = participants, quorum = quorum, created = now_text }
fields.rounds, fields.proposer, fields.accepted, fields.retention = "1", initiator, ",", retention
fields.deadline = duration and int(now + duration)
fields.most = max_proposals ~= "" and max_proposals or nil
fields.turns = turns ~= "" and turns or nil
redis.call("RPUSH", proposals .. id, now_text .. " " .. initiator .. " " .. content)
update_session(negotiations .. id, {}, fields)
if duration then
  expire_at(now + duration + tonumber(retention), { negotiations .. id, proposals .. id })
end
for agent in string.gmatch(participants, "[^,]+") do
  local index = sessions .. agent
  -- Negotiations that no call touched after their deadline have expired, but are still in the index.
  for _, oldest in ipairs(redis.call("ZRANGE", index, 0, 4)) do
    if redis.call("EXISTS", negotiations .. oldest) == 0 then
      redis.call("ZREM", index, oldest)
    end
  end
  local left_ms = redis.call("PTTL", index) -- -1: does not expire; -2: does not exist
  redis.call("ZADD", index, int(math.max(now, last_score(index) + 1)), id)
  if not duration then
    redis.call("PERSIST", index)
  elseif left_ms ~= -1 then
    expire_at(now + math.max(left_ms * 1000, duration + tonumber(retention)), { index })
  end
end
return { "DONE" }
