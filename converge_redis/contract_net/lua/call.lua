-- call: Call for proposals for a task, and notify the invited agents.
-- KEYS[1]   the shard of the task (core/shard_keys)
-- ARGV[1]   task, ARGV[2] initiator, ARGV[3] invited agents, as ",<agent>,<agent>,"
-- ARGV[4]   microseconds for replies, ARGV[5] microseconds until the call lapses
-- ARGV[6]   microseconds for which it is kept after that
-- Reply     {"CALLED"}: by this call or an earlier one
--@include contract_net/contracts

local id, initiator, invitees = ARGV[1], ARGV[2], ARGV[3]
local reply_us, lapse_us, retention = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if redis.call("EXISTS", contracts .. id) == 1 then
  return { "CALLED" }
end
local fields = { state = "open", initiator = initiator, invitees = invitees, opened = now_text }
fields.closes, fields.lapses = int(now + reply_us), int(now + lapse_us)
update_session(contracts .. id, {}, fields)
expire_at(now + lapse_us + retention, { contracts .. id })
for agent in string.gmatch(invitees, "[^,]+") do
  local index = open_calls .. agent
  redis.call("ZREMRANGEBYSCORE", index, "-inf", now_text)
  redis.call("ZADD", index, fields.lapses, id)
  expire_at(last_score(index), { index })
  notify_session_watchers(index)
end
return { "CALLED" }
